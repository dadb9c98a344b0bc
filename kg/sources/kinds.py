"""The kinds of named things: the first part of an entity's path, such as `zone` in /id/zone/deep-c."""

from typing import Final

from kg.rdf.namespaces import BASE, HPEZ, HPSH, ID

ONTOLOGY_KIND: Final = "ontology"
SHAPES_KIND: Final = "shapes"
FOREIGN_KIND: Final = "other"
"""The kind of IRIs outside the project's base IRI."""

_STATEMENT_KINDS: Final = frozenset({"claim", "issue", "source", "activity"})


def kind_of(iri: str) -> str:
    """Return the kind of an IRI: `zone` for /id/zone/…, `ontology` or `shapes` for their terms, or FOREIGN_KIND."""
    if iri.startswith(ID):
        return iri.removeprefix(ID).partition("/")[0] or FOREIGN_KIND
    for prefix, kind in ((HPEZ, ONTOLOGY_KIND), (HPSH, SHAPES_KIND)):
        if iri.startswith(prefix) or iri.split("/", 5)[:5] == [*BASE.rstrip("/").split("/"), kind]:
            return kind
    return iri.removeprefix(BASE).partition("/")[0] or FOREIGN_KIND if iri.startswith(BASE) else FOREIGN_KIND


def kind_rank(kind: str) -> int:
    """Return 0 for entities, 1 for terms and foreign IRIs, 2 for claims and issues, 3 for evidence; lower is first."""
    if kind in {ONTOLOGY_KIND, SHAPES_KIND, FOREIGN_KIND, "graph"}:
        return 1
    return 3 if kind == "evidence" else 2 if kind in _STATEMENT_KINDS else 0
