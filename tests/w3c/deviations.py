"""The known deviations from the W3C's suites, by the id of the test, with the reason; README.md explains them."""

from typing import Final

_LANGUAGE = "pyoxigraph gives the result of GROUP_CONCAT the language tag that all its arguments share"
_GRAPH_VARIABLE = "pyoxigraph binds the variable of GRAPH by patterns only, not for a subquery or VALUES inside"
_ZERO = "pyoxigraph finds a path of length zero only at nodes that are in the graph, not at a constant that is not"

ENGINE: Final[dict[str, str]] = {
    "aggregates/agg-groupconcat-04": _LANGUAGE,
    "aggregates/agg-groupconcat-06": _LANGUAGE,
    "aggregates/agg-empty-group-count-graph": _GRAPH_VARIABLE,
    "bindings/graph": _GRAPH_VARIABLE,
    "negation/graph-minus": "pyoxigraph takes the variable of an outer GRAPH for one that both sides of MINUS share",
    "csv-tsv-res/tsv03": "pyoxigraph stores values of types derived from xsd:integer as xsd:integer",
    "functions/bnode01": "pyoxigraph makes BNODE(label) the same node in every solution, not a new one in each",
    "property-path/zero_or_more_set_start": _ZERO,
    "property-path/zero_or_more_set_end": _ZERO,
    "property-path/zero_or_one_set_start": _ZERO,
    "property-path/zero_or_one_set_end": _ZERO,
}
"""Tests of the query suite that pyoxigraph itself fails; `test_pyoxigraph_alone_deviates_too` calls it directly."""

PYSHACL: Final[dict[str, str]] = {
    "core/property/uniqueLang-002": 'pySHACL takes sh:uniqueLang "1"^^xsd:boolean for true; SHACL means just `true`',
}
"""Tests of the SHACL suite that pySHACL itself fails; `test_pyshacl_alone_deviates_too` calls it directly."""

REFUSED: Final[dict[str, str]] = {
    "core/property/qualifiedValueShape-001": "refused on purpose: sh:nodeShape is no term of SHACL (422)",
    "sparql/component/validator-001": "refused on purpose: the shapes have owl:imports (422)",
    "sparql/node/prefixes-001": "refused on purpose: prefixes come by owl:imports, if from within the file (422)",
}
"""Tests whose shapes `/validate` refuses."""

_LOAD: Final = "refused on purpose: LOAD would fetch from the web (400), SILENT or not"

UPDATES: Final[dict[str, str]] = {"update-silent/load-silent": _LOAD, "update-silent/load-into-silent": _LOAD}
"""Tests of updates that are refused on purpose."""
