"""Namespaces and prefixes of the project, the IRIs of its named graphs, and slugs."""

import re
import unicodedata
from typing import Final

BASE: Final = "https://w3id.org/hpez/"
ONTOLOGY: Final = BASE + "ontology"
SHAPES: Final = BASE + "shapes"
HPEZ: Final = ONTOLOGY + "#"
HPSH: Final = SHAPES + "#"
ID: Final = BASE + "id/"
GRAPH: Final = BASE + "graph/"

RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDFS: Final = "http://www.w3.org/2000/01/rdf-schema#"
XSD: Final = "http://www.w3.org/2001/XMLSchema#"
OWL: Final = "http://www.w3.org/2002/07/owl#"
SH: Final = "http://www.w3.org/ns/shacl#"
DASH: Final = "http://datashapes.org/dash#"
SKOS: Final = "http://www.w3.org/2004/02/skos/core#"
DCTERMS: Final = "http://purl.org/dc/terms/"
SCHEMA: Final = "https://schema.org/"
PROV: Final = "http://www.w3.org/ns/prov#"
OA: Final = "http://www.w3.org/ns/oa#"
VOID: Final = "http://rdfs.org/ns/void#"
DCAT: Final = "http://www.w3.org/ns/dcat#"
FOAF: Final = "http://xmlns.com/foaf/0.1/"
SD: Final = "http://www.w3.org/ns/sparql-service-description#"

PREFIXES: Final[dict[str, str]] = {
    "bibo": "http://purl.org/ontology/bibo/",
    "dash": DASH,
    "dcat": DCAT,
    "dcterms": DCTERMS,
    "foaf": FOAF,
    "geo": "http://www.opengis.net/ont/geosparql#",
    "hpez": HPEZ,
    "hpsh": HPSH,
    "id": ID,
    "nif": "http://persistence.uni-leipzig.org/nlp2rdf/ontologies/nif-core#",
    "oa": OA,
    "org": "http://www.w3.org/ns/org#",
    "owl": OWL,
    "pav": "http://purl.org/pav/",
    "prov": PROV,
    "quantitykind": "http://qudt.org/vocab/quantitykind/",
    "qudt": "http://qudt.org/schema/qudt/",
    "rdf": RDF,
    "rdfs": RDFS,
    "schema": SCHEMA,
    "sd": SD,
    "sh": SH,
    "skos": SKOS,
    "unit": "http://qudt.org/vocab/unit/",
    "vann": "http://purl.org/vocab/vann/",
    "void": VOID,
    "wd": "http://www.wikidata.org/entity/",
    "wikibase": "http://wikiba.se/ontology#",
    "xsd": XSD,
}
"""The prefixes of all serialisations, pages and examples."""

SPARQL_PREFIXES: Final = "".join(f"PREFIX {name}: <{iri}>\n" for name, iri in PREFIXES.items())


def graph_iri(name: str) -> str:
    """Return the IRI of a named graph, such as `entities` or `source/dnhn-94474`."""
    return GRAPH + name


def graph_name(iri: str) -> str | None:
    """Return the name of one of the project's graphs, or None for any other IRI."""
    return iri.removeprefix(GRAPH) if iri.startswith(GRAPH) and iri != GRAPH else None


def slugify(label: str) -> str:
    """Convert a label to an ASCII slug, so that Vietnamese names give readable IRIs.

    The letter đ has no decomposition in Unicode, so it is mapped before NFD separates the diacritics. Each run of other
    characters than ASCII letters and digits becomes a hyphen. The result may be empty.
    """
    mapped = label.replace("đ", "d").replace("Đ", "D")
    decomposed = unicodedata.normalize("NFD", mapped)
    bare = "".join(char for char in decomposed if not unicodedata.combining(char))
    return re.sub(r"[^a-z0-9]+", "-", bare.lower()).strip("-")


def compact(iri: str) -> str:
    """Return an IRI as a prefixed name for people to read, or in angle brackets if no prefix fits."""
    fits = [(len(namespace), name) for name, namespace in PREFIXES.items() if iri.startswith(namespace)]
    if not fits:
        return f"<{iri}>"
    length, name = max(fits)
    return f"{name}:{iri[length:]}"
