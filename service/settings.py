"""The settings of the service, and the only module of the service that reads the environment."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self, TypeVar

from platformdirs import user_data_path

from kg.errors import ConfigurationError

T = TypeVar("T")
DefaultGraphMode = Literal["union", "strict"]

_DEFAULT_GRAPH_MODES: Final[Mapping[str, DefaultGraphMode]] = {"union": "union", "strict": "strict"}
_ON_OR_OFF: Final = {"on": True, "off": False}
_HOST_PATTERN: Final = re.compile(r"([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")


@dataclass(frozen=True)
class Settings:
    """The settings of one instance of the service.

    - `data`: the data folder.
    - `default_graph`: what a query without a dataset sees, the union of all graphs or only the unnamed graph.
    - `max_body`: the longest accepted request body in bytes.
    - `timeout`, `write_timeout`: the seconds that a query and a change may take.
    - `dispatcher_folder`: the folder of the dispatcher's sockets; None keeps the graph in this process.
    - `cache_bytes`: the size of the caches in bytes; 0 disables them.
    - `max_age`: the seconds for which other caches may reuse a response without revalidation.
    - `access_log`: whether requests are logged.
    - `services`: the hosts, `host` or `host:port`, that queries may call with SERVICE.
    - `source_texts`: files with the texts of sources, in which pages show the evidence.
    - `planning`: whether queries are rewritten to equivalent ones that run faster.
    - `columns`: whether groups of a query are counted from columns.
    """

    data: Path
    default_graph: DefaultGraphMode = "union"
    max_body: int = 10 * 1024 * 1024
    timeout: float = 10.0
    write_timeout: float = 60.0
    dispatcher_folder: Path | None = None
    cache_bytes: int = 64 * 1024 * 1024
    max_age: int = 0
    access_log: bool = True
    services: tuple[str, ...] = ()
    source_texts: tuple[Path, ...] = ()
    planning: bool = True
    columns: bool = True

    @classmethod
    def from_environment(cls) -> Self:
        """Read the `HPKG_…` environment variables; raises ConfigurationError for an invalid value."""
        return cls(
            data=_data_folder(),
            default_graph=_choice("HPKG_DEFAULT_GRAPH", _DEFAULT_GRAPH_MODES),
            max_body=_max_body(),
            timeout=_seconds("HPKG_TIMEOUT", cls.timeout),
            write_timeout=_seconds("HPKG_WRITE_TIMEOUT", cls.write_timeout),
            dispatcher_folder=Path(os.environ["HPKG_KEEPER"]) if os.environ.get("HPKG_KEEPER") else None,
            cache_bytes=_whole_number("HPKG_CACHE", cls.cache_bytes),
            max_age=_whole_number("HPKG_MAX_AGE", cls.max_age),
            access_log=_choice("HPKG_ACCESS_LOG", _ON_OR_OFF),
            services=_services(),
            source_texts=tuple(Path(name) for name in os.environ.get("HPKG_TEXT", "").split(os.pathsep) if name),
            planning=_choice("HPKG_PLAN", _ON_OR_OFF),
            columns=_choice("HPKG_COLUMNS", _ON_OR_OFF),
        )


def _data_folder() -> Path:
    text = os.environ.get("HPKG_DATA")
    folder = Path(text) if text else user_data_path("haiphong-kg")
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"HPKG_DATA must be a folder; {folder} is not one.")
    return folder


def _choice(name: str, values: Mapping[str, T]) -> T:
    """Return the value of a choice; the first one is the default."""
    text = os.environ.get(name, next(iter(values)))
    if text not in values:
        raise ConfigurationError(f"{name} must be {' or '.join(values)}, not {text!r}.")
    return values[text]


def _max_body() -> int:
    text = os.environ.get("HPKG_MAX_BODY", str(Settings.max_body))
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise ConfigurationError(f"HPKG_MAX_BODY must be a positive number of bytes, not {text!r}.")
    return int(text)


def _seconds(name: str, default: float) -> float:
    text = os.environ.get(name, str(default))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ConfigurationError(f"{name} must be a positive number of seconds, not {text!r}.")
    return seconds


def _whole_number(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    if not (text.isascii() and text.isdigit()):
        raise ConfigurationError(f"{name} must be a whole number, 0 or more, not {text!r}.")
    return int(text)


def _services() -> tuple[str, ...]:
    hosts = [host.strip().lower() for host in os.environ.get("HPKG_SERVICES", "").split(",") if host.strip()]
    for host in hosts:
        if not _HOST_PATTERN.fullmatch(host):
            raise ConfigurationError(f"HPKG_SERVICES must be hosts with or without a port, not {host!r}.")
    return tuple(dict.fromkeys(hosts))
