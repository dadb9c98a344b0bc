"""Read query results in every format that the suites use, and compare them up to the labels of blank nodes."""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final
from xml.etree import ElementTree as ET

import pyoxigraph as ox
import rdflib
from rdflib.namespace import RDF, XSD, Namespace

from kg.rdf.formats import CSV, JSON, TSV, TURTLE, XML, rdf_format, rdf_format_of_file
from kg.rdf.io import parse
from kg.rdf.rdflib_terms import rdflib_graph, term_from_rdflib
from kg.rdf.terms import BlankNode, Literal, NamedNode, Quad, Term, Triple

RS = Namespace("http://www.w3.org/2001/sw/DataAccess/tests/result-set#")

_XML = {"": "http://www.w3.org/2005/sparql-results#"}
_CSV_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_SPELLINGS: Final[dict[str, Callable[[str], str]]] = {
    str(XSD.boolean): lambda text: {"1": "true", "0": "false"}.get(text, text),
    str(XSD.integer): lambda text: str(int(text)),
    str(XSD.decimal): lambda text: f"{Decimal(text).normalize():f}",
    str(XSD.double): lambda text: repr(float(text)),
    str(XSD.float): lambda text: repr(float(text)),
}
_INDEX = NamedNode("urn:w3c:index")


@dataclass(frozen=True)
class Table:
    """The solutions of a SELECT query; the rows count as a sequence only if `ordered`."""

    variables: frozenset[str]
    rows: tuple[Mapping[str, Term], ...]
    ordered: bool = False


Answer = bool | Table | tuple[Triple, ...]


def from_response(content_type: str, body: bytes, *, ordered: bool) -> Answer:
    """Read the response of a server."""
    media_type = content_type.partition(";")[0].strip()
    match media_type:
        case JSON.media_type:
            return _json(body, ordered=ordered)
        case XML.media_type:
            return _xml(body, ordered=ordered)
        case CSV.media_type:
            return _csv(body, ordered=ordered)
        case TSV.media_type:
            return _tsv(body, ordered=ordered)
    return triples(parse(body, rdf_format(media_type)))


def from_file(name: str, body: bytes, base: str, *, ordered: bool) -> Answer:
    """Read an expected result; graphs in the result set vocabulary are tables."""
    match name.rpartition(".")[2]:
        case "srj":
            return _json(body, ordered=ordered)
        case "srx":
            return _xml(body, ordered=ordered)
        case "csv":
            return _csv(body, ordered=ordered)
        case "tsv":
            return _tsv(body, ordered=ordered)
    found = parse(body, rdf_format_of_file(name), base)
    graph = rdflib_graph(found)
    result_set = graph.value(None, RDF.type, RS.ResultSet)
    return triples(found) if result_set is None else _result_set(graph, result_set)


def triples(found: Iterable[Quad]) -> tuple[Triple, ...]:
    return tuple(quad.triple for quad in found)


def accept_for(name: str) -> str:
    """The media type to request, so that a response can be compared with a result file."""
    formats = {"srj": JSON.media_type, "srx": XML.media_type, "csv": CSV.media_type, "tsv": TSV.media_type}
    return formats.get(name.rpartition(".")[2], f"{JSON.media_type}, {TURTLE.media_type}")


def _json(body: bytes, *, ordered: bool) -> Answer:
    document = json.loads(body)
    if "boolean" in document:
        answer: bool = document["boolean"]
        return answer
    rows = tuple({name: _json_term(term) for name, term in row.items()} for row in document["results"]["bindings"])
    return Table(frozenset(document["head"]["vars"]), rows, ordered)


def _json_term(term: dict[str, str]) -> Term:
    match term["type"]:
        case "uri":
            return NamedNode(term["value"])
        case "bnode":
            return BlankNode(term["value"])
    return _literal(term["value"], term.get("xml:lang"), term.get("datatype"))


def _literal(value: str, language: str | None, datatype: str | None) -> Literal:
    if language:
        return Literal(value, language=language)
    return Literal(value, datatype=NamedNode(datatype)) if datatype else Literal(value)


def _xml(body: bytes, *, ordered: bool) -> Answer:
    root = ET.fromstring(body)  # noqa: S314 - the suite's own files and the answers of the server under test
    boolean = root.find("boolean", _XML)
    if boolean is not None:
        return (boolean.text or "").strip() == "true"
    rows = tuple(
        {binding.attrib["name"]: _xml_term(binding[0]) for binding in result.findall("binding", _XML)}
        for result in root.findall("results/result", _XML)
    )
    variables = frozenset(item.attrib["name"] for item in root.findall("head/variable", _XML))
    return Table(variables, rows, ordered)


def _xml_term(element: ET.Element) -> Term:
    value = element.text or ""
    match element.tag.rpartition("}")[2]:
        case "uri":
            return NamedNode(value)
        case "bnode":
            return BlankNode(value)
    return _literal(value, element.get(_LANGUAGE), element.get("datatype"))


def _csv(body: bytes, *, ordered: bool) -> Table:
    """CSV has no types: values that look like numbers are read as numbers, others as strings."""
    header, *lines = csv.reader(io.StringIO(body.decode(), newline=""))
    rows = tuple(
        {name: _csv_term(cell) for name, cell in zip(header, line, strict=True) if cell != ""} for line in lines
    )
    return Table(frozenset(header), rows, ordered)


def _csv_term(cell: str) -> Term:
    if cell.startswith("_:"):
        return BlankNode(cell[2:])
    return Literal(cell, datatype=NamedNode(str(XSD.double))) if _CSV_NUMBER.fullmatch(cell) else Literal(cell)


def _tsv(body: bytes, *, ordered: bool) -> Table:
    header, *lines = [line.split("\t") for line in body.decode().removesuffix("\n").split("\n")]
    names = [cell.removeprefix("?") for cell in header]
    rows = tuple({name: _tsv_term(cell) for name, cell in zip(names, line, strict=True) if cell} for line in lines)
    return Table(frozenset(names), rows, ordered)


def _tsv_term(cell: str) -> Term:
    """A term in Turtle syntax; blank node labels are kept, so that equal labels in a table are the same node."""
    if cell.startswith("_:"):
        return BlankNode(cell[2:])
    (quad,) = parse(f"<urn:s> <urn:p> {cell} .".encode(), TURTLE)
    term: Term = quad.object
    return term


def _result_set(graph: rdflib.Graph, result_set: rdflib.term.Node) -> Answer:
    boolean = graph.value(result_set, RS.boolean)
    if boolean is not None:
        return str(boolean) == "true"
    solutions = list(graph.objects(result_set, RS.solution))
    indices = {solution: graph.value(solution, RS["index"]) for solution in solutions}
    ordered = bool(solutions) and None not in indices.values()
    if ordered:
        solutions.sort(key=lambda solution: int(str(indices[solution])))
    rows = tuple(
        {
            str(graph.value(binding, RS.variable)): term_from_rdflib(graph.value(binding, RS.value))
            for binding in graph.objects(solution, RS.binding)
        }
        for solution in solutions
    )
    return Table(frozenset(map(str, graph.objects(result_set, RS.resultVariable))), rows, ordered)


def same(found: Answer, expected: Answer) -> bool:
    """Whether two answers are equal; graphs and tables may differ in the labels of blank nodes."""
    match found, expected:
        case (bool(), bool()):
            return found == expected
        case (Table(), Table()):
            return found.variables == expected.variables and _same_rows(found, expected)
        case (tuple(), tuple()):
            return same_graph(found, expected)
    return False


def same_graph(found: Iterable[Triple], expected: Iterable[Triple]) -> bool:
    return _canonical(found) == _canonical(expected)


def _canonical(statements: Iterable[Triple]) -> set[Quad]:
    dataset = ox.Dataset(Quad(item.subject, item.predicate, item.object) for item in statements)
    dataset.canonicalize(ox.CanonicalizationAlgorithm.RDFC_1_0)
    return set(dataset)


def _same_rows(found: Table, expected: Table) -> bool:
    found, expected, ordered = _by_value(found), _by_value(expected), expected.ordered
    if any(isinstance(term, BlankNode) for table in (found, expected) for row in table.rows for term in row.values()):
        return same_graph(_as_graph(found, ordered=ordered), _as_graph(expected, ordered=ordered))
    rows, wanted = ([frozenset(row.items()) for row in table.rows] for table in (found, expected))
    return rows == wanted if ordered else Counter(rows) == Counter(wanted)


def _by_value(table: Table) -> Table:
    """A table with numbers and booleans in canonical form: the engine stores values, not lexical forms."""
    rows = ({name: _term_by_value(term) for name, term in row.items()} for row in table.rows)
    return replace(table, rows=tuple(rows))


def _term_by_value(term: Term) -> Term:
    if isinstance(term, Literal) and term.datatype.value in _SPELLINGS:
        with suppress(ValueError, ArithmeticError):
            return Literal(_SPELLINGS[term.datatype.value](term.value), datatype=term.datatype)
    return term


def _as_graph(table: Table, *, ordered: bool) -> list[Triple]:
    """A table as a graph with a blank node for each row, so that tables compare as graphs do."""
    graph = []
    for index, row in enumerate(table.rows):
        node = BlankNode()
        graph.append(Triple(node, _INDEX, Literal(index if ordered else -1)))
        graph += [Triple(node, NamedNode(f"urn:w3c:variable:{name}"), term) for name, term in row.items()]
    return graph


def differences(found: Answer, expected: Answer) -> str:
    """The rows that only one of two answers has, as the message of a failed test, without blank node labels."""
    lines, wanted = _lines(found), _lines(expected)
    more, less = (lines - wanted).elements(), (wanted - lines).elements()
    return "\n".join(("", *(f"+ {line}" for line in more), *(f"- {line}" for line in less)))


def _lines(answer: Answer) -> Counter[str]:
    match answer:
        case Table():
            rows = ({name: _shown(row[name]) for name in sorted(row)} for row in _by_value(answer).rows)
            return Counter([str(sorted(answer.variables)), *map(str, rows)])
        case tuple():
            return Counter(f"{_shown(item.subject)} {item.predicate} {_shown(item.object)}" for item in answer)
    return Counter([str(answer)])


def _shown(term: object) -> str:
    return "_:" if isinstance(term, BlankNode) else str(term)
