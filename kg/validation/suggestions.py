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
from kg.rdf.io import RDF_TYPE, Literal, NamedNode, Quad, Term, Triple, term_from_rdflib, term_to_rdflib
from kg.rdf.namespaces import HPEZ, HPSH, ID, OA, PREFIXES, PROV, SCHEMA, SKOS, SPARQL_PREFIXES, XSD, compact, slugify
from kg.rdf.namespaces import SH as SHACL
from kg.sources.figures import read_figures
from kg.validation.report import VIOLATION, WARNING, Finding, Suggestion, ValidationReport, finding_key
from kg.validation.shapes import SHAPES_GRAPH

_MAX_FINDINGS: Final = 12
_MAX_TRIALS: Final = 16
"""How much is looked for in one report: a payload of thousands of lines has mostly the same mistake."""
_MAX_DIGITS: Final = 40
_MAX_QUOTES: Final = 5000
_MIN_SIMILARITY: Final = 0.8
_DECIMAL: Final = NamedNode(XSD + "decimal")
_STRING: Final = NamedNode(XSD + "string")
_UNQUOTED_DATATYPES: Final = (_DECIMAL, NamedNode(XSD + "integer"), NamedNode(XSD + "boolean"))
"""Datatypes that Turtle writes without quotation marks."""
_EMENDED: Final = NamedNode(HPEZ + "emended")
_TRUE: Final = Literal("true", datatype=NamedNode(XSD + "boolean"))
_SCALES: Final = ((10**9, "billion", "tỷ"), (10**6, "million", "triệu"))
_CURRENCY_UNIT_PREFIX: Final = PREFIXES["unit"] + "CCY_"
_MIN_PLAUSIBLE_AMOUNT: Final = 10**6
"""Money below this has mostly lost a word of its number."""
_HAS_UNIT: Final = NamedNode(PREFIXES["qudt"] + "hasUnit")
_EVIDENCE: Final = NamedNode(HPEZ + "evidence")
_WAS_ATTRIBUTED_TO: Final = NamedNode(PROV + "wasAttributedTo")
_MIN, _MAX, _VALUE = (NamedNode(SCHEMA + name) for name in ("minValue", "maxValue", "value"))
_PREF_LABEL: Final = NamedNode(SKOS + "prefLabel")
_LABEL_PROPERTIES: Final = tuple(map(NamedNode, (SKOS + "prefLabel", PREFIXES["rdfs"] + "label", SCHEMA + "name")))
_QUOTES_QUERY: Final = (
    SPARQL_PREFIXES
    + f"""
SELECT ?evidence ?exact ?source ?publisher {{
  ?selector oa:exact ?exact .
  ?evidence oa:hasSelector ?selector ; oa:hasSource ?source .
  OPTIONAL {{ ?source schema:publisher ?publisher }}
}} LIMIT {_MAX_QUOTES}"""
)
_TERMS_QUERY: Final = SPARQL_PREFIXES + "SELECT ?term { ?term rdfs:isDefinedBy <https://w3id.org/hpez/ontology> }"

DeltaValidator = Callable[[Delta], ValidationReport]
"""Says what the gate would find if a change were another one."""


@dataclass(frozen=True)
class SuggestionCandidate:
    """A guess: what to take away and to add, and how to say it in English and Vietnamese."""

    english: str
    vietnamese: str
    removed: frozenset[Triple] = frozenset()
    added: frozenset[Triple] = frozenset()


@dataclass(frozen=True)
class FindingContext:
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
        return list(
            itertools.islice(self.engine.triples_outside_graph(subject, predicate, value, SHAPES_GRAPH), _MAX_QUOTES)
        )

    def shape_values(self, term: rdflib.URIRef) -> list[rdflib.term.Node]:
        """What the shape of the finding says."""
        return list(self.shapes.objects(term_to_rdflib(self.finding.shape), term))


def add_suggestions(
    report: ValidationReport, engine: EmbeddedEngine, shapes: rdflib.Graph, asked: Delta, judge: DeltaValidator
) -> ValidationReport:
    """The report, with suggestions for its findings; the engine is as before the change, and is so again afterwards.

    `asked` is the change without what follows from it; `judge` is asked about that change with a remedy.
    """
    trials = itertools.count()
    known = {finding_key(item) for item in report.findings}
    findings = list(report.findings)
    for number, item in enumerate(findings[:_MAX_FINDINGS]):
        if not isinstance(item.focus, NamedNode):
            continue
        with engine.temporarily_applied(asked):
            remedies = list(dict.fromkeys(_candidates(FindingContext(item, engine, shapes, asked))))
            fixes = [(remedy, _candidate_delta(engine, asked, item.focus, remedy)) for remedy in remedies]
        tried = (
            _to_suggestion(remedy)
            for remedy, fix in fixes
            if next(trials) < _MAX_TRIALS and _resolves_finding(judge, asked.followed_by(fix), item, known)
        )
        findings[number] = replace(item, suggestions=tuple(itertools.islice(tried, 2)))
    return ValidationReport(tuple(findings))


def _resolves_finding(judge: DeltaValidator, change: Delta, item: Finding, known: set[tuple[object, ...]]) -> bool:
    """Whether a finding is gone with another change, and nothing new that matters has come."""
    try:
        left = {finding_key(finding): finding.severity for finding in judge(change).findings}
    except KgError:
        return False
    return finding_key(item) not in left and not any(
        key not in known and severity in {VIOLATION, WARNING} for key, severity in left.items()
    )


def _to_suggestion(remedy: SuggestionCandidate) -> Suggestion:
    return Suggestion(
        (Literal(remedy.english, language="en"), Literal(remedy.vietnamese, language="vi")),
        tuple(sorted(remedy.removed, key=str)),
        tuple(sorted(remedy.added, key=str)),
    )


def _candidate_delta(engine: EmbeddedEngine, asked: Delta, focus: NamedNode, remedy: SuggestionCandidate) -> Delta:
    """A remedy as a change of the state after the change that was asked for: in the graphs that it concerns."""
    removed = {quad for triple in remedy.removed for quad in engine.quads_with_triple(triple)}
    graphs = [quad.graph_name for quad in (*removed, *_quads_about(asked.added, focus), *asked.added)]
    if not graphs:
        return Delta()
    added = {Quad(item.subject, item.predicate, item.object, graphs[0]) for item in remedy.added}
    return Delta(frozenset(quad for quad in added if not engine.holds(quad)), frozenset(removed))


def _quads_about(quads: Iterable[Quad], focus: NamedNode) -> list[Quad]:
    return [quad for quad in quads if quad.subject == focus]


def _candidates(case: FindingContext) -> Iterator[SuggestionCandidate]:
    """What may mend a finding: by its constraint component, or by the project's own constraint."""
    finding = case.finding
    name = finding.component.value.removeprefix(SHACL)
    constraint = finding.constraint.value.removeprefix(HPSH) if isinstance(finding.constraint, NamedNode) else ""
    for made in (*_RULES_BY_COMPONENT.get(name, ()), *_RULES_BY_CONSTRAINT.get(constraint, ())):
        yield from made(case)


def _replace_value(
    case: FindingContext, old: Term, new: Term, more: Iterable[Triple] = ()
) -> Iterator[SuggestionCandidate]:
    """Write one value of the finding's path in place of another."""
    path = case.finding.path
    if not isinstance(path, NamedNode) or not case.triples(case.focus, path, old):
        return
    yield SuggestionCandidate(
        f"Write {_turtle_term(new)} in place of {_turtle_term(old)}.",
        f"Viết {_turtle_term(new)} thay cho {_turtle_term(old)}.",
        frozenset({Triple(case.focus, path, old)}),
        frozenset({Triple(case.focus, path, new), *more}),
    )


def _convert_datatype(case: FindingContext) -> Iterator[SuggestionCandidate]:
    """The same value with the datatype that is wanted; an amount in words with its unit."""
    value = case.finding.value
    wanted = [term_from_rdflib(term) for term in case.shape_values(SH.datatype)]
    if not isinstance(value, Literal):
        return
    for datatype in wanted:
        if datatype == _DECIMAL:
            yield from _convert_amount(case, value)
        if isinstance(datatype, NamedNode):
            for lexical in _LEXICAL_CONVERTERS.get(datatype.value.removeprefix(XSD), _stripped_form)(case, value):
                yield from _replace_value(case, value, Literal(lexical, datatype=datatype))


def _convert_amount(case: FindingContext, value: Literal) -> Iterator[SuggestionCandidate]:
    """`17 USD` or `4,35 tỷ USD` as a number and a unit."""
    for figure in read_figures(value.value)[:1]:
        unit = NamedNode(figure.unit)
        held = case.values(_HAS_UNIT)
        more = [] if held else [Triple(case.focus, _HAS_UNIT, unit)]
        if held in ([], [unit]) and figure.low == figure.high:
            yield from _replace_value(case, value, _decimal_literal(figure.low), more)
            if figure.unit.startswith(_CURRENCY_UNIT_PREFIX) and figure.low < _MIN_PLAUSIBLE_AMOUNT:
                yield from _emend_amount(case, value, figure.low, more)


def _decimal_literal(number: Decimal) -> Literal:
    """A decimal that Turtle does not take for an integer."""
    whole, _, fraction = f"{number:f}".partition(".")
    return Literal(f"{whole}.{fraction.rstrip('0') or '0'}", datatype=_DECIMAL)


def _parse_number(value: Term | None) -> Decimal | None:
    """The number that a literal says, whatever its datatype; None if it says none that could be written down."""
    try:
        number = Decimal(value.value.strip()) if isinstance(value, Literal) else None
    except InvalidOperation:
        return None
    return number if number is not None and abs(number.adjusted()) < _MAX_DIGITS and number.is_finite() else None


def _decimal_forms(_: FindingContext, value: Literal) -> Iterator[str]:
    number = _parse_number(value)
    if number is not None:
        yield _decimal_literal(number).value


def _date_forms(case: FindingContext, value: Literal) -> Iterator[str]:
    """A date of a dateTime; of a year its first day or, where a period ends, its last."""
    text = value.value.strip()
    if re.fullmatch(r"\d{4}", text):
        ends = isinstance(case.finding.path, NamedNode) and case.finding.path.value.lower().endswith("enddate")
        yield f"{text}-12-31" if ends else f"{text}-01-01"
    try:
        yield date.fromisoformat(text[:10]).isoformat()
    except ValueError:
        return


def _integer_forms(_: FindingContext, value: Literal) -> Iterator[str]:
    number = _parse_number(value)
    if number is not None and number == number.to_integral_value():
        yield f"{number.to_integral_value():f}"


def _boolean_forms(_: FindingContext, value: Literal) -> Iterator[str]:
    known = {"true": "true", "1": "true", "yes": "true", "false": "false", "0": "false", "no": "false"}
    text = known.get(value.value.strip().lower())
    if text is not None:
        yield text


def _stripped_form(_: FindingContext, value: Literal) -> Iterator[str]:
    yield value.value.strip()


_LEXICAL_CONVERTERS: Final[Mapping[str, Callable[[FindingContext, Literal], Iterator[str]]]] = {
    "decimal": _decimal_forms,
    "date": _date_forms,
    "integer": _integer_forms,
    "nonNegativeInteger": _integer_forms,
    "boolean": _boolean_forms,
}


def _replace_with_list_member(case: FindingContext) -> Iterator[SuggestionCandidate]:
    """The member of a list that the value is nearly, by the end of its IRI."""
    value = case.finding.value
    if value is None:
        return
    members = [
        term_from_rdflib(member) for head in case.shape_values(SH["in"]) for member in Collection(case.shapes, head)
    ]
    named = {slugify(_local_name(member)): member for member in members}
    for name in difflib.get_close_matches(slugify(_local_name(value)), named, 1, _MIN_SIMILARITY):
        yield from _replace_value(case, value, named[name])


def _local_name(term: Term) -> str:
    """What an IRI ends in, or a literal says."""
    return re.split(r"[/#]", term.value)[-1] if isinstance(term, NamedNode | Literal) else ""


def _convert_to_iri(case: FindingContext) -> Iterator[SuggestionCandidate]:
    """An IRI that was written as text."""
    value = case.finding.value
    if isinstance(value, Literal) and re.fullmatch(r"https?://[^\s<>\"{}|^`\\]+", value.value):
        yield from _replace_value(case, value, NamedNode(value.value))


def _add_preferred_label(case: FindingContext) -> Iterator[SuggestionCandidate]:
    """The preferred name in a language: a name without a language, another name, or that of the other language."""
    if case.finding.path != _PREF_LABEL:
        return
    for language in _required_languages(case):
        known = [
            (predicate, value)
            for predicate in _LABEL_PROPERTIES
            for value in case.values(predicate)
            if isinstance(value, Literal)
        ]
        for predicate, value in sorted(known, key=lambda item: _language_rank(item[1], language)):
            name = Literal(value.value, language=language)
            untagged = predicate == _PREF_LABEL and value.language is None
            yield SuggestionCandidate(
                f"Name it {_turtle_term(name)}.",
                f"Đặt tên là {_turtle_term(name)}.",
                frozenset({Triple(case.focus, predicate, value)} if untagged else ()),
                frozenset({Triple(case.focus, _PREF_LABEL, name)}),
            )


def _language_rank(value: Literal, language: str) -> int:
    return [language, None].index(value.language) if value.language in {language, None} else 2


def _required_languages(case: FindingContext) -> list[str]:
    """The languages that the qualified value shape of a finding asks for."""
    shapes = case.shape_values(SH.qualifiedValueShape)
    heads = [head for shape in shapes for head in case.shapes.objects(shape, SH.languageIn)]
    return [str(item) for head in heads for item in Collection(case.shapes, head)]


def _cite_evidence(case: FindingContext) -> Iterator[SuggestionCandidate]:
    """Evidence that is held already and says the figure, or the name of what the claim is about."""
    if case.finding.path not in {None, _EVIDENCE} or case.values(_EVIDENCE):
        return
    for row in _matching_evidence(case, _claim_matcher(case)):
        added = {Triple(case.focus, _EVIDENCE, row["evidence"])}
        if "publisher" in row and not case.values(_WAS_ATTRIBUTED_TO):
            added.add(Triple(case.focus, _WAS_ATTRIBUTED_TO, row["publisher"]))
        yield SuggestionCandidate(
            f"Cite the evidence “{row['exact'].value}”, which says so.",
            f"Dẫn bằng chứng «{row['exact'].value}», vốn nói điều này.",
            added=frozenset(added),
        )


def _claim_matcher(case: FindingContext) -> Callable[[str], bool]:
    """What tells whether a quote says what a claim says."""
    numbers = {_parse_number(value) for path in (_VALUE, _MIN, _MAX) for value in case.values(path)} - {None}
    if numbers:
        units = {unit.value for unit in case.values(_HAS_UNIT) if isinstance(unit, NamedNode)}
        return lambda quote: any(
            {figure.low, figure.high} == numbers and figure.unit in units for figure in read_figures(quote)
        )
    ends = [*case.values(NamedNode(str(RDF.subject))), *case.values(NamedNode(str(RDF.object)))]
    return _name_matcher(case, ends)


def _name_matcher(case: FindingContext, nodes: Iterable[Term]) -> Callable[[str], bool]:
    paths = (_PREF_LABEL, NamedNode(SKOS + "altLabel"))
    names = {
        value.value
        for node in nodes
        for path in paths
        for value in case.values(path, node)
        if isinstance(value, Literal)
    }
    return lambda quote: quote in names


def _matching_evidence(case: FindingContext, says: Callable[[str], bool]) -> list[Row]:
    """Up to two pieces of evidence whose quotes say something."""
    fitting = [row for row in case.engine.select(_QUOTES_QUERY) if says(row["exact"].value)]
    return sorted(fitting, key=lambda row: row["evidence"].value)[:2]


def _attribute_to_publisher(case: FindingContext) -> Iterator[SuggestionCandidate]:
    """The publisher of the source, who is the narrator of what nobody else says."""
    if case.finding.path not in {None, _WAS_ATTRIBUTED_TO} or case.values(_WAS_ATTRIBUTED_TO):
        return
    for evidence in case.values(_EVIDENCE):
        for source in case.values(NamedNode(OA + "hasSource"), evidence):
            for publisher in case.values(NamedNode(SCHEMA + "publisher"), source):
                yield SuggestionCandidate(
                    f"Attribute it to {_turtle_term(publisher)}, the source's publisher.",
                    f"Ghi bên nêu là {_turtle_term(publisher)}, nhà xuất bản của nguồn.",
                    added=frozenset({Triple(case.focus, _WAS_ATTRIBUTED_TO, publisher)}),
                )


def _swap_bounds(case: FindingContext) -> Iterator[SuggestionCandidate]:
    """The two bounds the other way round."""
    for low, high in itertools.product(case.values(_MIN), case.values(_MAX)):
        yield SuggestionCandidate(
            "Swap the two bounds.",
            "Đổi chỗ hai cận.",
            frozenset({Triple(case.focus, _MIN, low), Triple(case.focus, _MAX, high)}),
            frozenset({Triple(case.focus, _MIN, high), Triple(case.focus, _MAX, low)}),
        )


def _restore_magnitude(case: FindingContext) -> Iterator[SuggestionCandidate]:
    """A lost word for billion or million, put back."""
    value = case.finding.value
    amount = _parse_number(value)
    if isinstance(value, Literal) and amount is not None:
        yield from _emend_amount(case, value, amount)


def _emend_amount(
    case: FindingContext, value: Literal, amount: Decimal, more: Iterable[Triple] = ()
) -> Iterator[SuggestionCandidate]:
    """A billion or a million times an amount, as an emendation that says so."""
    paths = [path for path in (_VALUE, _MIN, _MAX) if case.triples(case.focus, path, value)]
    for path, (scale, english, vietnamese) in itertools.product(paths[:1], _SCALES):
        meant = _decimal_literal(amount * scale)
        emendation = _emendation_issue(case.focus, english, vietnamese)
        yield SuggestionCandidate(
            f"If the word for {english} was lost, write {meant.value} and say that it is emended.",
            f"Nếu rơi mất chữ «{vietnamese}», viết {meant.value} và ghi là đã hiệu đính.",
            frozenset({Triple(case.focus, path, value)}),
            frozenset({Triple(case.focus, path, meant), Triple(case.focus, _EMENDED, _TRUE), *emendation, *more}),
        )


def _emendation_issue(claim: NamedNode, english: str, vietnamese: str) -> Iterator[Triple]:
    """An issue that tells of an emendation."""
    issue = NamedNode(f"{ID}issue/{claim.value.partition('/id/claim/')[2] or slugify(claim.value)}-emended")
    texts = {
        "en": (f"The word for {english} is missing", f"Read with the word for {english} that the source leaves out."),
        "vi": (f"Thiếu chữ «{vietnamese}»", f"Đọc thêm chữ «{vietnamese}» mà nguồn bỏ sót."),
    }
    yield Triple(issue, RDF_TYPE, NamedNode(HPEZ + "Issue"))
    yield Triple(issue, NamedNode(OA + "hasTarget"), claim)
    yield Triple(issue, NamedNode(PREFIXES["dcterms"] + "type"), NamedNode(ID + "issue-type/emendation"))
    for language, (name, text) in texts.items():
        body = NamedNode(f"{issue.value}#{language}")
        yield Triple(issue, _PREF_LABEL, Literal(name, language=language))
        yield Triple(issue, NamedNode(PREFIXES["rdfs"] + "label"), Literal(name, language=language))
        yield Triple(issue, NamedNode(OA + "hasBody"), body)
        yield Triple(body, RDF_TYPE, NamedNode(OA + "TextualBody"))
        yield Triple(body, NamedNode(str(RDF.value)), Literal(text, language=language))


def _add_relation_claim(case: FindingContext) -> Iterator[SuggestionCandidate]:
    """A claim that witnesses a relation, with evidence that names one of its ends."""
    path, value = case.finding.path, case.finding.value
    if not isinstance(path, NamedNode) or not isinstance(value, NamedNode):
        return
    rows = [row for node in (case.focus, value) for row in _matching_evidence(case, _name_matcher(case, (node,)))[:1]]
    for row in rows:
        if "publisher" not in row:
            continue
        source = slugify(_local_name(row["source"]))
        claim = NamedNode(
            f"{ID}claim/{source}/{slugify(_local_name(case.focus))}-{slugify(_local_name(path))}-{slugify(_local_name(value))}"
        )
        yield SuggestionCandidate(
            f"Add the claim {_turtle_term(claim)} that states it, if the evidence “{row['exact'].value}” says so.",
            f"Thêm nhận định {_turtle_term(claim)} nêu quan hệ này, nếu bằng chứng «{row['exact'].value}» nói vậy.",
            added=frozenset(
                {
                    Triple(claim, RDF_TYPE, NamedNode(HPEZ + "RelationClaim")),
                    Triple(claim, NamedNode(str(RDF.subject)), case.focus),
                    Triple(claim, NamedNode(str(RDF.predicate)), path),
                    Triple(claim, NamedNode(str(RDF.object)), value),
                    Triple(claim, _WAS_ATTRIBUTED_TO, row["publisher"]),
                    Triple(claim, _EVIDENCE, row["evidence"]),
                }
            ),
        )


def _turtle_term(term: Term) -> str:
    """A term as Turtle writes it with the project's prefixes."""
    match term:
        case NamedNode():
            return compact(term.value)
        case Literal() if term.language is None and term.datatype != _STRING:
            return (
                term.value
                if term.datatype in _UNQUOTED_DATATYPES
                else f'"{term.value}"^^{compact(term.datatype.value)}'
            )
    return str(term)


def _replace_undefined_term(case: FindingContext) -> Iterator[SuggestionCandidate]:
    """The term of the ontology that a misspelt one is nearly."""
    terms = {_local_name(row["term"]): row["term"] for row in case.engine.select(_TERMS_QUERY)}
    said = case.triples(case.focus, None)
    used = {item.predicate for item in said} | {item.object for item in said if item.predicate == RDF_TYPE}
    unknown = [
        term
        for term in used
        if isinstance(term, NamedNode) and term.value.startswith(HPEZ) and term not in terms.values()
    ]
    for term in unknown:
        for name in difflib.get_close_matches(_local_name(term), terms, 1, _MIN_SIMILARITY):
            yield _replace_term(said, term, terms[name])


def _replace_term(said: Iterable[Triple], term: NamedNode, meant: Term) -> SuggestionCandidate:
    def mended(item: Triple) -> Triple:
        predicate = meant if item.predicate == term and isinstance(meant, NamedNode) else item.predicate
        return Triple(item.subject, predicate, meant if item.object == term else item.object)

    concerned = frozenset(item for item in said if term in {item.predicate, item.object})
    return SuggestionCandidate(
        f"Write {_turtle_term(meant)} in place of {_turtle_term(term)}, which is not defined.",
        f"Viết {_turtle_term(meant)} thay cho {_turtle_term(term)}, vốn chưa được định nghĩa.",
        concerned,
        frozenset(map(mended, concerned)),
    )


_CandidateRules = tuple[Callable[[FindingContext], Iterator[SuggestionCandidate]], ...]
_RULES_BY_COMPONENT: Final[Mapping[str, _CandidateRules]] = {
    "DatatypeConstraintComponent": (_convert_datatype, _add_preferred_label),
    "InConstraintComponent": (_replace_with_list_member,),
    "NodeKindConstraintComponent": (_convert_to_iri,),
    "ClassConstraintComponent": (_convert_to_iri,),
    "QualifiedMinCountConstraintComponent": (_add_preferred_label,),
    "MinCountConstraintComponent": (_cite_evidence, _attribute_to_publisher),
    "XoneConstraintComponent": (_cite_evidence, _attribute_to_publisher),
    "ClosedConstraintComponent": (_replace_undefined_term,),
}
_RULES_BY_CONSTRAINT: Final[Mapping[str, _CandidateRules]] = {
    "Bounds-order": (_swap_bounds,),
    "Magnitude-money": (_restore_magnitude,),
    "RelationEvidence-claim": (_add_relation_claim,),
    "Vocabulary-undefined": (_replace_undefined_term,),
}
