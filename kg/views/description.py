"""The complete description of one IRI, as linked data: statements in both directions, claims with evidence, labels."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from kg.engine.protocol import Engine
from kg.errors import NotFoundError
from kg.rdf.namespaces import HPEZ, RDFS
from kg.rdf.terms import RDF_TYPE, BlankNode, Literal, NamedNode, Triple, iri_candidates
from kg.rdf.texts_by_language import TextsByLanguage
from kg.sources.anchors import Anchor, load_anchors_of_claims
from kg.sparql.templates import Template, prefixed_template
from kg.views.query_results import only_iris, select_iris

MAX_INVERSE_STATEMENTS: Final = 500
"""The number of inverse statements that a description lists; their counts by predicate are always complete."""
CLAIM_LIMIT: Final = 500
"""The number of claims about a node that a description lists with their evidence."""

_OUTGOING_QUERY: Final = Template(
    """
CONSTRUCT { ?s ?p ?o } WHERE {
  { VALUES ?s { $iri } ?s ?p ?o }
  UNION { $iri ?p1 ?s . FILTER (ISBLANK(?s)) ?s ?p ?o }
  UNION { $iri ?p1 ?a . FILTER (ISBLANK(?a)) ?a ?p2 ?s . FILTER (ISBLANK(?s)) ?s ?p ?o }
}"""
)
_INVERSE_COUNTS_QUERY: Final = Template(
    "SELECT ?p (COUNT(DISTINCT ?s) AS ?n) { ?s ?p $iri FILTER (!ISBLANK(?s)) } GROUP BY ?p ORDER BY ?p"
)
_INVERSE_QUERY: Final = Template("CONSTRUCT { ?s ?p $iri } WHERE { ?s ?p $iri FILTER (!ISBLANK(?s)) } ORDER BY ?p ?s")
_INVERSE_SAMPLE_QUERY: Final = Template(
    "CONSTRUCT { ?s $predicate $iri } WHERE { ?s $predicate $iri FILTER (!ISBLANK(?s)) } LIMIT $limit"
)
_CLAIMS_QUERY: Final = prefixed_template(
    """
SELECT DISTINCT ?claim { { ?claim schema:observationAbout $iri } UNION { ?claim rdf:subject $iri }
  UNION { ?claim rdf:object $iri } UNION { BIND ($iri AS ?claim) ?claim hpez:evidence ?any }
} ORDER BY ?claim LIMIT $limit"""
)
_LABELS_QUERY: Final = prefixed_template(
    """
SELECT ?node ?label ?quoted { VALUES ?node { $nodes } { ?node rdfs:label ?label }
  UNION { ?node oa:hasSelector ?quote . ?quote oa:exact ?label BIND (true AS ?quoted) }
} ORDER BY ?node ?label"""
)
_EXISTS_QUERY: Final = Template("SELECT ?p { { $iri ?p ?o } UNION { ?s ?p $iri } } LIMIT 1")
_LABEL_PROPERTY: Final = NamedNode(RDFS + "label")
_EVIDENCE_PROPERTY: Final = NamedNode(HPEZ + "evidence")


@dataclass(frozen=True)
class Description:
    """The statements about `iri` and what is needed to show them.

    `inverse` holds statements that have `iri` as object: all of them, or a sample for each predicate.
    `inverse_counts` is the complete number for each predicate. `anchors` is keyed by claim, `labels` by IRI.
    `labelled_by_quote` are the IRIs of evidence without a label: their label is the text that they quote.
    """

    iri: NamedNode
    statements: tuple[Triple, ...]
    inverse: tuple[Triple, ...]
    inverse_counts: Mapping[str, int]
    claims: tuple[NamedNode, ...]
    anchors: Mapping[NamedNode, tuple[Anchor, ...]]
    labels: Mapping[str, TextsByLanguage]
    labelled_by_quote: frozenset[str]

    @property
    def types(self) -> tuple[str, ...]:
        """The IRIs of its classes."""
        types = only_iris(
            triple.object for triple in self.statements if (triple.subject, triple.predicate) == (self.iri, RDF_TYPE)
        )
        return tuple(node.value for node in types)

    def triples(self) -> list[Triple]:
        """Return the description as RDF: statements in both directions, evidence, and labels of all mentioned IRIs."""
        labels = [
            Triple(NamedNode(iri), _LABEL_PROPERTY, Literal(text, language=language) if language else Literal(text))
            for iri, texts in self.labels.items()
            if iri not in self.labelled_by_quote
            for language, text in texts.items()
        ]
        evidence = [
            triple
            for claim, anchors in self.anchors.items()
            for anchor in anchors
            for triple in (Triple(claim, _EVIDENCE_PROPERTY, anchor.evidence), *anchor.triples())
        ]
        return list(dict.fromkeys((*self.statements, *self.inverse, *evidence, *labels)))

    def label(self, iri: str, language: str) -> str | None:
        """Return the label of an IRI in a language, else in another language, else None."""
        return self.labels.get(iri, TextsByLanguage()).best(language)


def describe(engine: Engine, iri: str) -> Description:
    """Collect the description of an IRI; raises NotFoundError if no statement has it as subject or object.

    An IRI that was percent-decoded, for example from a URL, also finds the stored percent-encoded form.
    """
    for node in iri_candidates(iri):
        statements = _with_stable_blank_nodes(engine.construct(_OUTGOING_QUERY.fill(iri=node)))
        counts = _count_inverse(engine, node)
        if statements or counts:
            return _load_description(engine, node, statements, counts)
    raise NotFoundError(f"Nothing is said about <{iri}> here.")


def _load_description(
    engine: Engine, node: NamedNode, statements: tuple[Triple, ...], counts: Mapping[str, int]
) -> Description:
    inverse = _load_inverse(engine, node, counts)
    claims = tuple(select_iris(engine, _CLAIMS_QUERY.fill(iri=node, limit=CLAIM_LIMIT), "claim"))
    anchors = load_anchors_of_claims(engine, claims) if claims else {}
    mentioned = {node, *claims, *(anchor.source for items in anchors.values() for anchor in items)}
    for triple in (*statements, *inverse):
        mentioned.update(only_iris((triple.subject, triple.predicate, triple.object)))
    labels, labelled_by_quote = load_labels(engine, mentioned)
    return Description(node, statements, inverse, counts, claims, anchors, labels, labelled_by_quote)


def is_known(engine: Engine, iri: str) -> bool:
    """Return whether any statement has the IRI as subject or object."""
    return any(engine.select(_EXISTS_QUERY.fill(iri=node)) for node in iri_candidates(iri))


def load_labels(engine: Engine, nodes: Iterable[NamedNode]) -> tuple[dict[str, TextsByLanguage], frozenset[str]]:
    """Return labels by IRI and language, and the IRIs that have a quotation in place of a label.

    A label is the rdfs:label, or for evidence without one the words that it quotes.
    """
    labels = defaultdict[str, TextsByLanguage](TextsByLanguage)
    quotes = defaultdict[str, TextsByLanguage](TextsByLanguage)
    for row in engine.select(_LABELS_QUERY.fill(nodes=set(nodes))):
        label = row["label"]
        if isinstance(label, Literal):
            (quotes if "quoted" in row else labels)[row["node"].value][label.language or ""] = label.value
    return {**quotes, **labels}, frozenset(quotes.keys() - labels.keys())


def _with_stable_blank_nodes(triples: Iterable[Triple]) -> tuple[Triple, ...]:
    """Sort triples and label their blank nodes by content, so that equal data gives equal bytes and entity tags.

    An engine may label and order blank nodes differently for each query. RDFC-1.0 would be more thorough, but takes
    exponential time for some graphs (9 s for six blank nodes that all point at the same six), and this runs for
    each page; comparing two levels of content takes linear time.
    """
    by_subject = defaultdict[object, list[Triple]](list)
    for triple in triples:
        by_subject[triple.subject].append(triple)

    def content(term: object, depth: int = 2) -> str:
        if not isinstance(term, BlankNode):
            return str(term)
        if depth == 0:
            return ""
        parts = sorted(f"{item.predicate} {content(item.object, depth - 1)}" for item in by_subject[term])
        return f"[{';'.join(parts)}]"

    blank_nodes = {item.object for items in by_subject.values() for item in items if isinstance(item.object, BlankNode)}
    labels = {node: BlankNode(f"b{number}") for number, node in enumerate(sorted(blank_nodes, key=content))}
    relabelled = (_relabel(item, labels) for items in by_subject.values() for item in items)
    return tuple(sorted(relabelled, key=lambda item: (isinstance(item.subject, BlankNode), str(item))))


def _relabel(triple: Triple, labels: Mapping[BlankNode, BlankNode]) -> Triple:
    subject, value = triple.subject, triple.object
    return Triple(
        labels[subject] if isinstance(subject, BlankNode) else subject,
        triple.predicate,
        labels[value] if isinstance(value, BlankNode) else value,
    )


def _count_inverse(engine: Engine, node: NamedNode) -> dict[str, int]:
    rows = engine.select(_INVERSE_COUNTS_QUERY.fill(iri=node))
    return {row["p"].value: int(row["n"].value) for row in rows if "p" in row}


def _load_inverse(engine: Engine, node: NamedNode, counts: Mapping[str, int]) -> tuple[Triple, ...]:
    """Return all inverse statements, or an equal share for each predicate, so that a frequent one hides no other."""
    if sum(counts.values()) <= MAX_INVERSE_STATEMENTS:
        return tuple(engine.construct(_INVERSE_QUERY.fill(iri=node))) if counts else ()
    share = max(1, MAX_INVERSE_STATEMENTS // len(counts))
    queries = (_INVERSE_SAMPLE_QUERY.fill(iri=node, predicate=NamedNode(iri), limit=share) for iri in counts)
    return tuple(triple for query in queries for triple in engine.construct(query))
