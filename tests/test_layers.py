"""The architecture as rules: which packages (rooms) each package may import, and which may import a library."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = (
    "kg.errors",
    "kg.rdf",
    "kg.resources",
    "kg.sparql",
    "kg.engine",
    "kg.sources",
    "kg.validation",
    "kg.changes",
    "kg.views",
    "kg.workers",
    "kg.cli",
    "service.settings",
    "service.http",
    "service.graph_state",
    "service.presentation",
    "service.routes",
    "service.sparql_fast_path",
    "service",
    "service.rsgi",
)
"""From the ground up. A room imports from itself and from rooms below it."""
FORBIDDEN = {
    "service.http": {"kg.sparql", "kg.engine", "kg.sources", "kg.validation", "kg.changes", "kg.views", "kg.workers"},
    "service.routes": {"kg.workers"},
    "service": {"kg.cli"},
    "kg.views": {"kg.engine.planner", "kg.engine.columns"},
    "kg.engine.embedded": {"kg.engine.planner", "kg.engine.columns", "kg.engine.optimizer"},
    "kg.engine.query": {"kg.engine.planner", "kg.engine.columns", "kg.engine.optimizer"},
    "kg.engine.planner": {"kg.engine.columns"},
    "kg.engine.columns": {"kg.engine.planner"},
}
"""What a room may not import although it lies below: HTTP knows nothing of the domain, the service runs no command.

The engine works without planner and columns, and the planner without columns; kg.engine.optimizer composes them.
"""
LIBRARIES = {
    "pyoxigraph": {"kg.rdf", "kg.engine"},
    "rdflib": {"kg.rdf", "kg.validation"},
    "pyshacl": {"kg.validation"},
    "SPARQLWrapper": {"kg.engine"},
    "numpy": {"kg.engine"},
    "importlib.resources": {"kg.resources"},
    "click": {"kg.cli"},
    "rich": {"kg.cli"},
    "granian": {"kg.cli"},
    "flask": {"service.http", "service.graph_state", "service.presentation", "service.routes", "service"},
    "flask_compress": {"service.http"},
    "prometheus_client": {"service.http"},
}
"""The only rooms that import a library."""


def modules() -> dict[str, Path]:
    found = {}
    for package in ("kg", "service"):
        for path in (ROOT / package).rglob("*.py"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            found[name] = path
    return found


def room_of(module: str) -> str:
    """The longest package name in ROOMS that contains the module."""
    return max((room for room in ROOMS if f"{module}.".startswith(f"{room}.")), key=len)


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, at the top or in a function; `from a import b` gives a and a.b."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_imports(name: str) -> set[str]:
    known = set(modules()) - {"kg"}
    return {item for item in imports(modules()[name]) if item in known and item not in _packages_of(name)}


def _packages_of(name: str) -> set[str]:
    """The packages that contain a module, whose names every import of its neighbours mentions."""
    parts = name.split(".")
    return {".".join(parts[:length]) for length in range(1, len(parts) + 1)}


def test_every_module_is_in_a_room() -> None:
    assert {name for name in modules() if name != "kg"} == {
        name for name in modules() if name != "kg" and room_of(name)
    }


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_only_lower_rooms(room: str) -> None:
    allowed = set(ROOMS[: ROOMS.index(room) + 1])
    upward = {
        (name, item)
        for name in modules()
        if name != "kg" and room_of(name) == room
        for item in own_imports(name)
        if room_of(item) not in allowed
    }
    assert upward == set()


@pytest.mark.parametrize(("room", "forbidden"), FORBIDDEN.items())
def test_separate_rooms_do_not_import_each_other(room: str, forbidden: set[str]) -> None:
    found = {
        (name, item)
        for name in modules()
        if name.startswith(room)
        for item in own_imports(name)
        if any(f"{item}.".startswith(f"{other}.") for other in forbidden)
    }
    assert found == set()


@pytest.mark.parametrize(("library", "rooms"), LIBRARIES.items())
def test_only_these_rooms_import_a_library(library: str, rooms: set[str]) -> None:
    users = {
        room_of(name)
        for name, path in modules().items()
        if any(item == library or item.startswith(f"{library}.") for item in imports(path))
    }
    assert users == rooms


def test_modules_with_view_functions_do_not_import_one_another() -> None:
    views = {name for name, path in modules().items() if "@blueprint." in path.read_text(encoding="utf-8")}
    assert {(name, item) for name in views for item in own_imports(name) if item in views} == set()


def test_no_import_cycles() -> None:
    graph = {name: own_imports(name) for name in modules()}
    finished: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " → ".join((*path, name))
        if name not in finished:
            for item in graph[name]:
                visit(item, (*path, name))
            finished.add(name)

    for name in graph:
        visit(name, ())


def test_kg_knows_no_http() -> None:
    web = {"flask", "werkzeug", "jinja2", "http"}
    users = {
        (name, item)
        for name, path in modules().items()
        if name.startswith("kg")
        for item in imports(path)
        if item.split(".")[0] in web
    }
    assert users == set()


def test_only_settings_and_commands_read_the_environment() -> None:
    readers = {
        room_of(name) for name, path in modules().items() if {"os.environ", "os.getenv"} & set(_attributes(path))
    }
    assert readers == {"service.settings", "kg.cli", "kg.engine"}


def _attributes(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"


def test_no_sparql_text_in_the_service() -> None:
    marked = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "service").rglob("*.py")
        if any(mark in path.read_text(encoding="utf-8") for mark in ("SELECT ?", "SELECT *", "CONSTRUCT {", "ASK {"))
    }
    assert marked == set()
