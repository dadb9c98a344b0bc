"""All that a document shows of one IRI: its own statements, who points at it, its claims with their evidence."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from kg.engine.protocol import Engine
from kg.errors import NotFoundError
from kg.rdf.namespaces import HPEZ, OA, RDF, RDFS, SPARQL_PREFIXES
from kg.rdf.terms import BlankNode, Literal, NamedNode, Triple, iri_candidates

MAX_INVERSE_STATEMENTS: Final = 500
"""How many statements that point at a node a document lists; what there is of each predicate is always counted."""
CLAIM_LIMIT: Final = 500
"""How many claims about a node a document lists with their evidence."""

_OUTGOING_QUERY: Final = """
CONSTRUCT { ?s ?p ?o } WHERE {
  { VALUES ?s { <IRI> } ?s ?p ?o }
  UNION { <IRI> ?p1 ?s . FILTER (ISBLANK(?s)) ?s ?p ?o }
  UNION { <IRI> ?p1 ?a . FILTER (ISBLANK(?a)) ?a ?p2 ?s . FILTER (ISBLANK(?s)) ?s ?p ?o }
}"""
_INVERSE_COUNTS_QUERY: Final = """
SELECT ?p (COUNT(DISTINCT ?s) AS ?n) { ?s ?p <IRI> FILTER (!ISBLANK(?s)) } GROUP BY ?p ORDER BY ?p"""
_INVERSE_QUERY: Final = "CONSTRUCT { ?s ?p <IRI> } WHERE { ?s ?p <IRI> FILTER (!ISBLANK(?s)) } ORDER BY ?p ?s"
_INVERSE_SAMPLE_QUERY: Final = (
    "CONSTRUCT { ?s <PREDICATE> <IRI> } WHERE { ?s <PREDICATE> <IRI> FILTER (!ISBLANK(?s)) } LIMIT "
)
_CLAIMS_QUERY: Final = (
    SPARQL_PREFIXES
    + """
SELECT DISTINCT ?claim { { ?claim schema:observationAbout <IRI> } UNION { ?claim rdf:subject <IRI> }
  UNION { ?claim rdf:object <IRI> } UNION { BIND (<IRI> AS ?claim) ?claim hpez:evidence ?any }
} ORDER BY ?claim LIMIT """
    + str(CLAIM_LIMIT)
)
_EVIDENCE_QUERY: Final = (
    SPARQL_PREFIXES
    + """
SELECT ?claim ?evidence ?source ?start ?end ?exact {
  VALUES ?claim { CLAIMS }
  ?claim hpez:evidence ?evidence . ?evidence oa:hasSource ?source ; oa:hasSelector ?position , ?quote .
  ?position oa:start ?start ; oa:end ?end . ?quote oa:exact ?exact
} ORDER BY ?claim ?start"""
)
_LABELS_QUERY: Final = (
    SPARQL_PREFIXES
    + """
SELECT ?node ?label ?quoted { VALUES ?node { NODES } { ?node rdfs:label ?label }
  UNION { ?node oa:hasSelector ?quote . ?quote oa:exact ?label BIND (true AS ?quoted) }
} ORDER BY ?node ?label"""
)
_EXISTS_QUERY: Final = "SELECT ?p { { <IRI> ?p ?o } UNION { ?s ?p <IRI> } } LIMIT 1"


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
        yield Triple(self.evidence, _TYPE_PROPERTY, NamedNode(OA + "SpecificResource"))
        yield Triple(self.evidence, NamedNode(OA + "hasSource"), self.source)
        yield Triple(self.evidence, NamedNode(OA + "hasSelector"), position)
        yield Triple(position, _TYPE_PROPERTY, NamedNode(OA + "TextPositionSelector"))
        yield Triple(position, NamedNode(OA + "start"), Literal(self.start))
        yield Triple(position, NamedNode(OA + "end"), Literal(self.end))
        yield Triple(self.evidence, NamedNode(OA + "hasSelector"), quote)
        yield Triple(quote, _TYPE_PROPERTY, NamedNode(OA + "TextQuoteSelector"))
        yield Triple(quote, NamedNode(OA + "exact"), Literal(self.exact))


@dataclass(frozen=True)
class Description:
    """What is said of `iri`.

    `inverse` are statements that point at it, all or a share of each predicate; `inverse_sizes` counts them all by
    predicate. `labels` names every IRI that occurs, by IRI and language; `quoted` are those that have no label and are
    named by the words that they quote.
    """

    iri: NamedNode
    statements: tuple[Triple, ...]
    inverse: tuple[Triple, ...]
    inverse_counts: Mapping[str, int]
    claims: tuple[NamedNode, ...]
    anchors: tuple[Anchor, ...]
    labels: Mapping[str, Mapping[str, str]]
    labelled_by_quote: frozenset[str]

    @property
    def types(self) -> tuple[str, ...]:
        """The classes that it is said to be in."""
        found = (
            triple.object
            for triple in self.statements
            if (triple.subject, triple.predicate) == (self.iri, _TYPE_PROPERTY)
        )
        return tuple(term.value for term in found if isinstance(term, NamedNode))

    def triples(self) -> list[Triple]:
        """The description as RDF: statements both ways, and the label of every node named."""
        names = [
            Triple(NamedNode(iri), _LABEL_PROPERTY, Literal(text, language=language) if language else Literal(text))
            for iri, texts in self.labels.items()
            if iri not in self.labelled_by_quote
            for language, text in texts.items()
        ]
        evidence = [triple for anchor in self.anchors for triple in anchor.triples()]
        return list(dict.fromkeys((*self.statements, *self.inverse, *evidence, *names)))

    def label(self, iri: str, language: str) -> str | None:
        """The name of a node in a language, or in another one where there is none in that."""
        texts = self.labels.get(iri, {})
        return texts.get(language) or next(iter(texts.values()), None)


_LABEL_PROPERTY: Final = NamedNode(RDFS + "label")
_TYPE_PROPERTY: Final = NamedNode(RDF + "type")


def describe(engine: Engine, iri: str) -> Description:
    """Collect what is said of an IRI; raises NotFoundError if it is neither subject nor object of anything.

    An IRI that comes decoded out of a URL may be held percent-encoded; it is found either way.
    """
    for node in iri_candidates(iri):
        statements = _normalize_statements(engine.construct(_query_about(_OUTGOING_QUERY, node)))
        sizes = _count_inverse(engine, node)
        if statements or sizes:
            return _load_description(engine, node, statements, sizes)
    raise NotFoundError(f"Nothing is said about <{iri}> here.")


def _load_description(
    engine: Engine, node: NamedNode, statements: tuple[Triple, ...], sizes: Mapping[str, int]
) -> Description:
    inverse = _load_inverse(engine, node, sizes)
    claims = tuple(_named_nodes(row["claim"] for row in engine.select(_query_about(_CLAIMS_QUERY, node))))
    cited = load_anchors(engine, claims) if claims else ()
    mentioned = {node, *claims, *(anchor.source for anchor in cited)}
    for triple in (*statements, *inverse):
        mentioned.update(_named_nodes((triple.subject, triple.predicate, triple.object)))
    named, quoted = load_labels(engine, mentioned)
    return Description(node, statements, inverse, sizes, claims, cited, named, quoted)


def is_known(engine: Engine, iri: str) -> bool:
    """Whether anything is said of an IRI, or with it."""
    return any(engine.select(_query_about(_EXISTS_QUERY, node)) for node in iri_candidates(iri))


def load_labels(engine: Engine, nodes: Iterable[NamedNode]) -> tuple[dict[str, dict[str, str]], frozenset[str]]:
    """Name nodes, by IRI and language ("" where a name has none): by label, else by the words that evidence quotes.

    Which nodes have no label but such words is the second value.
    """
    found, quotes = dict[str, dict[str, str]](), dict[str, dict[str, str]]()
    for row in engine.select(_LABELS_QUERY.replace("NODES", " ".join(sorted(map(str, nodes))))):
        label = row["label"]
        if isinstance(label, Literal):
            names = quotes if "quoted" in row else found
            names.setdefault(row["node"].value, {})[label.language or ""] = label.value
    return quotes | found, frozenset(quotes.keys() - found.keys())


def _normalize_statements(triples: Iterable[Triple]) -> tuple[Triple, ...]:
    """Order statements, and name blank nodes, by what they say: an engine may do so differently each time.

    So equal data is equal byte for byte, which entity tags promise.
    """
    said = defaultdict[object, list[Triple]](list)
    for triple in triples:
        said[triple.subject].append(triple)

    def text(term: object, depth: int = 2) -> str:
        if not isinstance(term, BlankNode) or depth == 0:
            return "" if isinstance(term, BlankNode) else str(term)
        return "[" + ";".join(sorted(f"{item.predicate} {text(item.object, depth - 1)}" for item in said[term])) + "]"

    blank = {item.object for items in said.values() for item in items if isinstance(item.object, BlankNode)}
    names = {node: BlankNode(f"b{number}") for number, node in enumerate(sorted(blank, key=text))}
    renamed = (_rename_blank_nodes(item, names) for items in said.values() for item in items)
    return tuple(sorted(renamed, key=lambda item: (isinstance(item.subject, BlankNode), str(item))))


def _rename_blank_nodes(triple: Triple, names: Mapping[BlankNode, BlankNode]) -> Triple:
    subject, value = triple.subject, triple.object
    return Triple(
        names[subject] if isinstance(subject, BlankNode) else subject,
        triple.predicate,
        names[value] if isinstance(value, BlankNode) else value,
    )


def _count_inverse(engine: Engine, node: NamedNode) -> dict[str, int]:
    rows = engine.select(_query_about(_INVERSE_COUNTS_QUERY, node))
    return {row["p"].value: int(row["n"].value) for row in rows if "p" in row}


def _load_inverse(engine: Engine, node: NamedNode, sizes: Mapping[str, int]) -> tuple[Triple, ...]:
    """All statements that point at a node, or of each predicate a share, so that none hides the others."""
    if sum(sizes.values()) <= MAX_INVERSE_STATEMENTS:
        return tuple(engine.construct(_query_about(_INVERSE_QUERY, node))) if sizes else ()
    share = str(max(1, MAX_INVERSE_STATEMENTS // len(sizes)))
    shares = (_query_about(_INVERSE_SAMPLE_QUERY, node).replace("<PREDICATE>", f"<{predicate}>") for predicate in sizes)
    return tuple(triple for query in shares for triple in engine.construct(query + share))


def load_anchors(engine: Engine, claims: Iterable[NamedNode]) -> tuple[Anchor, ...]:
    """Where sources say what some claims claim."""
    rows = engine.select(_EVIDENCE_QUERY.replace("CLAIMS", " ".join(map(str, claims))))
    return tuple(
        Anchor(claim, evidence, source, int(row["start"].value), int(row["end"].value), row["exact"].value)
        for row in rows
        for claim, evidence, source in [_named_nodes((row["claim"], row["evidence"], row["source"]))]
    )


def _query_about(query: str, node: NamedNode) -> str:
    return query.replace("<IRI>", str(node))


def _named_nodes(terms: Iterable[object]) -> list[NamedNode]:
    return [term for term in terms if isinstance(term, NamedNode)]
