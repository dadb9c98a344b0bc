"""The rules that propose fixes for findings.

A rule proposes candidates from a finding and the data. It need not be right: `kg.validation.suggestions` tries each
candidate.
"""

import difflib
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Final

import rdflib
from rdflib.collection import Collection
from rdflib.namespace import RDF, SH

from kg.engine.embedded import EmbeddedEngine
from kg.engine.protocol import Row
from kg.rdf.namespaces import HPEZ, HPSH, ID, OA, PREFIXES, PROV, SCHEMA, SKOS, SPARQL_PREFIXES, XSD, compact, slugify
from kg.rdf.namespaces import SH as SHACL
from kg.rdf.rdflib_terms import term_from_rdflib, term_to_rdflib
from kg.rdf.terms import RDF_TYPE, Literal, NamedNode, Term, Triple
from kg.sources.figures import read_figures
from kg.validation.report import Finding
from kg.validation.shapes import SHAPES_GRAPH

_MAX_DIGITS: Final = 40
"""Digits of a number that a rule may write."""
_MAX_MATCHES: Final = 5000
"""Triples or quotations that a rule reads at most."""
_MIN_SIMILARITY: Final = 0.8
"""Similarity of two names from which one may be a misspelling of the other (difflib ratio)."""
_DECIMAL: Final = NamedNode(XSD + "decimal")
_STRING: Final = NamedNode(XSD + "string")
_UNQUOTED_DATATYPES: Final = (_DECIMAL, NamedNode(XSD + "integer"), NamedNode(XSD + "boolean"))
"""Datatypes whose literals Turtle writes without quotation marks."""
_EMENDED: Final = NamedNode(HPEZ + "emended")
_TRUE: Final = Literal("true", datatype=NamedNode(XSD + "boolean"))
_SCALES: Final = ((10**9, "billion", "tỷ"), (10**6, "million", "triệu"))
_CURRENCY_UNIT_PREFIX: Final = PREFIXES["unit"] + "CCY_"
_MIN_PLAUSIBLE_AMOUNT: Final = 10**6
"""An amount of money below this has probably lost the word for million or billion."""
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
}} LIMIT {_MAX_MATCHES}"""
)
_TERMS_QUERY: Final = SPARQL_PREFIXES + "SELECT ?term { ?term rdfs:isDefinedBy <https://w3id.org/hpez/ontology> }"


@dataclass(frozen=True)
class SuggestionCandidate:
    """A possible fix: the triples to remove and to add, and the instruction in English and Vietnamese."""

    english: str
    vietnamese: str
    removed: frozenset[Triple] = frozenset()
    added: frozenset[Triple] = frozenset()


@dataclass(frozen=True)
class FindingContext:
    """A finding, the engine in the state after the proposed change, and the shapes graph."""

    finding: Finding
    engine: EmbeddedEngine
    shapes: rdflib.Graph

    @property
    def focus(self) -> NamedNode:
        """The focus node; findings about blank nodes get no suggestions."""
        return self.finding.focus if isinstance(self.finding.focus, NamedNode) else NamedNode(ID)

    def values(self, predicate: NamedNode, subject: Term | None = None) -> list[Term]:
        """Return the values of a property of the focus node, or of another subject."""
        triples = self.triples(subject or self.focus, predicate)
        return [item.object for item in triples if not isinstance(item.object, Triple)]

    def triples(self, subject: Term | None, predicate: NamedNode | None, value: Term | None = None) -> list[Triple]:
        """Return the triples with a subject, predicate and object outside the shapes graph; None matches any."""
        return list(
            itertools.islice(self.engine.triples_outside_graph(subject, predicate, value, SHAPES_GRAPH), _MAX_MATCHES)
        )

    def shape_values(self, term: rdflib.URIRef) -> list[rdflib.term.Node]:
        """Return the values of a property of the shape that the finding names."""
        return list(self.shapes.objects(term_to_rdflib(self.finding.shape), term))


def suggestion_candidates(context: FindingContext) -> Iterator[SuggestionCandidate]:
    """Propose fixes for a finding by its constraint component, or by the project's own SPARQL constraint."""
    finding = context.finding
    name = finding.component.value.removeprefix(SHACL)
    constraint = finding.constraint.value.removeprefix(HPSH) if isinstance(finding.constraint, NamedNode) else ""
    for rule in (*_RULES_BY_COMPONENT.get(name, ()), *_RULES_BY_CONSTRAINT.get(constraint, ())):
        yield from rule(context)


def _replace_value(
    context: FindingContext, old: Term, new: Term, more: Iterable[Triple] = ()
) -> Iterator[SuggestionCandidate]:
    """Replace one value of the finding's path by another."""
    path = context.finding.path
    if not isinstance(path, NamedNode) or not context.triples(context.focus, path, old):
        return
    yield SuggestionCandidate(
        f"Write {_turtle_term(new)} in place of {_turtle_term(old)}.",
        f"Viết {_turtle_term(new)} thay cho {_turtle_term(old)}.",
        frozenset({Triple(context.focus, path, old)}),
        frozenset({Triple(context.focus, path, new), *more}),
    )


def _convert_datatype(context: FindingContext) -> Iterator[SuggestionCandidate]:
    """Write the value with the datatype that the shape requires; an amount in words also gets its unit."""
    value = context.finding.value
    datatypes = [term_from_rdflib(term) for term in context.shape_values(SH.datatype)]
    if not isinstance(value, Literal):
        return
    for datatype in datatypes:
        if datatype == _DECIMAL:
            yield from _convert_amount(context, value)
        if isinstance(datatype, NamedNode):
            for lexical in _LEXICAL_CONVERTERS.get(datatype.value.removeprefix(XSD), _stripped_form)(context, value):
                yield from _replace_value(context, value, Literal(lexical, datatype=datatype))


def _convert_amount(context: FindingContext, value: Literal) -> Iterator[SuggestionCandidate]:
    """Write an amount such as `17 USD` or `4,35 tỷ USD` as a number and a unit."""
    for figure in read_figures(value.value)[:1]:
        unit = NamedNode(figure.unit)
        units = context.values(_HAS_UNIT)
        more = [] if units else [Triple(context.focus, _HAS_UNIT, unit)]
        if units in ([], [unit]) and figure.low == figure.high:
            yield from _replace_value(context, value, _decimal_literal(figure.low), more)
            if figure.unit.startswith(_CURRENCY_UNIT_PREFIX) and figure.low < _MIN_PLAUSIBLE_AMOUNT:
                yield from _emend_amount(context, value, figure.low, more)


def _decimal_literal(number: Decimal) -> Literal:
    """Return a decimal with a decimal point, so that Turtle does not read it as an integer."""
    whole, _, fraction = f"{number:f}".partition(".")
    return Literal(f"{whole}.{fraction.rstrip('0') or '0'}", datatype=_DECIMAL)


def _parse_number(value: Term | None) -> Decimal | None:
    """Return the number in a literal of any datatype; None without a number, or with one of too many digits."""
    try:
        number = Decimal(value.value.strip()) if isinstance(value, Literal) else None
    except InvalidOperation:
        return None
    return number if number is not None and abs(number.adjusted()) < _MAX_DIGITS and number.is_finite() else None


def _decimal_forms(_: FindingContext, value: Literal) -> Iterator[str]:
    number = _parse_number(value)
    if number is not None:
        yield _decimal_literal(number).value


def _date_forms(context: FindingContext, value: Literal) -> Iterator[str]:
    """Return the date of a dateTime, or the first day of a year; its last day for an end date."""
    text = value.value.strip()
    if re.fullmatch(r"\d{4}", text):
        ends = isinstance(context.finding.path, NamedNode) and context.finding.path.value.lower().endswith("enddate")
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


def _replace_with_list_member(context: FindingContext) -> Iterator[SuggestionCandidate]:
    """Write the member of sh:in whose name is most similar to the value."""
    value = context.finding.value
    if value is None:
        return
    members = [
        term_from_rdflib(member)
        for head in context.shape_values(SH["in"])
        for member in Collection(context.shapes, head)
    ]
    by_name = {slugify(_local_name(member)): member for member in members}
    for name in difflib.get_close_matches(slugify(_local_name(value)), by_name, 1, _MIN_SIMILARITY):
        yield from _replace_value(context, value, by_name[name])


def _local_name(term: Term) -> str:
    """Return the last segment of an IRI, or the text of a literal."""
    return re.split(r"[/#]", term.value)[-1] if isinstance(term, NamedNode | Literal) else ""


def _convert_to_iri(context: FindingContext) -> Iterator[SuggestionCandidate]:
    """Write text that looks like an IRI as an IRI."""
    value = context.finding.value
    if isinstance(value, Literal) and re.fullmatch(r"https?://[^\s<>\"{}|^`\\]+", value.value):
        yield from _replace_value(context, value, NamedNode(value.value))


def _add_preferred_label(context: FindingContext) -> Iterator[SuggestionCandidate]:
    """Add the preferred name in a required language: from a name without a language, else from any other name."""
    if context.finding.path != _PREF_LABEL:
        return
    for language in _required_languages(context):
        names = [
            (predicate, value)
            for predicate in _LABEL_PROPERTIES
            for value in context.values(predicate)
            if isinstance(value, Literal)
        ]
        for predicate, value in sorted(names, key=lambda item: _language_rank(item[1], language)):
            name = Literal(value.value, language=language)
            untagged = predicate == _PREF_LABEL and value.language is None
            yield SuggestionCandidate(
                f"Name it {_turtle_term(name)}.",
                f"Đặt tên là {_turtle_term(name)}.",
                frozenset({Triple(context.focus, predicate, value)} if untagged else ()),
                frozenset({Triple(context.focus, _PREF_LABEL, name)}),
            )


def _language_rank(value: Literal, language: str) -> int:
    return [language, None].index(value.language) if value.language in {language, None} else 2


def _required_languages(context: FindingContext) -> list[str]:
    """Return the languages that the qualified value shape of a finding requires."""
    shapes = context.shape_values(SH.qualifiedValueShape)
    heads = [head for shape in shapes for head in context.shapes.objects(shape, SH.languageIn)]
    return [str(item) for head in heads for item in Collection(context.shapes, head)]


def _cite_evidence(context: FindingContext) -> Iterator[SuggestionCandidate]:
    """Cite stored evidence whose quotation states the claim's figure, or names an end of its relation."""
    if context.finding.path not in {None, _EVIDENCE} or context.values(_EVIDENCE):
        return
    for row in _matching_evidence(context, _claim_matcher(context)):
        added = {Triple(context.focus, _EVIDENCE, row["evidence"])}
        if "publisher" in row and not context.values(_WAS_ATTRIBUTED_TO):
            added.add(Triple(context.focus, _WAS_ATTRIBUTED_TO, row["publisher"]))
        yield SuggestionCandidate(
            f"Cite the evidence “{row['exact'].value}”, which says so.",
            f"Dẫn bằng chứng «{row['exact'].value}», vốn nói điều này.",
            added=frozenset(added),
        )


def _claim_matcher(context: FindingContext) -> Callable[[str], bool]:
    """Return a predicate: whether a quotation states the claim's figure or names an end of its relation."""
    numbers = {_parse_number(value) for path in (_VALUE, _MIN, _MAX) for value in context.values(path)} - {None}
    if numbers:
        units = {unit.value for unit in context.values(_HAS_UNIT) if isinstance(unit, NamedNode)}
        return lambda quote: any(
            {figure.low, figure.high} == numbers and figure.unit in units for figure in read_figures(quote)
        )
    ends = [*context.values(NamedNode(str(RDF.subject))), *context.values(NamedNode(str(RDF.object)))]
    return _name_matcher(context, ends)


def _name_matcher(context: FindingContext, nodes: Iterable[Term]) -> Callable[[str], bool]:
    paths = (_PREF_LABEL, NamedNode(SKOS + "altLabel"))
    names = {
        value.value
        for node in nodes
        for path in paths
        for value in context.values(path, node)
        if isinstance(value, Literal)
    }
    return lambda quote: quote in names


def _matching_evidence(context: FindingContext, matches: Callable[[str], bool]) -> list[Row]:
    """Return up to two pieces of evidence whose quotations match."""
    rows = [row for row in context.engine.select(_QUOTES_QUERY) if matches(row["exact"].value)]
    return sorted(rows, key=lambda row: row["evidence"].value)[:2]


def _attribute_to_publisher(context: FindingContext) -> Iterator[SuggestionCandidate]:
    """Attribute a claim without a speaker to the publisher of its source."""
    if context.finding.path not in {None, _WAS_ATTRIBUTED_TO} or context.values(_WAS_ATTRIBUTED_TO):
        return
    for evidence in context.values(_EVIDENCE):
        for source in context.values(NamedNode(OA + "hasSource"), evidence):
            for publisher in context.values(NamedNode(SCHEMA + "publisher"), source):
                yield SuggestionCandidate(
                    f"Attribute it to {_turtle_term(publisher)}, the source's publisher.",
                    f"Ghi bên nêu là {_turtle_term(publisher)}, nhà xuất bản của nguồn.",
                    added=frozenset({Triple(context.focus, _WAS_ATTRIBUTED_TO, publisher)}),
                )


def _swap_bounds(context: FindingContext) -> Iterator[SuggestionCandidate]:
    """Swap the two bounds."""
    for low, high in itertools.product(context.values(_MIN), context.values(_MAX)):
        yield SuggestionCandidate(
            "Swap the two bounds.",
            "Đổi chỗ hai cận.",
            frozenset({Triple(context.focus, _MIN, low), Triple(context.focus, _MAX, high)}),
            frozenset({Triple(context.focus, _MIN, high), Triple(context.focus, _MAX, low)}),
        )


def _restore_magnitude(context: FindingContext) -> Iterator[SuggestionCandidate]:
    """Multiply an amount that has lost the word for billion or million."""
    value = context.finding.value
    amount = _parse_number(value)
    if isinstance(value, Literal) and amount is not None:
        yield from _emend_amount(context, value, amount)


def _emend_amount(
    context: FindingContext, value: Literal, amount: Decimal, more: Iterable[Triple] = ()
) -> Iterator[SuggestionCandidate]:
    """Write a billion or a million times an amount, marked as an emendation."""
    paths = [path for path in (_VALUE, _MIN, _MAX) if context.triples(context.focus, path, value)]
    for path, (scale, english, vietnamese) in itertools.product(paths[:1], _SCALES):
        emended = _decimal_literal(amount * scale)
        emendation = _emendation_issue(context.focus, english, vietnamese)
        yield SuggestionCandidate(
            f"If the word for {english} was lost, write {emended.value} and say that it is emended.",
            f"Nếu rơi mất chữ «{vietnamese}», viết {emended.value} và ghi là đã hiệu đính.",
            frozenset({Triple(context.focus, path, value)}),
            frozenset(
                {Triple(context.focus, path, emended), Triple(context.focus, _EMENDED, _TRUE), *emendation, *more}
            ),
        )


def _emendation_issue(claim: NamedNode, english: str, vietnamese: str) -> Iterator[Triple]:
    """Return an issue that describes an emendation."""
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


def _add_relation_claim(context: FindingContext) -> Iterator[SuggestionCandidate]:
    """Add a claim that states a relation, with evidence that names one of its ends."""
    path, value = context.finding.path, context.finding.value
    if not isinstance(path, NamedNode) or not isinstance(value, NamedNode):
        return
    rows = [
        row
        for node in (context.focus, value)
        for row in _matching_evidence(context, _name_matcher(context, (node,)))[:1]
    ]
    for row in rows:
        if "publisher" not in row:
            continue
        source = slugify(_local_name(row["source"]))
        claim = NamedNode(
            f"{ID}claim/{source}/{slugify(_local_name(context.focus))}-{slugify(_local_name(path))}-{slugify(_local_name(value))}"
        )
        yield SuggestionCandidate(
            f"Add the claim {_turtle_term(claim)} that states it, if the evidence “{row['exact'].value}” says so.",
            f"Thêm nhận định {_turtle_term(claim)} nêu quan hệ này, nếu bằng chứng «{row['exact'].value}» nói vậy.",
            added=frozenset(
                {
                    Triple(claim, RDF_TYPE, NamedNode(HPEZ + "RelationClaim")),
                    Triple(claim, NamedNode(str(RDF.subject)), context.focus),
                    Triple(claim, NamedNode(str(RDF.predicate)), path),
                    Triple(claim, NamedNode(str(RDF.object)), value),
                    Triple(claim, _WAS_ATTRIBUTED_TO, row["publisher"]),
                    Triple(claim, _EVIDENCE, row["evidence"]),
                }
            ),
        )


def _turtle_term(term: Term) -> str:
    """Return a term as Turtle with the project's prefixes."""
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


def _replace_undefined_term(context: FindingContext) -> Iterator[SuggestionCandidate]:
    """Replace a misspelt term of the ontology by the most similar one."""
    terms = {_local_name(row["term"]): row["term"] for row in context.engine.select(_TERMS_QUERY)}
    triples = context.triples(context.focus, None)
    used = {item.predicate for item in triples} | {item.object for item in triples if item.predicate == RDF_TYPE}
    unknown = [
        term
        for term in used
        if isinstance(term, NamedNode) and term.value.startswith(HPEZ) and term not in terms.values()
    ]
    for term in unknown:
        for name in difflib.get_close_matches(_local_name(term), terms, 1, _MIN_SIMILARITY):
            yield _replace_term(triples, term, terms[name])


def _replace_term(triples: Iterable[Triple], term: NamedNode, replacement: Term) -> SuggestionCandidate:
    def corrected(item: Triple) -> Triple:
        predicate = replacement if item.predicate == term and isinstance(replacement, NamedNode) else item.predicate
        return Triple(item.subject, predicate, replacement if item.object == term else item.object)

    using = frozenset(item for item in triples if term in {item.predicate, item.object})
    return SuggestionCandidate(
        f"Write {_turtle_term(replacement)} in place of {_turtle_term(term)}, which is not defined.",
        f"Viết {_turtle_term(replacement)} thay cho {_turtle_term(term)}, vốn chưa được định nghĩa.",
        using,
        frozenset(map(corrected, using)),
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
