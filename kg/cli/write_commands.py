"""The commands that change the graph, in a data folder or at a running service: add, load, revert."""

from pathlib import Path
from typing import cast

import click

from kg.changes.changeset import ChangeSet, GraphReplacement, QuadAddition
from kg.changes.commit import (
    SUBMISSION_GRAPH,
    Strictness,
    WriteOptions,
    in_submission_graph,
    protected_graphs_in,
    replacement_of_graphs,
)
from kg.cli.local_graph import open_commit_pipeline
from kg.cli.options import READABLE_FILE, WriteTarget, graph_option, severity_option, write_target_options
from kg.cli.printing import print_outcome, print_response
from kg.cli.rdf_files import parse_file, parse_graph_option, parse_into_graph, read_file
from kg.rdf.namespaces import graph_name


@click.command()
@click.argument("files", nargs=-1, required=True, type=READABLE_FILE)
@graph_option
@severity_option
@write_target_options
def add(*, files: tuple[Path, ...], graph: str | None, severity: str, lang: str, **target: str) -> None:
    """Add the statements of RDF FILES through the gate: all of them, or nothing."""
    to = _target(target)
    client = to.client
    if client is not None:
        graph_iri = None if graph is None else parse_graph_option(graph).value
        for file in files:
            content, fmt = read_file(file)
            print_response(client.add(content, fmt.media_type, graph=graph_iri, message=to.message, severity=severity))
        return
    home = SUBMISSION_GRAPH if graph is None else parse_graph_option(graph)
    quads = tuple(in_submission_graph(quad, home) for file in files for quad in parse_file(file))
    _commit_locally(QuadAddition(quads), to, severity, lang)


@click.command()
@click.argument("files", nargs=-1, required=True, type=READABLE_FILE)
@graph_option
@severity_option
@write_target_options
def load(*, files: tuple[Path, ...], graph: str | None, severity: str, lang: str, **target: str) -> None:
    """Replace the graphs that RDF FILES name by what they say, through the gate: all of them, or nothing."""
    to = _target(target)
    home = None if graph is None else parse_graph_option(graph)
    quads = [quad for file in files for quad in parse_into_graph(file, home)]
    protected = protected_graphs_in(quads)
    if protected:
        names = ", ".join(str(graph_name(iri)) for iri in protected)
        click.echo(f"left out: {names}; rules make these graphs, or they come with a release", err=True)
    change = GraphReplacement((home,), ()) if home is not None and not quads else replacement_of_graphs(quads)
    client = to.client
    if client is not None:
        print_response(client.load(change, message=to.message, severity=severity))
        return
    _commit_locally(change, to, severity, lang)


@click.command()
@click.argument("number", type=int)
@write_target_options
def revert(*, number: int, lang: str, **target: str) -> None:
    """Undo commit NUMBER by a new commit, through the gate."""
    to = _target(target)
    signature = to.signature(f"Revert commit {number}")
    client = to.client
    if client is not None:
        print_response(client.revert(number, signature.message))
        return
    print_outcome(open_commit_pipeline(to.data).revert(number, signature), lang)


def _target(options: dict[str, str]) -> WriteTarget:
    return WriteTarget(
        Path(options["data"]), options["endpoint"], options["token"], options["agent"], options["message"]
    )


def _commit_locally(change: ChangeSet, target: WriteTarget, severity: str, language: str) -> None:
    options = WriteOptions(strictness=cast("Strictness", severity))
    print_outcome(open_commit_pipeline(target.data).commit(change, target.signature(), options), language)
