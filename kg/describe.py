"""All that a document shows of one IRI: its own statements, who points at it, its claims with their evidence."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from kg.engine.protocol import Engine
from kg.errors import NotFoundError
from kg.rdf import BlankNode, Literal, NamedNode, Triple
from kg.terms import HPEZ, OA, RDF, RDFS, SPARQL_PREFIXES

INVERSE_LIMIT: Final = 500
"""How many statements that point at a node a document lists."""

_OWN: Final = (
    "CONSTRUCT { <IRI> ?p ?o } WHERE { <IRI> ?p ?o }",
    "CONSTRUCT { ?a ?p ?o } WHERE { <IRI> ?p1 ?a . FILTER (ISBLANK(?a)) ?a ?p ?o }",
    "CONSTRUCT { ?b ?p ?o } WHERE { <IRI> ?p1 ?a . FILTER (ISBLANK(?a)) ?a ?p2 ?b . FILTER (ISBLANK(?b)) ?b ?p ?o }",
)
_INVERSE: Final = "CONSTRUCT { ?s ?p <IRI> } WHERE { ?s ?p <IRI> FILTER (!ISBLANK(?s)) } ORDER BY ?p ?s LIMIT "
_CLAIMS: Final = (
    SPARQL_PREFIXES
    + """
SELECT DISTINCT ?claim { { ?claim schema:observationAbout <IRI> } UNION { ?claim rdf:subject <IRI> }
  UNION { ?claim rdf:object <IRI> } UNION { BIND (<IRI> AS ?claim) ?claim hpez:evidence ?any }
} ORDER BY ?claim"""
)
_EVIDENCE: Final = (
    SPARQL_PREFIXES
    + """
SELECT ?claim ?evidence ?source ?start ?end ?exact {
  VALUES ?claim { CLAIMS }
  ?claim hpez:evidence ?evidence . ?evidence oa:hasSource ?source ; oa:hasSelector ?position , ?quote .
  ?position oa:start ?start ; oa:end ?end . ?quote oa:exact ?exact
} ORDER BY ?claim ?start"""
)
_LABELS: Final = (
    SPARQL_PREFIXES
    + """
SELECT ?node ?label { VALUES ?node { NODES } { ?node rdfs:label ?label }
  UNION { ?node oa:hasSelector ?quote . ?quote oa:exact ?label }
} ORDER BY ?node ?label"""
)
_KNOWN: Final = "SELECT ?p { { <IRI> ?p ?o } UNION { ?s ?p <IRI> } } LIMIT 1"


@dataclass(frozen=True)
class Anchor:
    """Where a source says what a claim claims: code points `start` to `end`, and the words there."""

    claim: NamedNode
    evidence: NamedNode
    source: NamedNode
    start: int
    end: int
    exact: str

    def triples(self) -> Iterator[Triple]:
        """The anchor as a Web Annotation specific resource with both selectors, cited by its claim."""
        position, quote = (BlankNode(f"{kind}-{self.start}-{self.end}") for kind in ("position", "quote"))
        yield Triple(self.claim, NamedNode(HPEZ + "evidence"), self.evidence)
        yield Triple(self.evidence, _TYPE, NamedNode(OA + "SpecificResource"))
        yield Triple(self.evidence, NamedNode(OA + "hasSource"), self.source)
        yield Triple(self.evidence, NamedNode(OA + "hasSelector"), position)
        yield Triple(position, _TYPE, NamedNode(OA + "TextPositionSelector"))
        yield Triple(position, NamedNode(OA + "start"), Literal(self.start))
        yield Triple(position, NamedNode(OA + "end"), Literal(self.end))
        yield Triple(self.evidence, NamedNode(OA + "hasSelector"), quote)
        yield Triple(quote, _TYPE, NamedNode(OA + "TextQuoteSelector"))
        yield Triple(quote, NamedNode(OA + "exact"), Literal(self.exact))


@dataclass(frozen=True)
class Description:
    """What is said of `iri`; `labels` names every IRI that occurs, by IRI and language."""

    iri: NamedNode
    statements: tuple[Triple, ...]
    inverse: tuple[Triple, ...]
    claims: tuple[NamedNode, ...]
    anchors: tuple[Anchor, ...]
    labels: Mapping[str, Mapping[str, str]]

    def triples(self) -> list[Triple]:
        """The description as RDF: statements both ways, and the label of every node named."""
        names = [
            Triple(NamedNode(iri), _LABEL, Literal(text, language=language) if language else Literal(text))
            for iri, texts in self.labels.items()
            for language, text in texts.items()
        ]
        evidence = [triple for anchor in self.anchors for triple in anchor.triples()]
        return list(dict.fromkeys((*self.statements, *self.inverse, *evidence, *names)))

    def label(self, iri: str, language: str) -> str | None:
        """The name of a node in a language, or in another one where there is none in that."""
        texts = self.labels.get(iri, {})
        return texts.get(language) or next(iter(texts.values()), None)


_LABEL: Final = NamedNode(RDFS + "label")
_TYPE: Final = NamedNode(RDF + "type")


def describe(engine: Engine, iri: str) -> Description:
    """Collect what is said of an IRI; raises NotFoundError if it is neither subject nor object of anything."""
    try:
        node = NamedNode(iri)
    except ValueError:
        raise NotFoundError(f"Nothing can be said about <{iri}>, which is no IRI.") from None
    statements = tuple(triple for query in _OWN for triple in engine.construct(_about(query, node)))
    inverse = tuple(engine.construct(_about(_INVERSE, node) + str(INVERSE_LIMIT)))
    if not statements and not inverse:
        raise NotFoundError(f"Nothing is said about <{iri}> here.")
    claims = tuple(_iris(row["claim"] for row in engine.select(_about(_CLAIMS, node))))
    anchors = _anchors(engine, claims)
    mentioned = {node, *claims, *(anchor.source for anchor in anchors)}
    for triple in (*statements, *inverse):
        mentioned.update(_iris((triple.subject, triple.predicate, triple.object)))
    return Description(node, statements, inverse, claims, anchors, labels(engine, mentioned))


def is_known(engine: Engine, iri: str) -> bool:
    """Whether anything is said of an IRI, or with it."""
    try:
        node = NamedNode(iri)
    except ValueError:
        return False
    return bool(engine.select(_about(_KNOWN, node)))


def labels(engine: Engine, nodes: Iterable[NamedNode]) -> dict[str, dict[str, str]]:
    """Name nodes, by IRI and language ("" where a name has none): by label, or by the words that evidence quotes."""
    found = dict[str, dict[str, str]]()
    for row in engine.select(_LABELS.replace("NODES", " ".join(sorted(map(str, nodes))))):
        label = row["label"]
        if isinstance(label, Literal):
            found.setdefault(row["node"].value, {})[label.language or ""] = label.value
    return found


def _anchors(engine: Engine, claims: tuple[NamedNode, ...]) -> tuple[Anchor, ...]:
    rows = engine.select(_EVIDENCE.replace("CLAIMS", " ".join(map(str, claims))))
    return tuple(
        Anchor(claim, evidence, source, int(row["start"].value), int(row["end"].value), row["exact"].value)
        for row in rows
        for claim, evidence, source in [_iris((row["claim"], row["evidence"], row["source"]))]
    )


def _about(query: str, node: NamedNode) -> str:
    return query.replace("<IRI>", str(node))


def _iris(terms: Iterable[object]) -> list[NamedNode]:
    return [term for term in terms if isinstance(term, NamedNode)]
