"""What sources leave open or contradict: the issues of the graph, with their words and what they are about."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from kg.engine.protocol import Engine
from kg.rdf.namespaces import SPARQL_PREFIXES
from kg.rdf.terms import Literal, NamedNode

MAX_LOADED_TARGETS: Final = 2000
"""How many targets of the issues on one page are told of at most."""

_KIND_COUNTS_QUERY: Final = (
    SPARQL_PREFIXES
    + """
SELECT ?kind (COUNT(DISTINCT ?issue) AS ?n) { ?issue a hpez:Issue ; dcterms:type ?kind }
GROUP BY ?kind ORDER BY ?kind"""
)
_LIST_QUERY: Final = (
    SPARQL_PREFIXES
    + """
SELECT DISTINCT ?issue ?kind { KIND ?issue a hpez:Issue ; dcterms:type ?kind
} ORDER BY ?kind ?issue OFFSET FIRST LIMIT MOST"""
)
_ISSUES_OF_TARGETS_QUERY: Final = (
    SPARQL_PREFIXES
    + """
SELECT DISTINCT ?issue { VALUES ?target { TARGETS } ?issue oa:hasTarget ?target ; a hpez:Issue
} ORDER BY ?issue LIMIT MOST"""
)
_DETAILS_QUERY: Final = (
    SPARQL_PREFIXES
    + """
SELECT DISTINCT ?issue ?kind ?text ?target {
  VALUES ?issue { ISSUES }
  { ?issue dcterms:type ?kind } UNION { ?issue oa:hasBody/rdf:value ?text } UNION { ?issue oa:hasTarget ?target }
} ORDER BY ?issue ?kind ?target LIMIT """
    + str(MAX_LOADED_TARGETS)
)


@dataclass(frozen=True)
class Issue:
    """An issue: its kind, its words by language, and the claims and things that it is about."""

    iri: str
    kind: str | None
    texts: Mapping[str, str]
    targets: tuple[NamedNode, ...]

    @property
    def mentioned_iris(self) -> tuple[str, ...]:
        """All that it names, to be labelled."""
        return (self.iri, *([self.kind] if self.kind else []), *(target.value for target in self.targets))


def count_issues_by_kind(engine: Engine) -> dict[str, int]:
    """How many issues there are of each kind, by its IRI."""
    return {row["kind"].value: int(row["n"].value) for row in engine.select(_KIND_COUNTS_QUERY)}


def list_issues(engine: Engine, kind: NamedNode | None, offset: int, limit: int) -> list[Issue]:
    """Some of the issues, of a kind or of all, ordered by kind."""
    restriction = f"VALUES ?kind {{ {kind} }}" if kind else ""
    text = _LIST_QUERY.replace("KIND", restriction).replace("FIRST", str(offset)).replace("MOST", str(limit))
    return load_issues(engine, [row["issue"] for row in engine.select(text) if isinstance(row["issue"], NamedNode)])


def find_issues_about(engine: Engine, targets: Iterable[NamedNode], limit: int = 50) -> list[Issue]:
    """The issues that are about any of some nodes."""
    nodes = " ".join(sorted(map(str, targets)))
    rows = (
        engine.select(_ISSUES_OF_TARGETS_QUERY.replace("TARGETS", nodes).replace("MOST", str(limit))) if nodes else []
    )
    return load_issues(engine, [row["issue"] for row in rows if isinstance(row["issue"], NamedNode)])


def load_issues(engine: Engine, issues: Iterable[NamedNode]) -> list[Issue]:
    """What some issues say, in their order."""
    wanted = tuple(dict.fromkeys(issues))
    if not wanted:
        return []
    kind, texts, targets = dict[str, str](), dict[str, dict[str, str]](), dict[str, list[NamedNode]]()
    for row in engine.select(_DETAILS_QUERY.replace("ISSUES", " ".join(map(str, wanted)))):
        iri, text, target = row["issue"].value, row.get("text"), row.get("target")
        if isinstance(text, Literal):
            texts.setdefault(iri, {})[text.language or ""] = text.value
        elif isinstance(target, NamedNode):
            targets.setdefault(iri, []).append(target)
        elif "kind" in row:
            kind[iri] = row["kind"].value
    return [
        Issue(node.value, kind.get(node.value), texts.get(node.value, {}), tuple(targets.get(node.value, ())))
        for node in wanted
    ]
