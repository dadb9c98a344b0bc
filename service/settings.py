"""The service's settings, and the only place that reads the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self

from platformdirs import user_data_path

from kg.errors import ConfigurationError

DefaultGraph = Literal["union", "strict"]

DEFAULT_MAX_BODY: Final = 10 * 1024 * 1024
"""Bytes of a request body that are accepted unless the operator says otherwise."""


@dataclass(frozen=True)
class Settings:
    """How one instance of the service runs.

    `data` is the data folder; `default_graph` says what a query without a dataset sees: the union of
    all graphs, or the unnamed graph only; `max_body` is the longest accepted request body in bytes.
    """

    data: Path
    default_graph: DefaultGraph = "union"
    max_body: int = DEFAULT_MAX_BODY

    @classmethod
    def from_environment(cls) -> Self:
        """Read HPKG_DATA, HPKG_DEFAULT_GRAPH and HPKG_MAX_BODY; raises ConfigurationError for a bad value."""
        return cls(
            data=_data_folder(os.environ),
            default_graph=_default_graph(os.environ),
            max_body=_max_body(os.environ),
        )


def _data_folder(environment: Mapping[str, str]) -> Path:
    text = environment.get("HPKG_DATA")
    folder = Path(text) if text else user_data_path("haiphong-kg")
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"HPKG_DATA must be a folder; {folder} is none.")
    return folder


def _default_graph(environment: Mapping[str, str]) -> DefaultGraph:
    match environment.get("HPKG_DEFAULT_GRAPH", "union"):
        case "union":
            return "union"
        case "strict":
            return "strict"
        case other:
            raise ConfigurationError(f"HPKG_DEFAULT_GRAPH must be union or strict, not {other!r}.")


def _max_body(environment: Mapping[str, str]) -> int:
    text = environment.get("HPKG_MAX_BODY", str(DEFAULT_MAX_BODY))
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise ConfigurationError(f"HPKG_MAX_BODY must be a positive number of bytes, not {text!r}.")
    return int(text)
