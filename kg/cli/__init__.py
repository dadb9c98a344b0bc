"""The command `hpkg`."""

from kg.cli.app import main

__all__ = ["main"]
