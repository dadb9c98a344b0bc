"""The JSON-LD context of the project: its prefixes, the terms of its ontology, and local names for reused terms."""

from functools import cache
from typing import Final

from kg.rdf.jsonld import LANGUAGE_COERCION, REFERENCE_COERCION, Context, TermDefinition
from kg.rdf.namespaces import DCAT, DCTERMS, HPEZ, OA, OWL, PREFIXES, PROV, RDF, RDFS, SCHEMA, SKOS, VOID, XSD
from kg.views.ontology_terms import ontology_terms

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
"""Local names of reused terms, by the coercion of their values and by namespace."""


@cache
def project_context() -> Context:
    """Return the context that /context.jsonld serves; each term of the ontology has its local name as key."""
    prefixes = {name: iri for name, iri in PREFIXES.items() if name != "id"}
    reused = {
        local: TermDefinition(namespace + local, coercion)
        for coercion, namespaces in _REUSED_TERMS.items()
        for namespace, locals_ in namespaces.items()
        for local in locals_
    }
    return Context(prefixes, reused | _ontology_definitions())


def _ontology_definitions() -> dict[str, TermDefinition]:
    return {
        term.iri.removeprefix(HPEZ): TermDefinition(
            term.iri, REFERENCE_COERCION if OWL + "ObjectProperty" in term.types else None
        )
        for term in ontology_terms()
        if term.iri.startswith(HPEZ)
    }
