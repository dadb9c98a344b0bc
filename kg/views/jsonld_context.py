"""The JSON-LD context of the project: its prefixes, its own terms, and readable names for the terms that it reuses."""

from functools import cache
from typing import Final

from kg.rdf.formats import TURTLE
from kg.rdf.io import parse
from kg.rdf.jsonld import LANGUAGE_COERCION, REFERENCE_COERCION, Context, TermDefinition
from kg.rdf.namespaces import DCAT, DCTERMS, HPEZ, OA, OWL, PREFIXES, PROV, RDF, RDFS, SCHEMA, SKOS, VOID, XSD
from kg.rdf.terms import RDF_TYPE, NamedNode, Quad
from kg.resources import ontology_files

_ORG: Final = PREFIXES["org"]
_QUDT: Final = PREFIXES["qudt"]

_REUSED_TERMS: Final[dict[str | None, dict[str, tuple[str, ...]]]] = {
    LANGUAGE_COERCION: {
        DCTERMS: ("description", "title"),
        RDFS: ("comment", "label"),
        SCHEMA: ("name",),
        SKOS: ("altLabel", "definition", "prefLabel"),
    },
    REFERENCE_COERCION: {
        DCAT: ("accessService", "accessURL", "distribution", "downloadURL", "mediaType"),
        DCTERMS: ("creator", "license", "publisher", "temporal"),
        OA: ("hasBody", "hasSelector", "hasSource", "hasTarget", "motivatedBy"),
        PROV: (
            "atLocation", "wasAssociatedWith", "wasAttributedTo", "wasDerivedFrom", "wasGeneratedBy",
            "wasInfluencedBy", "wasInformedBy",
        ),
        RDF: ("object", "predicate", "subject"),
        RDFS: ("domain", "isDefinedBy", "range", "seeAlso", "subClassOf", "subPropertyOf"),
        SCHEMA: ("containedInPlace", "observationAbout", "url", "variableMeasured"),
        SKOS: ("broader", "closeMatch", "exactMatch", "inScheme", "member", "narrower", "topConceptOf"),
        VOID: (
            "class", "classPartition", "dataDump", "feature", "inDataset", "property", "propertyPartition",
            "sparqlEndpoint", "subset", "vocabulary",
        ),
        _ORG: ("headOf", "holds", "memberOf", "postIn"),
        _QUDT: ("hasQuantityKind", "hasUnit"),
    },
    XSD + "date": {
        DCTERMS: ("created", "issued"),
        PREFIXES["pav"]: ("retrievedOn",),
        SCHEMA: ("endDate", "startDate"),
    },
    XSD + "decimal": {SCHEMA: ("maxValue", "minValue", "value")},
    None: {
        DCTERMS: ("identifier",),
        OA: ("end", "exact", "start"),
        SCHEMA: ("inLanguage", "propertyID", "sha256"),
        SKOS: ("notation",),
        VOID: ("distinctObjects", "distinctSubjects", "entities", "properties", "classes", "triples", "uriSpace"),
    },
}  # fmt: skip
"""Local names that are terms of the context, by what values they take and by namespace."""


@cache
def project_context() -> Context:
    """The context at /context.jsonld; every term of the ontology has its local name there."""
    prefixes = {name: iri for name, iri in PREFIXES.items() if name != "id"}
    reused = {
        local: TermDefinition(namespace + local, coercion)
        for coercion, namespaces in _REUSED_TERMS.items()
        for namespace, locals_ in namespaces.items()
        for local in locals_
    }
    return Context(prefixes, reused | _ontology_terms())


def _ontology_terms() -> dict[str, TermDefinition]:
    quads = [quad for file in ontology_files() for quad in parse(file.text.encode(), TURTLE)]
    references = {quad.subject for quad in quads if quad.predicate == RDF_TYPE and quad.object == _OBJECT_PROPERTY}
    terms = {quad.subject for quad in quads if _is_own_term(quad)}
    return {
        term.value.removeprefix(HPEZ): TermDefinition(term.value, REFERENCE_COERCION if term in references else None)
        for term in terms
        if isinstance(term, NamedNode)
    }


_OBJECT_PROPERTY: Final = NamedNode(OWL + "ObjectProperty")


def _is_own_term(quad: Quad) -> bool:
    return quad.predicate == RDF_TYPE and isinstance(quad.subject, NamedNode) and quad.subject.value.startswith(HPEZ)
