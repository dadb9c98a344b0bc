"""What sources leave open or contradict: the issues of the graph, with their words and what they are about."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from kg.engine.protocol import Engine
from kg.rdf.io import Literal, NamedNode
from kg.rdf.namespaces import SPARQL_PREFIXES

MOST_TARGETS: Final = 2000
"""How many targets of the issues on one page are told of at most."""

_KINDS: Final = (
    SPARQL_PREFIXES
    + """
SELECT ?kind (COUNT(DISTINCT ?issue) AS ?n) { ?issue a hpez:Issue ; dcterms:type ?kind }
GROUP BY ?kind ORDER BY ?kind"""
)
_LISTED: Final = (
    SPARQL_PREFIXES
    + """
SELECT DISTINCT ?issue ?kind { KIND ?issue a hpez:Issue ; dcterms:type ?kind
} ORDER BY ?kind ?issue OFFSET FIRST LIMIT MOST"""
)
_OF_TARGETS: Final = (
    SPARQL_PREFIXES
    + """
SELECT DISTINCT ?issue { VALUES ?target { TARGETS } ?issue oa:hasTarget ?target ; a hpez:Issue
} ORDER BY ?issue LIMIT MOST"""
)
_DETAILS: Final = (
    SPARQL_PREFIXES
    + """
SELECT DISTINCT ?issue ?kind ?text ?target {
  VALUES ?issue { ISSUES }
  { ?issue dcterms:type ?kind } UNION { ?issue oa:hasBody/rdf:value ?text } UNION { ?issue oa:hasTarget ?target }
} ORDER BY ?issue ?kind ?target LIMIT """
    + str(MOST_TARGETS)
)


@dataclass(frozen=True)
class Issue:
    """An issue: its kind, its words by language, and the claims and things that it is about."""

    iri: str
    kind: str | None
    texts: Mapping[str, str]
    targets: tuple[NamedNode, ...]

    @property
    def iris(self) -> tuple[str, ...]:
        """All that it names, to be labelled."""
        return (self.iri, *([self.kind] if self.kind else []), *(target.value for target in self.targets))


def kinds(engine: Engine) -> dict[str, int]:
    """How many issues there are of each kind, by its IRI."""
    return {row["kind"].value: int(row["n"].value) for row in engine.select(_KINDS)}


def listed(engine: Engine, kind: NamedNode | None, offset: int, limit: int) -> list[Issue]:
    """Some of the issues, of a kind or of all, ordered by kind."""
    restriction = f"VALUES ?kind {{ {kind} }}" if kind else ""
    text = _LISTED.replace("KIND", restriction).replace("FIRST", str(offset)).replace("MOST", str(limit))
    return details(engine, [row["issue"] for row in engine.select(text) if isinstance(row["issue"], NamedNode)])


def concerning(engine: Engine, targets: Iterable[NamedNode], limit: int = 50) -> list[Issue]:
    """The issues that are about any of some nodes."""
    nodes = " ".join(sorted(map(str, targets)))
    rows = engine.select(_OF_TARGETS.replace("TARGETS", nodes).replace("MOST", str(limit))) if nodes else []
    return details(engine, [row["issue"] for row in rows if isinstance(row["issue"], NamedNode)])


def details(engine: Engine, issues: Iterable[NamedNode]) -> list[Issue]:
    """What some issues say, in their order."""
    wanted = tuple(dict.fromkeys(issues))
    if not wanted:
        return []
    kind, texts, targets = dict[str, str](), dict[str, dict[str, str]](), dict[str, list[NamedNode]]()
    for row in engine.select(_DETAILS.replace("ISSUES", " ".join(map(str, wanted)))):
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
