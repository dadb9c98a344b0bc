"""Suggest how a finding can be mended, where that is obvious; each suggestion is tried before it is made.

A remedy only guesses; that the guess removes the finding and brings no other is for the gate to say.
"""

import difflib
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Final

import rdflib
from rdflib.collection import Collection
from rdflib.namespace import RDF, SH

from kg.engine.embedded import EmbeddedEngine
from kg.engine.protocol import Delta, Row
from kg.errors import KgError
from kg.rdf.io import RDF_TYPE, Literal, NamedNode, Quad, Term, Triple, from_rdflib, term_to_rdflib
from kg.rdf.namespaces import HPEZ, HPSH, ID, OA, PREFIXES, PROV, SCHEMA, SKOS, SPARQL_PREFIXES, XSD, compact, slug
from kg.rdf.namespaces import SH as SHACL
from kg.sources.figures import read_figures
from kg.validation.report import VIOLATION, WARNING, Finding, Report, Suggestion, identity
from kg.validation.shacl import SHAPES_GRAPH

_MOST_FINDINGS: Final = 12
_MOST_TRIALS: Final = 16
"""How much is looked for in one report: a payload of thousands of lines has mostly the same mistake."""
_MOST_DIGITS: Final = 40
_MOST_QUOTES: Final = 5000
_ALIKE: Final = 0.8
_DECIMAL: Final = NamedNode(XSD + "decimal")
_STRING: Final = NamedNode(XSD + "string")
_BARE: Final = (_DECIMAL, NamedNode(XSD + "integer"), NamedNode(XSD + "boolean"))
"""Datatypes that Turtle writes without quotation marks."""
_EMENDED: Final = NamedNode(HPEZ + "emended")
_TRUE: Final = Literal("true", datatype=NamedNode(XSD + "boolean"))
_SCALES: Final = ((10**9, "billion", "tỷ"), (10**6, "million", "triệu"))
_MONEY: Final = PREFIXES["unit"] + "CCY_"
_SMALL: Final = 10**6
"""Money below this has mostly lost a word of its number."""
_UNIT: Final = NamedNode(PREFIXES["qudt"] + "hasUnit")
_EVIDENCE: Final = NamedNode(HPEZ + "evidence")
_ATTRIBUTED: Final = NamedNode(PROV + "wasAttributedTo")
_MIN, _MAX, _VALUE = (NamedNode(SCHEMA + name) for name in ("minValue", "maxValue", "value"))
_PREFERRED: Final = NamedNode(SKOS + "prefLabel")
_NAMES: Final = tuple(map(NamedNode, (SKOS + "prefLabel", PREFIXES["rdfs"] + "label", SCHEMA + "name")))
_QUOTES: Final = (
    SPARQL_PREFIXES
    + f"""
SELECT ?evidence ?exact ?source ?publisher {{
  ?selector oa:exact ?exact .
  ?evidence oa:hasSelector ?selector ; oa:hasSource ?source .
  OPTIONAL {{ ?source schema:publisher ?publisher }}
}} LIMIT {_MOST_QUOTES}"""
)
_TERMS: Final = SPARQL_PREFIXES + "SELECT ?term { ?term rdfs:isDefinedBy <https://w3id.org/hpez/ontology> }"

Judge = Callable[[Delta], Report]
"""Says what the gate would find if a change were another one."""


@dataclass(frozen=True)
class Remedy:
    """A guess: what to take away and to add, and how to say it in English and Vietnamese."""

    english: str
    vietnamese: str
    removed: frozenset[Triple] = frozenset()
    added: frozenset[Triple] = frozenset()


@dataclass(frozen=True)
class Case:
    """A finding, with the data as they would be after the change, and the shapes."""

    finding: Finding
    engine: EmbeddedEngine
    shapes: rdflib.Graph
    delta: Delta

    @property
    def focus(self) -> NamedNode:
        """The focus node, which has a name."""
        return self.finding.focus if isinstance(self.finding.focus, NamedNode) else NamedNode(ID)

    def values(self, predicate: NamedNode, subject: Term | None = None) -> list[Term]:
        """The values of the focus node, or of another."""
        found = self.triples(subject or self.focus, predicate)
        return [item.object for item in found if not isinstance(item.object, Triple)]

    def triples(self, subject: Term | None, predicate: NamedNode | None, value: Term | None = None) -> list[Triple]:
        """What is said with a subject, a predicate and an object; not in the shapes."""
        return list(itertools.islice(self.engine.statements(subject, predicate, value, SHAPES_GRAPH), _MOST_QUOTES))

    def of_shape(self, term: rdflib.URIRef) -> list[rdflib.term.Node]:
        """What the shape of the finding says."""
        return list(self.shapes.objects(term_to_rdflib(self.finding.shape), term))


def suggested(report: Report, engine: EmbeddedEngine, shapes: rdflib.Graph, asked: Delta, judge: Judge) -> Report:
    """The report, with suggestions for its findings; the engine is as before the change, and is so again afterwards.

    `asked` is the change without what follows from it; `judge` is asked about that change with a remedy.
    """
    trials = itertools.count()
    known = {identity(item) for item in report.findings}
    findings = list(report.findings)
    for number, item in enumerate(findings[:_MOST_FINDINGS]):
        if not isinstance(item.focus, NamedNode):
            continue
        with engine.applied(asked):
            remedies = list(dict.fromkeys(_remedies(Case(item, engine, shapes, asked))))
            fixes = [(remedy, _change(engine, asked, item.focus, remedy)) for remedy in remedies]
        tried = (
            _suggestion(remedy)
            for remedy, fix in fixes
            if next(trials) < _MOST_TRIALS and _helps(judge, asked.then(fix), item, known)
        )
        findings[number] = replace(item, suggestions=tuple(itertools.islice(tried, 2)))
    return Report(tuple(findings))


def _helps(judge: Judge, change: Delta, item: Finding, known: set[tuple[object, ...]]) -> bool:
    """Whether a finding is gone with another change, and nothing new that matters has come."""
    try:
        left = {identity(finding): finding.severity for finding in judge(change).findings}
    except KgError:
        return False
    return identity(item) not in left and not any(
        key not in known and severity in {VIOLATION, WARNING} for key, severity in left.items()
    )


def _suggestion(remedy: Remedy) -> Suggestion:
    return Suggestion(
        (Literal(remedy.english, language="en"), Literal(remedy.vietnamese, language="vi")),
        tuple(sorted(remedy.removed, key=str)),
        tuple(sorted(remedy.added, key=str)),
    )


def _change(engine: EmbeddedEngine, asked: Delta, focus: NamedNode, remedy: Remedy) -> Delta:
    """A remedy as a change of the state after the change that was asked for: in the graphs that it concerns."""
    removed = {quad for triple in remedy.removed for quad in engine.quads_like(triple)}
    graphs = [quad.graph_name for quad in (*removed, *_about(asked.added, focus), *asked.added)]
    if not graphs:
        return Delta()
    added = {Quad(item.subject, item.predicate, item.object, graphs[0]) for item in remedy.added}
    return Delta(frozenset(quad for quad in added if not engine.holds(quad)), frozenset(removed))


def _about(quads: Iterable[Quad], focus: NamedNode) -> list[Quad]:
    return [quad for quad in quads if quad.subject == focus]


def _remedies(case: Case) -> Iterator[Remedy]:
    """What may mend a finding: by its constraint component, or by the project's own constraint."""
    finding = case.finding
    name = finding.component.value.removeprefix(SHACL)
    constraint = finding.constraint.value.removeprefix(HPSH) if isinstance(finding.constraint, NamedNode) else ""
    for made in (*_BY_COMPONENT.get(name, ()), *_BY_CONSTRAINT.get(constraint, ())):
        yield from made(case)


def _replaced(case: Case, old: Term, new: Term, more: Iterable[Triple] = ()) -> Iterator[Remedy]:
    """Write one value of the finding's path in place of another."""
    path = case.finding.path
    if not isinstance(path, NamedNode) or not case.triples(case.focus, path, old):
        return
    yield Remedy(
        f"Write {_short(new)} in place of {_short(old)}.",
        f"Viết {_short(new)} thay cho {_short(old)}.",
        frozenset({Triple(case.focus, path, old)}),
        frozenset({Triple(case.focus, path, new), *more}),
    )


def _other_datatype(case: Case) -> Iterator[Remedy]:
    """The same value with the datatype that is wanted; an amount in words with its unit."""
    value = case.finding.value
    wanted = [from_rdflib(term) for term in case.of_shape(SH.datatype)]
    if not isinstance(value, Literal):
        return
    for datatype in wanted:
        if datatype == _DECIMAL:
            yield from _in_figures(case, value)
        if isinstance(datatype, NamedNode):
            for lexical in _LEXICAL.get(datatype.value.removeprefix(XSD), _unchanged)(case, value):
                yield from _replaced(case, value, Literal(lexical, datatype=datatype))


def _in_figures(case: Case, value: Literal) -> Iterator[Remedy]:
    """`17 USD` or `4,35 tỷ USD` as a number and a unit."""
    for figure in read_figures(value.value)[:1]:
        unit = NamedNode(figure.unit)
        held = case.values(_UNIT)
        more = [] if held else [Triple(case.focus, _UNIT, unit)]
        if held in ([], [unit]) and figure.low == figure.high:
            yield from _replaced(case, value, _decimal(figure.low), more)
            if figure.unit.startswith(_MONEY) and figure.low < _SMALL:
                yield from _emended(case, value, figure.low, more)


def _decimal(number: Decimal) -> Literal:
    """A decimal that Turtle does not take for an integer."""
    whole, _, fraction = f"{number:f}".partition(".")
    return Literal(f"{whole}.{fraction.rstrip('0') or '0'}", datatype=_DECIMAL)


def _number(value: Term | None) -> Decimal | None:
    """The number that a literal says, whatever its datatype; None if it says none that could be written down."""
    try:
        number = Decimal(value.value.strip()) if isinstance(value, Literal) else None
    except InvalidOperation:
        return None
    return number if number is not None and abs(number.adjusted()) < _MOST_DIGITS and number.is_finite() else None


def _as_decimal(_: Case, value: Literal) -> Iterator[str]:
    number = _number(value)
    if number is not None:
        yield _decimal(number).value


def _as_date(case: Case, value: Literal) -> Iterator[str]:
    """A date of a dateTime; of a year its first day or, where a period ends, its last."""
    text = value.value.strip()
    if re.fullmatch(r"\d{4}", text):
        ends = isinstance(case.finding.path, NamedNode) and case.finding.path.value.lower().endswith("enddate")
        yield f"{text}-12-31" if ends else f"{text}-01-01"
    try:
        yield date.fromisoformat(text[:10]).isoformat()
    except ValueError:
        return


def _as_integer(_: Case, value: Literal) -> Iterator[str]:
    number = _number(value)
    if number is not None and number == number.to_integral_value():
        yield f"{number.to_integral_value():f}"


def _as_boolean(_: Case, value: Literal) -> Iterator[str]:
    known = {"true": "true", "1": "true", "yes": "true", "false": "false", "0": "false", "no": "false"}
    text = known.get(value.value.strip().lower())
    if text is not None:
        yield text


def _unchanged(_: Case, value: Literal) -> Iterator[str]:
    yield value.value.strip()


_LEXICAL: Final[Mapping[str, Callable[[Case, Literal], Iterator[str]]]] = {
    "decimal": _as_decimal,
    "date": _as_date,
    "integer": _as_integer,
    "nonNegativeInteger": _as_integer,
    "boolean": _as_boolean,
}


def _of_the_list(case: Case) -> Iterator[Remedy]:
    """The member of a list that the value is nearly, by the end of its IRI."""
    value = case.finding.value
    if value is None:
        return
    members = [from_rdflib(member) for head in case.of_shape(SH["in"]) for member in Collection(case.shapes, head)]
    named = {slug(_local(member)): member for member in members}
    for name in difflib.get_close_matches(slug(_local(value)), named, 1, _ALIKE):
        yield from _replaced(case, value, named[name])


def _local(term: Term) -> str:
    """What an IRI ends in, or a literal says."""
    return re.split(r"[/#]", term.value)[-1] if isinstance(term, NamedNode | Literal) else ""


def _as_iri(case: Case) -> Iterator[Remedy]:
    """An IRI that was written as text."""
    value = case.finding.value
    if isinstance(value, Literal) and re.fullmatch(r"https?://[^\s<>\"{}|^`\\]+", value.value):
        yield from _replaced(case, value, NamedNode(value.value))


def _named_so(case: Case) -> Iterator[Remedy]:
    """The preferred name in a language: a name without a language, another name, or that of the other language."""
    if case.finding.path != _PREFERRED:
        return
    for language in _languages(case):
        known = [
            (predicate, value) for predicate in _NAMES for value in case.values(predicate) if isinstance(value, Literal)
        ]
        for predicate, value in sorted(known, key=lambda item: _fitness(item[1], language)):
            name = Literal(value.value, language=language)
            untagged = predicate == _PREFERRED and value.language is None
            yield Remedy(
                f"Name it {_short(name)}.",
                f"Đặt tên là {_short(name)}.",
                frozenset({Triple(case.focus, predicate, value)} if untagged else ()),
                frozenset({Triple(case.focus, _PREFERRED, name)}),
            )


def _fitness(value: Literal, language: str) -> int:
    return [language, None].index(value.language) if value.language in {language, None} else 2


def _languages(case: Case) -> list[str]:
    """The languages that the qualified value shape of a finding asks for."""
    shapes = case.of_shape(SH.qualifiedValueShape)
    heads = [head for shape in shapes for head in case.shapes.objects(shape, SH.languageIn)]
    return [str(item) for head in heads for item in Collection(case.shapes, head)]


def _with_evidence(case: Case) -> Iterator[Remedy]:
    """Evidence that is held already and says the figure, or the name of what the claim is about."""
    if case.finding.path not in {None, _EVIDENCE} or case.values(_EVIDENCE):
        return
    for row in _saying(case, _spoken(case)):
        added = {Triple(case.focus, _EVIDENCE, row["evidence"])}
        if "publisher" in row and not case.values(_ATTRIBUTED):
            added.add(Triple(case.focus, _ATTRIBUTED, row["publisher"]))
        yield Remedy(
            f"Cite the evidence “{row['exact'].value}”, which says so.",
            f"Dẫn bằng chứng «{row['exact'].value}», vốn nói điều này.",
            added=frozenset(added),
        )


def _spoken(case: Case) -> Callable[[str], bool]:
    """What tells whether a quote says what a claim says."""
    numbers = {_number(value) for path in (_VALUE, _MIN, _MAX) for value in case.values(path)} - {None}
    if numbers:
        units = {unit.value for unit in case.values(_UNIT) if isinstance(unit, NamedNode)}
        return lambda quote: any(
            {figure.low, figure.high} == numbers and figure.unit in units for figure in read_figures(quote)
        )
    ends = [*case.values(NamedNode(str(RDF.subject))), *case.values(NamedNode(str(RDF.object)))]
    return _names_of(case, ends)


def _names_of(case: Case, nodes: Iterable[Term]) -> Callable[[str], bool]:
    paths = (_PREFERRED, NamedNode(SKOS + "altLabel"))
    names = {
        value.value
        for node in nodes
        for path in paths
        for value in case.values(path, node)
        if isinstance(value, Literal)
    }
    return lambda quote: quote in names


def _saying(case: Case, says: Callable[[str], bool]) -> list[Row]:
    """Up to two pieces of evidence whose quotes say something."""
    fitting = [row for row in case.engine.select(_QUOTES) if says(row["exact"].value)]
    return sorted(fitting, key=lambda row: row["evidence"].value)[:2]


def _attributed(case: Case) -> Iterator[Remedy]:
    """The publisher of the source, who is the narrator of what nobody else says."""
    if case.finding.path not in {None, _ATTRIBUTED} or case.values(_ATTRIBUTED):
        return
    for evidence in case.values(_EVIDENCE):
        for source in case.values(NamedNode(OA + "hasSource"), evidence):
            for publisher in case.values(NamedNode(SCHEMA + "publisher"), source):
                yield Remedy(
                    f"Attribute it to {_short(publisher)}, the source's publisher.",
                    f"Ghi bên nêu là {_short(publisher)}, nhà xuất bản của nguồn.",
                    added=frozenset({Triple(case.focus, _ATTRIBUTED, publisher)}),
                )


def _swapped(case: Case) -> Iterator[Remedy]:
    """The two bounds the other way round."""
    for low, high in itertools.product(case.values(_MIN), case.values(_MAX)):
        yield Remedy(
            "Swap the two bounds.",
            "Đổi chỗ hai cận.",
            frozenset({Triple(case.focus, _MIN, low), Triple(case.focus, _MAX, high)}),
            frozenset({Triple(case.focus, _MIN, high), Triple(case.focus, _MAX, low)}),
        )


def _magnified(case: Case) -> Iterator[Remedy]:
    """A lost word for billion or million, put back."""
    value = case.finding.value
    amount = _number(value)
    if isinstance(value, Literal) and amount is not None:
        yield from _emended(case, value, amount)


def _emended(case: Case, value: Literal, amount: Decimal, more: Iterable[Triple] = ()) -> Iterator[Remedy]:
    """A billion or a million times an amount, as an emendation that says so."""
    paths = [path for path in (_VALUE, _MIN, _MAX) if case.triples(case.focus, path, value)]
    for path, (scale, english, vietnamese) in itertools.product(paths[:1], _SCALES):
        meant = _decimal(amount * scale)
        emendation = _emendation(case.focus, english, vietnamese)
        yield Remedy(
            f"If the word for {english} was lost, write {meant.value} and say that it is emended.",
            f"Nếu rơi mất chữ «{vietnamese}», viết {meant.value} và ghi là đã hiệu đính.",
            frozenset({Triple(case.focus, path, value)}),
            frozenset({Triple(case.focus, path, meant), Triple(case.focus, _EMENDED, _TRUE), *emendation, *more}),
        )


def _emendation(claim: NamedNode, english: str, vietnamese: str) -> Iterator[Triple]:
    """An issue that tells of an emendation."""
    issue = NamedNode(f"{ID}issue/{claim.value.partition('/id/claim/')[2] or slug(claim.value)}-emended")
    texts = {
        "en": (f"The word for {english} is missing", f"Read with the word for {english} that the source leaves out."),
        "vi": (f"Thiếu chữ «{vietnamese}»", f"Đọc thêm chữ «{vietnamese}» mà nguồn bỏ sót."),
    }
    yield Triple(issue, RDF_TYPE, NamedNode(HPEZ + "Issue"))
    yield Triple(issue, NamedNode(OA + "hasTarget"), claim)
    yield Triple(issue, NamedNode(PREFIXES["dcterms"] + "type"), NamedNode(ID + "issue-type/emendation"))
    for language, (name, text) in texts.items():
        body = NamedNode(f"{issue.value}#{language}")
        yield Triple(issue, _PREFERRED, Literal(name, language=language))
        yield Triple(issue, NamedNode(PREFIXES["rdfs"] + "label"), Literal(name, language=language))
        yield Triple(issue, NamedNode(OA + "hasBody"), body)
        yield Triple(body, RDF_TYPE, NamedNode(OA + "TextualBody"))
        yield Triple(body, NamedNode(str(RDF.value)), Literal(text, language=language))


def _claimed(case: Case) -> Iterator[Remedy]:
    """A claim that witnesses a relation, with evidence that names one of its ends."""
    path, value = case.finding.path, case.finding.value
    if not isinstance(path, NamedNode) or not isinstance(value, NamedNode):
        return
    rows = [row for node in (case.focus, value) for row in _saying(case, _names_of(case, (node,)))[:1]]
    for row in rows:
        if "publisher" not in row:
            continue
        source = slug(_local(row["source"]))
        claim = NamedNode(f"{ID}claim/{source}/{slug(_local(case.focus))}-{slug(_local(path))}-{slug(_local(value))}")
        yield Remedy(
            f"Add the claim {_short(claim)} that states it, if the evidence “{row['exact'].value}” says so.",
            f"Thêm nhận định {_short(claim)} nêu quan hệ này, nếu bằng chứng «{row['exact'].value}» nói vậy.",
            added=frozenset(
                {
                    Triple(claim, RDF_TYPE, NamedNode(HPEZ + "RelationClaim")),
                    Triple(claim, NamedNode(str(RDF.subject)), case.focus),
                    Triple(claim, NamedNode(str(RDF.predicate)), path),
                    Triple(claim, NamedNode(str(RDF.object)), value),
                    Triple(claim, _ATTRIBUTED, row["publisher"]),
                    Triple(claim, _EVIDENCE, row["evidence"]),
                }
            ),
        )


def _short(term: Term) -> str:
    """A term as Turtle writes it with the project's prefixes."""
    match term:
        case NamedNode():
            return compact(term.value)
        case Literal() if term.language is None and term.datatype != _STRING:
            return term.value if term.datatype in _BARE else f'"{term.value}"^^{compact(term.datatype.value)}'
    return str(term)


def _defined_term(case: Case) -> Iterator[Remedy]:
    """The term of the ontology that a misspelt one is nearly."""
    terms = {_local(row["term"]): row["term"] for row in case.engine.select(_TERMS)}
    said = case.triples(case.focus, None)
    used = {item.predicate for item in said} | {item.object for item in said if item.predicate == RDF_TYPE}
    unknown = [
        term
        for term in used
        if isinstance(term, NamedNode) and term.value.startswith(HPEZ) and term not in terms.values()
    ]
    for term in unknown:
        for name in difflib.get_close_matches(_local(term), terms, 1, _ALIKE):
            yield _respelt(said, term, terms[name])


def _respelt(said: Iterable[Triple], term: NamedNode, meant: Term) -> Remedy:
    def mended(item: Triple) -> Triple:
        predicate = meant if item.predicate == term and isinstance(meant, NamedNode) else item.predicate
        return Triple(item.subject, predicate, meant if item.object == term else item.object)

    concerned = frozenset(item for item in said if term in {item.predicate, item.object})
    return Remedy(
        f"Write {_short(meant)} in place of {_short(term)}, which is not defined.",
        f"Viết {_short(meant)} thay cho {_short(term)}, vốn chưa được định nghĩa.",
        concerned,
        frozenset(map(mended, concerned)),
    )


_Remedies = tuple[Callable[[Case], Iterator[Remedy]], ...]
_BY_COMPONENT: Final[Mapping[str, _Remedies]] = {
    "DatatypeConstraintComponent": (_other_datatype, _named_so),
    "InConstraintComponent": (_of_the_list,),
    "NodeKindConstraintComponent": (_as_iri,),
    "ClassConstraintComponent": (_as_iri,),
    "QualifiedMinCountConstraintComponent": (_named_so,),
    "MinCountConstraintComponent": (_with_evidence, _attributed),
    "XoneConstraintComponent": (_with_evidence, _attributed),
    "ClosedConstraintComponent": (_defined_term,),
}
_BY_CONSTRAINT: Final[Mapping[str, _Remedies]] = {
    "Bounds-order": (_swapped,),
    "Magnitude-money": (_magnified,),
    "RelationEvidence-claim": (_claimed,),
    "Vocabulary-undefined": (_defined_term,),
}
