"""The queries that are measured, over graphs of bench.generate."""

from typing import Final

from bench.generate import YEARS, Dataset, claim_iri, zone_iri
from kg.rdf.namespaces import DCTERMS, HPEZ, ID, SCHEMA

PREFIXES: Final = (
    f"PREFIX hpez: <{HPEZ}> PREFIX schema: <{SCHEMA}> PREFIX dcterms: <{DCTERMS}> "
    f"PREFIX per: <{ID}period/> PREFIX ind: <{ID}indicator/> PREFIX st: <{ID}status/>\n"
)

AGGREGATE: Final = """
SELECT ?indicator ?period (COUNT(*) AS ?figures) (SUM(?value) AS ?sum) (AVG(?value) AS ?mean) WHERE {
  ?figure schema:variableMeasured ?indicator ; dcterms:temporal ?period ; schema:value ?value
} GROUP BY ?indicator ?period"""

NOT_EXISTS: Final = """
SELECT ?zone WHERE {
  ?zone a hpez:Zone
  FILTER NOT EXISTS { ?figure schema:observationAbout ?zone ; dcterms:temporal per:2024 }
}"""

OPTIONAL_GROUP: Final = """
SELECT ?zone (COUNT(?figure) AS ?figures) WHERE {
  ?zone a hpez:Zone
  OPTIONAL { ?figure schema:observationAbout ?zone ; dcterms:temporal per:2024 }
} GROUP BY ?zone ORDER BY ?figures ?zone LIMIT 20"""

NESTED_OPTIONAL: Final = """
SELECT ?zone ?exports ?plan WHERE {
  ?zone a hpez:Zone
  OPTIONAL {
    ?figure schema:observationAbout ?zone ; schema:variableMeasured ind:exports ;
      dcterms:temporal per:2024 ; schema:value ?exports
    OPTIONAL {
      ?planned hpez:status st:plan ; schema:observationAbout ?zone ;
        schema:variableMeasured ind:exports ; schema:value ?plan
    }
  }
} ORDER BY ?zone LIMIT 20"""

TOP_TEN: Final = """
SELECT ?zone (SUM(?value) AS ?exports) WHERE {
  ?figure schema:observationAbout ?zone ; schema:variableMeasured ind:exports ;
    hpez:status st:actual ; schema:value ?value
} GROUP BY ?zone ORDER BY DESC(?exports) LIMIT 10"""

RUNAWAYS: Final = (
    "SELECT * WHERE { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i } ORDER BY ?c ?f ?i",
    'SELECT ?a WHERE { ?a ?b ?c . ?d ?e ?f FILTER(REGEX(CONCAT(STR(?c), STR(?f)), "(a|aa)+(b|bb)+(c|cc)+$")) }',
    "SELECT (GROUP_CONCAT(CONCAT(STR(?c), STR(?f))) AS ?all) WHERE { ?a ?b ?c . ?d ?e ?f }",
    "SELECT (COUNT(*) AS ?pairs) WHERE { ?a (!<urn:none>)* ?b }",
)
"""Each would run for hours at any size: a sorted cross product, a regular expression, a huge GROUP_CONCAT, a path."""


def numbered(query: str, number: int) -> str:
    """Return the query with a unique text, so that no cached answer fits."""
    return f"# {number}\n{PREFIXES}{query}"


def lookup(dataset: Dataset, number: int) -> str:
    """Return a point lookup, the properties of one figure; subject and text differ by number."""
    zone = (number * 7919) % dataset.zones
    claim = claim_iri(zone, number % 3, YEARS[number % 4])
    return f"# {number}\nSELECT ?property ?value WHERE {{ <{claim}> ?property ?value }}"


def trivial(dataset: Dataset, number: int) -> str:
    """Return an ASK that every engine answers at once; the text differs by number."""
    return f"# {number}\nASK {{ <{zone_iri(number % dataset.zones)}> a <{HPEZ}Zone> }}"


def runaway(number: int) -> str:
    """Return a query that exceeds any deadline; the text differs by number."""
    return f"# {number}\n{RUNAWAYS[number % len(RUNAWAYS)]}"
