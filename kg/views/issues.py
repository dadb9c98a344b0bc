"""Issues: questions that sources leave open and statements that contradict each other."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from kg.engine.protocol import Engine
from kg.rdf.namespaces import SPARQL_PREFIXES
from kg.rdf.terms import Literal, NamedNode
from kg.rdf.texts_by_language import TextsByLanguage
from kg.sparql.templates import Fragment, Template, prefixed_template
from kg.views.query_results import select_iris

_MAX_ISSUES_OF_TARGETS: Final = 50
"""The number of issues about the nodes of one page."""
MAX_LOADED_TARGETS: Final = 2000
"""The number of targets that are loaded for the issues of one page."""

_KIND_COUNTS_QUERY: Final = (
    SPARQL_PREFIXES
    + """
SELECT ?kind (COUNT(DISTINCT ?issue) AS ?n) { ?issue a hpez:Issue ; dcterms:type ?kind }
GROUP BY ?kind ORDER BY ?kind"""
)
_LIST_QUERY: Final = prefixed_template(
    """
SELECT DISTINCT ?issue ?kind { $restriction ?issue a hpez:Issue ; dcterms:type ?kind
} ORDER BY ?kind ?issue OFFSET $offset LIMIT $limit"""
)
_KIND_RESTRICTION: Final = Template("VALUES ?kind { $kind }")
_ISSUES_OF_TARGETS_QUERY: Final = prefixed_template(
    """
SELECT DISTINCT ?issue { VALUES ?target { $targets } ?issue oa:hasTarget ?target ; a hpez:Issue
} ORDER BY ?issue LIMIT $limit"""
)
_DETAILS_QUERY: Final = prefixed_template(
    """
SELECT DISTINCT ?issue ?kind ?text ?target {
  VALUES ?issue { $issues }
  { ?issue dcterms:type ?kind } UNION { ?issue oa:hasBody/rdf:value ?text } UNION { ?issue oa:hasTarget ?target }
} ORDER BY ?issue ?kind ?target LIMIT $limit"""
)


@dataclass(frozen=True)
class Issue:
    """An issue: the IRI of its kind, its texts, and the claims and entities that it is about."""

    iri: str
    kind: str | None
    texts: TextsByLanguage
    targets: tuple[NamedNode, ...]

    @property
    def mentioned_iris(self) -> tuple[str, ...]:
        """All IRIs for which a page needs a label."""
        return (self.iri, *([self.kind] if self.kind else []), *(target.value for target in self.targets))


def count_issues_by_kind(engine: Engine) -> dict[str, int]:
    """Return the number of issues of each kind, by the kind's IRI."""
    return {row["kind"].value: int(row["n"].value) for row in engine.select(_KIND_COUNTS_QUERY)}


def list_issues(engine: Engine, kind: NamedNode | None, offset: int, limit: int) -> list[Issue]:
    """Return a slice of the issues of one kind, or of all kinds, ordered by kind and IRI."""
    restriction = Fragment(_KIND_RESTRICTION.fill(kind=kind) if kind else "")
    query = _LIST_QUERY.fill(restriction=restriction, offset=offset, limit=limit)
    return load_issues(engine, select_iris(engine, query, "issue"))


def find_issues_about(engine: Engine, targets: Iterable[NamedNode]) -> list[Issue]:
    """Return the issues that have any of the nodes as target."""
    nodes = set(targets)
    if not nodes:
        return []
    query = _ISSUES_OF_TARGETS_QUERY.fill(targets=nodes, limit=_MAX_ISSUES_OF_TARGETS)
    return load_issues(engine, select_iris(engine, query, "issue"))


def load_issues(engine: Engine, issues: Iterable[NamedNode]) -> list[Issue]:
    """Return issues with their content, in the order given."""
    nodes = tuple(dict.fromkeys(issues))
    if not nodes:
        return []
    kinds, texts, targets = dict[str, str](), dict[str, TextsByLanguage](), dict[str, list[NamedNode]]()
    for row in engine.select(_DETAILS_QUERY.fill(issues=nodes, limit=MAX_LOADED_TARGETS)):
        iri, text, target = row["issue"].value, row.get("text"), row.get("target")
        if isinstance(text, Literal):
            texts.setdefault(iri, TextsByLanguage())[text.language or ""] = text.value
        elif isinstance(target, NamedNode):
            targets.setdefault(iri, []).append(target)
        elif "kind" in row:
            kinds[iri] = row["kind"].value
    return [
        Issue(
            node.value,
            kinds.get(node.value),
            texts.get(node.value, TextsByLanguage()),
            tuple(targets.get(node.value, ())),
        )
        for node in nodes
    ]
