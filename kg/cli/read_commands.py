"""The commands that read the graph of a data folder or a running service: query, dump, evidence verify."""

import io
import sys
from pathlib import Path
from typing import IO

import click

from kg.changes import data_folder
from kg.cli.http_client import HttpClient
from kg.cli.options import READABLE_FILE, data_option, endpoint_option
from kg.cli.rdf_files import parse_graph_option
from kg.engine import remote
from kg.engine.embedded import EmbeddedEngine
from kg.engine.protocol import QueryDataset, QueryRequest
from kg.engine.query import check_query, evaluate_query
from kg.errors import UnknownGraphError, UnsupportedFormatError
from kg.rdf.formats import NQUADS, RDF_FORMATS, RESULT_FORMATS, TSV, TURTLE, RdfFormat, ResultFormat, format_by_name
from kg.rdf.io import canonical_nquads, compress, serialize
from kg.rdf.namespaces import compact, graph_name
from kg.rdf.terms import NamedNode, Quad
from kg.sources.evidence import verify


@click.command()
@click.argument("query")
@click.option("--endpoint", metavar="URL", help="Ask this SPARQL endpoint instead of the data folder.")
@click.option(
    "--format",
    "format_name",
    metavar="NAME",
    show_default="tsv for rows, ttl for graphs",
    help="json, xml, csv or tsv; for graphs ttl, nt, jsonld, rdf, trig or nq.",
)
@click.option("--explain", is_flag=True, help="Print the query as it is planned, with reasons, and do not run it.")
@data_option
def query(*, query: str, endpoint: str | None, format_name: str | None, explain: bool, data: Path) -> None:
    """Run QUERY: a file, `-` for standard input, or the text itself."""
    text = _read_query(query)
    if explain:
        if endpoint is not None:
            raise click.UsageError("--explain plans for a data folder; ask an endpoint with explain=true.")
        _print_plan(text, data)
        return
    solutions, graph = _chosen_formats(format_name)
    if endpoint is not None:
        _write_to_stdout(io.BytesIO(remote.query_endpoint(endpoint, text, solutions, graph)))
        return
    boolean = solutions if solutions.supports_boolean else RESULT_FORMATS[0]
    request = QueryRequest(text, QueryDataset(), solutions, boolean, graph)
    with evaluate_query(data_folder.open_or_build(data), request).body as body:
        _write_to_stdout(body)


def _print_plan(text: str, data: Path) -> None:
    """Print a query as it is planned for the graph of a data folder, and what was changed as comments."""
    check_query(QueryRequest(text))
    explained = data_folder.open_or_build(data).explain(text)
    click.echo(explained.text)
    for note in explained.notes:
        click.echo(f"# line {note.line}: {note.message}")


def _chosen_formats(name: str | None) -> tuple[ResultFormat, RdfFormat]:
    """Return the formats for solutions and for graphs; `name` sets one of them, the other keeps its default."""
    results = {fmt.suffixes[-1]: fmt for fmt in RESULT_FORMATS}
    graphs = {fmt.suffixes[0]: fmt for fmt in RDF_FORMATS}
    if name is not None and name not in {*results, *graphs}:
        raise UnsupportedFormatError(f"{name!r} is not a known format; choose one of {', '.join((*results, *graphs))}")
    return results.get(name or "", TSV), graphs.get(name or "", TURTLE)


def _write_to_stdout(body: IO[bytes]) -> None:
    """Copy a result to standard output and end it with a newline, as terminals expect."""
    last = b"\n"
    while chunk := body.read(64 * 1024):
        sys.stdout.buffer.write(chunk)
        last = chunk[-1:]
    if last != b"\n":
        sys.stdout.buffer.write(b"\n")


def _read_query(argument: str) -> str:
    if argument == "-":
        return sys.stdin.buffer.read().decode()
    if any(char.isspace() for char in argument) and not Path(argument[:200]).is_file():
        return argument
    if not Path(argument).is_file():
        raise click.UsageError(f"There is no query file {argument}.")
    return Path(argument).read_text(encoding="utf-8")


@click.command()
@click.option("--graph", metavar="GRAPH", help="Only this graph: an IRI, or a name such as source/dnhn-94474.")
@click.option("--format", "format_name", default="nq", show_default=True, help="nq, trig, ttl, nt, jsonld or rdf.")
@click.option("--gzip", "gzipped", is_flag=True, help="Compress the output.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to a file, not standard output.")
@endpoint_option
@data_option
def dump(
    *, graph: str | None, format_name: str, gzipped: bool, output: Path | None, endpoint: str | None, data: Path
) -> None:
    """Write the whole dataset or one graph as RDF; N-Quads come in canonical order."""
    quads = _quads_in_folder(graph, data) if endpoint is None else _quads_at_endpoint(graph, endpoint)
    fmt = format_by_name(RDF_FORMATS, format_name)
    content = canonical_nquads(quads) if fmt is NQUADS else serialize(quads, fmt)
    content = compress(content) if gzipped else content
    if output is None:
        sys.stdout.buffer.write(content)
    else:
        output.write_bytes(content)


def _quads_in_folder(graph: str | None, data: Path) -> list[Quad]:
    engine = data_folder.open_or_build(data)
    return list(engine.quads(None if graph is None else _require_held_graph(engine, graph)))


def _quads_at_endpoint(graph: str | None, endpoint: str) -> list[Quad]:
    return HttpClient(endpoint).quads(None if graph is None else parse_graph_option(graph))


def _require_held_graph(engine: EmbeddedEngine, name: str) -> NamedNode:
    graph = parse_graph_option(name)
    if graph.value not in engine.graph_sizes():
        known = ", ".join(graph_name(iri) or iri for iri in engine.graph_sizes())
        raise UnknownGraphError(f"There is no graph {name!r}; known are: {known}.")
    return graph


@click.group()
def evidence() -> None:
    """Work with the evidence that claims cite."""


@evidence.command("verify")
@click.option("--text", "text_file", required=True, type=READABLE_FILE, help="The text of the source, in UTF-8.")
@click.option("--source", metavar="SLUG", show_default="found by its digest", help="The source that the text is of.")
@data_option
def verify_command(text_file: Path, source: str | None, data: Path) -> None:
    """Compare a source's text with its digest, every anchor with the text, and every figure with its anchor."""
    result = verify(data_folder.open_or_build(data), text_file.read_bytes(), source)
    for failure in result.failures:
        click.echo(f"{failure.iri}: {failure.reason}")
    verdict = f"{len(result.failures)} failed" if result.failures else "all hold"
    compared = f"{result.anchor_count} anchors and {result.figure_count} figures compared"
    click.echo(f"{compact(result.source)}: {compared}, {verdict}")
    if result.failures:
        sys.exit(1)
