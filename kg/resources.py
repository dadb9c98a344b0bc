"""Read the Turtle and SPARQL files in the packages; no other module does."""

import hashlib
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from kg.rdf.formats import TURTLE
from kg.rdf.io import parse, place_in_graph
from kg.rdf.namespaces import graph_iri
from kg.rdf.terms import NamedNode, Quad


@dataclass(frozen=True)
class TextFile:
    """A packaged text file; `name` is its path inside the package, such as `sources/dnhn-94474.ttl`."""

    name: str
    text: str

    @property
    def stem(self) -> str:
        """The file name without folder and suffix."""
        return self.name.rpartition("/")[2].rpartition(".")[0]


def _read_folder(folder: Traversable, suffix: str, prefix: str = "") -> tuple[TextFile, ...]:
    items = sorted((item.name, item) for item in folder.iterdir() if item.name.endswith(suffix))
    return tuple(TextFile(prefix + name, item.read_text(encoding="utf-8")) for name, item in items)


@cache
def ontology_files() -> tuple[TextFile, ...]:
    """Return the ontology and the SKOS vocabularies, one file each."""
    return _read_folder(files("ontology"), ".ttl")


@cache
def shape_files() -> tuple[TextFile, ...]:
    """Return the SHACL shapes, one file per concern."""
    return _read_folder(files("shapes"), ".ttl")


@cache
def data_files() -> tuple[TextFile, ...]:
    """Return the curated facts: entities, sources and issues."""
    folder = files("kg") / "data"
    return (
        *_read_folder(folder, ".ttl"),
        *_read_folder(folder / "sources", ".ttl", "sources/"),
        *_read_folder(folder / "issues", ".ttl", "issues/"),
    )


@cache
def rule_files() -> tuple[TextFile, ...]:
    """Return the CONSTRUCT rules; the part of a name before the first hyphen is the graph that the rule fills."""
    return _read_folder(files("kg") / "rules", ".rq")


@cache
def query_files() -> tuple[TextFile, ...]:
    """Return the stored questions: SELECT queries with their titles in comments at the top."""
    return _read_folder(files("kg") / "queries", ".rq")


def _graph_of_file(file: TextFile) -> NamedNode:
    if file in shape_files():
        return NamedNode(graph_iri("shapes"))
    if file in ontology_files():
        return NamedNode(graph_iri("ontology" if file.stem == "ontology" else "vocabulary"))
    if file.name.startswith("sources/"):
        return NamedNode(graph_iri(f"source/{file.stem}"))
    if file.name.startswith("issues/"):
        return NamedNode(graph_iri("issues"))
    return NamedNode(graph_iri(file.stem))


def curated_quads() -> list[Quad]:
    """Return all packaged statements, each in its named graph."""
    texts = (*ontology_files(), *shape_files(), *data_files())
    return [quad for file in texts for quad in place_in_graph(parse(file.text.encode(), TURTLE), _graph_of_file(file))]


@cache
def fingerprint() -> str:
    """Return a SHA-256 of all packaged texts and the version; a built dataset with another fingerprint is stale."""
    digest = hashlib.sha256(project_version().encode())
    for file in (*ontology_files(), *shape_files(), *data_files(), *rule_files()):
        digest.update(f"\0{file.name}\0{file.text}".encode())
    return digest.hexdigest()


def project_version() -> str:
    """Return the version of the installed distribution, or of the checkout if nothing is installed."""
    try:
        return version("haiphong-kg")
    except PackageNotFoundError:
        project = Path(__file__).parents[1] / "pyproject.toml"
        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])
