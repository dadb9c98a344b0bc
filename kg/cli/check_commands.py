"""The commands that build and check: build, validate, shapes explain, fmt."""

import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from kg import resources
from kg.changes import data_folder
from kg.cli.http_client import HttpClient
from kg.cli.local_graph import open_fact_validator
from kg.cli.options import READABLE_FILE, data_option, endpoint_option, language_option
from kg.cli.printing import print_findings
from kg.cli.rdf_files import parse_file
from kg.rdf.namespaces import graph_name
from kg.rdf.rdflib_terms import canonical_turtle
from kg.rdf.terms import term_text
from kg.validation import shacl
from kg.validation.incremental import IncrementalValidator
from kg.validation.shapes import read_shapes


@click.command()
@data_option
@language_option
def build(data: Path, lang: str) -> None:
    """Assemble the graph, validate it and store it in the data folder."""
    console = Console()
    with console.status("Building and validating …"):
        result = data_folder.build_graph()
    _print_sizes(console, result.sizes)
    print_findings(result.report, lang)
    if not result.report.admissible:
        sys.exit(1)
    console.print(f"Stored in {data_folder.save(result, data)}", highlight=False, soft_wrap=True)


def _print_sizes(console: Console, sizes: dict[str, int]) -> None:
    table = Table(title=f"haiphong-kg {resources.project_version()}", title_justify="left")
    table.add_column("graph")
    table.add_column("triples", justify="right")
    for iri, count in sizes.items():
        table.add_row(graph_name(iri) or iri, str(count))
    table.add_row("all", str(sum(sizes.values())), style="bold")
    console.print(table)


@click.command()
@click.argument("files", nargs=-1, required=True, type=READABLE_FILE)
@click.option("--alone", is_flag=True, help="Validate with nothing but the ontology and the vocabularies.")
@click.option(
    "--shapes",
    "shape_files",
    multiple=True,
    type=READABLE_FILE,
    help="Use these shapes, without any other data; repeatable.",
)
@endpoint_option
@language_option
@data_option
def validate(
    *,
    files: tuple[Path, ...],
    alone: bool,
    shape_files: tuple[Path, ...],
    endpoint: str | None,
    lang: str,
    data: Path,
) -> None:
    """Validate RDF FILES against the shapes, and store nothing."""
    if shape_files and endpoint is not None:
        raise click.UsageError("Other shapes need no service: use --shapes or --endpoint.")
    payload = [quad for file in files for quad in parse_file(file)]
    if shape_files:
        shapes_graph = read_shapes(quad for file in shape_files for quad in parse_file(file))
        report = shacl.validate(payload, shapes_graph)
    elif endpoint is not None:
        report = HttpClient(endpoint).validate(payload, alone=alone, language=lang)
    else:
        validator = open_fact_validator(data)
        report = validator.validate_alone(payload) if alone else validator.validate_in_context(payload)
    print_findings(report, lang)
    if not report.admissible:
        sys.exit(1)


@click.group()
def shapes() -> None:
    """Inspect the shapes of the gate."""


@shapes.command()
@click.argument("files", nargs=-1, type=READABLE_FILE)
def explain(files: tuple[Path, ...]) -> None:
    """Say for each shape, the project's or those of FILES, whether the gate validates it incrementally or in full."""
    chosen = (
        read_shapes(quad for file in files for quad in parse_file(file)) if files else data_folder.read_project_shapes()
    )
    for item in IncrementalValidator(chosen).explain():
        constraint = "" if item.constraint is None else f" {term_text(item.constraint)}"
        scope = "what a change touches" if item.reason is None else f"in full: {item.reason}"
        click.echo(f"{term_text(item.shape)}{constraint}: {scope}")


@click.command()
@click.argument("files", nargs=-1, required=True, type=READABLE_FILE)
@click.option("--check", is_flag=True, help="List the files that are not canonical, and change nothing.")
def fmt(files: tuple[Path, ...], check: bool) -> None:
    """Rewrite Turtle FILES in canonical form."""
    changed = 0
    for file in files:
        text = file.read_text(encoding="utf-8")
        canonical = canonical_turtle(text, str(file))
        if canonical == text:
            continue
        changed += 1
        click.echo(f"{'would rewrite' if check else 'rewrote'} {file}")
        if not check:
            file.write_text(canonical, encoding="utf-8")
    if check and changed:
        sys.exit(1)
