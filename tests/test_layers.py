"""Imports run one way. The order below is the architecture; a module may import only what stands before it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

ORDER = [
    "kg.errors",
    "kg.rdf.namespaces",
    "kg.rdf.iris",
    "kg.rdf.formats",
    "kg.sources.folding",
    "kg.sources.figures",
    "kg.changes.locks",
    "kg.rdf.io",
    "kg.rdf.blank_nodes",
    "kg.resources",
    "kg.rdf.jsonld",
    "kg.views.jsonld_context",
    "kg.views.example_queries",
    "kg.views.autocomplete",
    "kg.sparql.tokens",
    "kg.sparql.update_parser",
    "kg.sparql.syntax_errors",
    "kg.engine.protocol",
    "kg.sparql.syntax_tree",
    "kg.sparql.token_stream",
    "kg.sparql.triple_parser",
    "kg.sparql.query_parser",
    "kg.engine.planner.cardinality",
    "kg.engine.planner.scope",
    "kg.engine.planner.reorder",
    "kg.engine.planner.guards",
    "kg.engine.planner.top_k",
    "kg.engine.columns.model",
    "kg.engine.columns.parser",
    "kg.engine.planner.rewrite",
    "kg.engine.columns.kernels",
    "kg.engine.columns.cache",
    "kg.engine.statistics",
    "kg.engine.embedded",
    "kg.workers.framing",
    "kg.workers.shared_status",
    "kg.workers.sandbox",
    "kg.workers.worker",
    "kg.workers.dispatcher",
    "kg.workers.pool_engine",
    "kg.workers.leases",
    "kg.engine.remote",
    "kg.engine.query",
    "kg.engine.counting",
    "kg.validation.report",
    "kg.validation.source_lines",
    "kg.validation.shacl",
    "kg.changes.rules",
    "kg.changes.changeset",
    "kg.sparql.constraint_parser",
    "kg.validation.dependency_graph",
    "kg.validation.shape_dependencies",
    "kg.validation.query_dependencies",
    "kg.validation.incremental",
    "kg.validation.suggestions",
    "kg.changes.journal",
    "kg.views.name_index",
    "kg.views.search",
    "kg.changes.credentials",
    "kg.changes.rdf_patch",
    "kg.changes.upgrade",
    "kg.changes.data_folder",
    "kg.changes.commit",
    "kg.workers.codec",
    "kg.views.description",
    "kg.views.observations",
    "kg.views.term_usage",
    "kg.views.claims",
    "kg.views.issues",
    "kg.views.summary",
    "service.presentation.svg_charts",
    "kg.views.dataset_description",
    "kg.sources.evidence",
    "kg.workers.main",
    "kg.workers.supervisor",
    "kg.cli.printing",
    "kg.cli.http_client",
    "kg.cli.write_commands",
    "kg.cli.app",
    "service.settings",
    "service.http.negotiation",
    "service.http.i18n",
    "service.presentation.number_format",
    "service.presentation.labels",
    "service.presentation.names",
    "service.presentation.graph_picture",
    "service.http.problem_types",
    "service.graph_state",
    "service.http.observability",
    "service.http.caching",
    "service.http.responses",
    "service.presentation.report_json",
    "service.http.problem_pages",
    "service.http.body",
    "service.http.errors",
    "service.presentation.statement_table",
    "service.presentation.term_list",
    "service.presentation.claim_context",
    "service.presentation.figure_charts",
    "service.presentation.entity_page",
    "service.routes.issues",
    "service.routes.void",
    "service.routes.write_requests",
    "service.routes.graph_store",
    "service.routes.facts",
    "service.presentation.commit_diff",
    "service.routes.commits",
    "service.routes.service_description",
    "service.routes.query_editor",
    "service.routes.sparql",
    "service.routes.sparql_fast_path",
    "service.routes.validate",
    "service.routes.validation_form",
    "service.presentation.kind_names",
    "service.routes.search",
    "service.routes.figures",
    "service.routes.home",
    "service.routes.linked_data",
    "service.routes.health",
    "service",
    "service.rsgi",
]
ONLY_IMPORTERS = {
    "pyoxigraph": {"kg.rdf.io", "kg.engine.embedded"},
    "pyshacl": {"kg.validation.shacl"},
    "SPARQLWrapper": {"kg.engine.remote"},
    "importlib.resources": {"kg.resources"},
    "click": {"kg.cli.app", "kg.cli.write_commands"},
    "rich": {"kg.cli.app", "kg.cli.printing"},
    "granian": {"kg.cli.app"},
    "vl_convert": {"service.presentation.svg_charts"},
    "flask_compress": {"service.http.caching"},
    "prometheus_client": {"service.http.observability"},
}


PACKAGES = {
    ".".join(path.parent.relative_to(ROOT).parts)
    for package in ("kg", "service")
    for path in (ROOT / package).rglob("__init__.py")
} - {"service"}


def modules() -> dict[str, Path]:
    found = {}
    for package in ("kg", "service"):
        for path in (ROOT / package).rglob("*.py"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            found[name] = path
    return found


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever the import stands; `from a import b` gives a and a.b."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_imports(path: Path) -> set[str]:
    known = set(modules()) - PACKAGES - {"service"}
    return {name for name in imports(path) if name in known}


def test_every_module_has_its_place() -> None:
    assert set(modules()) - PACKAGES == set(ORDER)


@pytest.mark.parametrize("name", ORDER)
def test_imports_only_what_stands_before(name: str) -> None:
    allowed = set(ORDER[: ORDER.index(name)])
    assert own_imports(modules()[name]) - {name} <= allowed


@pytest.mark.parametrize(("library", "importers"), ONLY_IMPORTERS.items())
def test_only_importers(library: str, importers: set[str]) -> None:
    users = {
        name
        for name, path in modules().items()
        if any(item == library or item.startswith(f"{library}.") for item in imports(path))
    }
    assert users == importers


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


def test_only_settings_reads_the_environment() -> None:
    readers = {
        name
        for name, path in modules().items()
        if name.startswith("service") and {"os.environ", "os.getenv"} & set(_attributes(path))
    }
    assert readers == {"service.settings"}


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
