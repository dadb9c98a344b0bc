"""Typed access to the objects that an app keeps in its extensions."""

from typing import TypeVar

from flask import Flask

T = TypeVar("T")


def get_extension(app: Flask, key: str, cls: type[T]) -> T:
    """Return the object under a key of `app.extensions`; raises TypeError if it has another class."""
    extension = app.extensions[key]
    if not isinstance(extension, cls):
        raise TypeError(f"app.extensions[{key!r}] is not a {cls.__name__}")
    return extension
