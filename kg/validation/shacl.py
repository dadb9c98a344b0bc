"""Judge data against SHACL shapes; the only importer of pySHACL.

pySHACL judges the core constraints. The sh:sparql constraints of a shape that has targets of its
own and that no other shape refers to are asked of the engine, one focus node at a time with
$this substituted (SHACL, section 5.3.1): rdflib would parse each of them again for every node.
Whatever does not fit that pattern stays with pySHACL, so nothing goes unchecked.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import takewhile
from typing import Any, Final, NoReturn

import rdflib
from rdflib.namespace import OWL, RDF, RDFS, SH, NamespaceManager

from kg.engine.embedded import EmbeddedEngine
from kg.engine.protocol import QueryDataset, Row
from kg.errors import EngineError, ShapesError
from kg.rdf.io import place_in_graph
from kg.rdf.namespaces import SH as SHACL
from kg.rdf.namespaces import compact, graph_iri
from kg.rdf.rdflib_terms import rdflib_graph, term_from_rdflib, term_to_rdflib
from kg.rdf.terms import Literal, NamedNode, Quad, Resource, Term, Triple
from kg.sparql import tokens
from kg.validation.report import VIOLATION, Finding, ValidationReport, require_iri, require_resource, sort_findings

SHAPES_GRAPH: Final = NamedNode(graph_iri("shapes"))

DATA_GRAPH: Final = NamedNode(graph_iri("data"))
SPARQL_COMPONENT: Final = NamedNode(SHACL + "SPARQLConstraintComponent")

_TYPE: Final = NamedNode(str(RDF.type))
_FORBIDDEN_KEYWORDS: Final = frozenset({"MINUS", "VALUES", "SERVICE"})
_SERVICE_CALL_MESSAGE: Final = "A constraint calls SERVICE; shapes may only look at the data."
_BOUND_CHECK: Final = re.compile(r"\bbound\s*\(\s*[?$](shapesGraph|currentShape)\s*\)", re.IGNORECASE)
_CORRELATED_GROUP_KEYWORDS: Final = frozenset({"EXISTS", "OPTIONAL"})
_MAX_CACHED_IRIS: Final = 10_000
"""IRIs of which it is remembered how they are written."""
_MESSAGE_PLACEHOLDER: Final = re.compile(r"\{[?$](\w+)\}")
_SHAPE_REFERENCES: Final = (SH.property, SH.node, SH["not"], SH.qualifiedValueShape)
_SHAPE_LIST_REFERENCES: Final = (SH["and"], SH["or"], SH.xone)
_TARGET_PROPERTIES: Final = (SH.targetClass, SH.targetNode, SH.targetSubjectsOf, SH.targetObjectsOf, SH.target)
_NON_CONSTRAINT_PROPERTIES: Final = (
    *_TARGET_PROPERTIES,
    SH.severity,
    SH.message,
    SH.name,
    SH.description,
    SH.order,
    SH.group,
)


SelectFunction = Callable[[str, Mapping[str, Term]], Iterable[Row]]
"""Answers a SELECT query over the data, with some variables bound beforehand."""


@dataclass(frozen=True)
class SparqlConstraint:
    """An sh:sparql constraint that the engine evaluates for the focus nodes of its shape."""

    shape: Resource
    constraint: Resource
    select: str
    severity: NamedNode
    path: Term | None
    messages: tuple[Literal, ...]
    focus_queries: tuple[str, ...]


@dataclass(frozen=True)
class Shapes:
    """A shapes graph, checked and split between pySHACL and the engine."""

    quads: tuple[Quad, ...]
    core_graph: rdflib.Graph = field(repr=False)
    constraints: tuple[SparqlConstraint, ...]

    @property
    def targeted_shapes(self) -> tuple[Resource, ...]:
        """The shapes that pySHACL judges by targets of their own."""
        found = {subject for subject in self.core_graph.subjects() if any(_focus_queries(self.core_graph, subject))}
        return tuple(require_resource(term_from_rdflib(shape)) for shape in sorted(found, key=str))

    def restrict_targets(self, shapes: Iterable[Resource], constraints: Iterable[SparqlConstraint]) -> "Shapes":
        """The same, but only some shapes and constraints have targets."""
        kept = {term_to_rdflib(shape) for shape in shapes}
        core = rdflib.Graph(bind_namespaces="none")
        for triple in self.core_graph:
            if triple[0] in kept or (triple[1] not in _TARGET_PROPERTIES and not _declares_class(triple)):
                core.add(triple)
        return Shapes(self.quads, core, tuple(constraints))


def _declares_class(triple: tuple[rdflib.term.Node, ...]) -> bool:
    """Whether a triple makes its subject a class, which a shape may target implicitly."""
    return triple[1] == RDF.type and triple[2] in {RDFS.Class, OWL.Class}


def read_shapes(quads: Iterable[Quad]) -> Shapes:
    """Analyse a shapes graph.

    Raises ShapesError for owl:imports, a SERVICE call in a constraint, or a term of the SHACL
    namespace that SHACL does not define: a misspelt one would otherwise constrain nothing.
    """
    placed = tuple(place_in_graph(quads, SHAPES_GRAPH))
    graph = rdflib_graph(placed)
    _refuse_imports(graph)
    _refuse_unknown_terms(graph)
    _refuse_service(graph)
    _refuse_undefined_shapes(graph)
    constraints = tuple(_engine_constraints(graph))
    for item in constraints:
        graph.remove((term_to_rdflib(item.shape), SH.sparql, term_to_rdflib(item.constraint)))
    for shape in {item.shape for item in constraints}:
        if not _has_core_constraints(graph, term_to_rdflib(shape)):
            for target in _TARGET_PROPERTIES:
                graph.remove((term_to_rdflib(shape), target, None))
    return Shapes(placed, graph, constraints)


def preload_pyshacl() -> None:
    """Load pySHACL now, so that processes forked later share it."""
    import pyshacl  # noqa: F401, PLC0415


def validate(data: Iterable[Quad], shapes: Shapes) -> ValidationReport:
    """Judge a whole dataset, the union of its graphs, against shapes.

    Raises EngineError when the validator fails, so that a caller can only refuse.
    """
    facts = [quad for quad in data if quad.graph_name != SHAPES_GRAPH]
    found = list(_validate_core(rdflib_graph(facts), shapes.core_graph))
    if shapes.constraints:
        found.extend(_validate_sparql(facts, shapes))
    return ValidationReport(sort_findings(found))


def _validate_core(data: rdflib.Graph, shapes: rdflib.Graph) -> Iterator[Finding]:
    # Imported here because it takes half a second, which a service that only answers queries need not pay.
    import pyshacl  # noqa: PLC0415

    _block_service_calls()
    try:
        _, report, text = pyshacl.validate(data, shacl_graph=shapes, inference="none", advanced=True)
    except pyshacl.errors.ReportableRuntimeError as error:
        raise ShapesError(f"The shapes cannot be evaluated: {error.message}") from error
    except ShapesError:
        raise
    except Exception as error:
        raise EngineError(f"The validator failed, so nothing is admitted: {error}") from error
    if isinstance(report, pyshacl.errors.ValidationFailure):
        raise ShapesError(f"The shapes cannot be evaluated: {report.message}")
    if not isinstance(report, rdflib.Graph):
        raise EngineError(f"The validator gave no report, so nothing is admitted: {text}")
    yield from _parse_results(report)


def _parse_result(report: rdflib.Graph, result: rdflib.term.Node) -> Finding:
    def one(predicate: rdflib.URIRef) -> Term | None:
        value = report.value(result, predicate)
        return None if value is None else term_from_rdflib(value)

    return Finding(
        focus=_require_term(one(SH.focusNode)),
        shape=require_resource(one(SH.sourceShape)),
        component=require_iri(one(SH.sourceConstraintComponent)),
        severity=require_iri(one(SH.resultSeverity)),
        path=one(SH.resultPath),
        value=one(SH.value),
        constraint=_optional_resource(one(SH.sourceConstraint)),
        messages=_literals(report, result, SH.resultMessage),
        path_triples=tuple(_path_triples(report, report.value(result, SH.resultPath))),
    )


def _path_triples(graph: rdflib.Graph, node: rdflib.term.Node | None) -> Iterator[Triple]:
    """The triples that spell out a complex path, which hangs on a blank node."""
    if isinstance(node, rdflib.BNode):
        for predicate, value in graph.predicate_objects(node):
            yield Triple(
                require_resource(term_from_rdflib(node)),
                require_iri(term_from_rdflib(predicate)),
                term_from_rdflib(value),
            )
            yield from _path_triples(graph, value)


class _PrefixlessShapesGraph:
    """Stands for a shapes graph where pySHACL only wants its prefixes, for a text that nobody reads."""

    graph: Final = rdflib.Graph(bind_namespaces="none")


class CoreValidator:
    """pySHACL with a shapes graph that it reads once, to judge given focus nodes by given shapes."""

    def __init__(self, shapes: rdflib.Graph) -> None:
        """Take a shapes graph; pySHACL is loaded when first needed."""
        self._shapes = shapes
        self._names = _CachingNamespaceManager(rdflib_graph(()))

    def validate_pairs(
        self, data: Iterable[Triple], pairs: Iterable[tuple[Resource, Iterable[Term]]]
    ) -> list[list[Finding]]:
        """Judge focus nodes by shape over some data: the findings of each pair; raises as `validate` does."""
        import pyshacl  # noqa: PLC0415
        from pyshacl.pytypes import SHACLExecutor  # noqa: PLC0415

        graph, executor = self._build_data_graph(data), SHACLExecutor(advanced_mode=True)
        try:
            return [self._validate_shape(executor, graph, shape, nodes) for shape, nodes in pairs]
        except pyshacl.errors.ReportableRuntimeError as error:
            raise ShapesError(f"The shapes cannot be evaluated: {error.message}") from error
        except Exception as error:
            raise EngineError(f"The validator failed, so nothing is admitted: {error}") from error

    def _validate_shape(
        self,
        executor: Any,  # noqa: ANN401 - pySHACL's own
        graph: rdflib.Graph,
        shape: Resource,
        nodes: Iterable[Term],
    ) -> list[Finding]:
        from pyshacl.validator import Validator  # noqa: PLC0415

        known = self._shapes_by_node.get(term_to_rdflib(shape))
        if known is None:  # what pySHACL takes for no shape constrains nothing
            return []
        _, results = known.validate(executor, graph, focus=[term_to_rdflib(node) for node in nodes])
        if not results:
            return []
        report, _ = Validator.create_validation_report(_PrefixlessShapesGraph, conforms=False, results=results)
        return list(_parse_results(report))

    def preload(self) -> None:
        """Let pySHACL read the shapes now, so that processes forked later share it."""
        _ = self._shapes_by_node

    def _build_data_graph(self, data: Iterable[Triple]) -> rdflib.Graph:
        graph = _DataGraph(store="SimpleMemory", bind_namespaces="none")
        graph.namespace_manager = self._names
        for item in data:
            graph.add(
                (_to_rdflib_cached(item.subject), _to_rdflib_cached(item.predicate), _to_rdflib_cached(item.object))
            )
        return graph

    @cached_property
    def _pyshacl_shapes(self) -> Any:  # noqa: ANN401 - pySHACL's own
        """The shapes graph as pySHACL reads it."""
        from pyshacl.monkey import apply_patches  # noqa: PLC0415
        from pyshacl.shapes_graph import ShapesGraph  # noqa: PLC0415

        apply_patches()  # type: ignore[no-untyped-call]
        _speed_up_parameter_lookup()
        remembering = _CachingGraph(bind_namespaces="none")
        for triple in self._shapes:
            remembering.add(triple)
        remembering.namespace_manager = _CachingNamespaceManager(self._shapes)
        loaded = ShapesGraph(remembering)
        remembering.freeze()
        return loaded

    @cached_property
    def _shapes_by_node(self) -> dict[rdflib.term.Node, Any]:
        """The shapes that pySHACL takes for such, by their names."""
        try:
            found = {shape.node: shape for shape in self._pyshacl_shapes.shapes}
        except Exception as error:
            raise ShapesError(f"The shapes cannot be evaluated: {error}") from error
        return found


class _IndexedList(list[Any]):
    """A list in which looking something up takes no longer than in a set."""

    def __init__(self, items: Iterable[Any]) -> None:
        super().__init__(items)
        self._known = set(self)

    def __contains__(self, item: object) -> bool:
        return item in self._known

    def append(self, item: Any) -> None:  # noqa: ANN401 - as lists have it
        super().append(item)
        self._known.add(item)

    def copy(self) -> "_IndexedList":
        return _IndexedList(self)


def _speed_up_parameter_lookup() -> None:
    """Let pySHACL find its constraint parameters in a set, which it looks through one by one for every statement."""
    from pyshacl import shape  # noqa: PLC0415
    from pyshacl.constraints import ALL_CONSTRAINT_PARAMETERS, CONSTRAINT_PARAMETERS_MAP  # noqa: PLC0415

    vars(shape)["CONSTRAINT_PARAMS"] = _IndexedList(ALL_CONSTRAINT_PARAMETERS), CONSTRAINT_PARAMETERS_MAP


@lru_cache(maxsize=4096)
def _to_rdflib_cached(term: object) -> rdflib.term.Node:
    return term_to_rdflib(term)


class _CachingNamespaceManager(NamespaceManager):
    """Prefixes that stay as they are: what an IRI is written as is known once it was written."""

    def __init__(self, graph: rdflib.Graph) -> None:
        super().__init__(graph, bind_namespaces="none")
        for prefix, namespace in graph.namespace_manager.namespaces():
            super().bind(prefix, namespace)
        self._written = dict[str, str]()
        super().bind("sh", SH, override=False, replace=False)

    def bind(self, *_: object, **__: object) -> None:
        """PySHACL binds its own prefix each time that it writes a node."""

    def normalizeUri(self, rdfTerm: str) -> str:  # noqa: N802, N803 - rdflib's names
        """Write an IRI."""
        if rdfTerm not in self._written:
            if len(self._written) > _MAX_CACHED_IRIS:
                self._written.clear()
            self._written[rdfTerm] = super().normalizeUri(rdfTerm)
        return self._written[rdfTerm]


class _DataGraph(rdflib.Graph):
    """The data that is judged; pySHACL asks at each result whether there is any, which would count it."""

    def __bool__(self) -> bool:
        return True


class _CachingGraph(rdflib.Graph):
    """A graph that from some time on does not change: what was looked up once is known."""

    _known: dict[tuple[object, ...], list[Any]] | None = None

    def freeze(self) -> None:
        """Change no more."""
        self._known = {}

    def triples(self, triple: Any) -> Iterator[Any]:  # type: ignore[override]  # noqa: ANN401 - as rdflib has it
        if self._known is None:
            yield from super().triples(triple)
            return
        if triple not in self._known:
            self._known[triple] = list(super().triples(triple))
        yield from self._known[triple]


def _parse_results(report: rdflib.Graph) -> Iterator[Finding]:
    for result in report.subjects(RDF.type, SH.ValidationResult):
        if (None, SH.detail, result) not in report:
            yield _parse_result(report, result)


def evaluate_constraint(item: SparqlConstraint, focus: Term, ask: SelectFunction) -> Iterator[Finding]:
    """Ask what a SPARQL constraint says of a focus node.

    An IRI is written in the place of $this, since the engine plans what stands within EXISTS without what is bound.
    """
    text = _substitute_this(item.select, focus) if isinstance(focus, NamedNode) else None
    rows = ask(item.select, {"this": focus}) if text is None else ask(text, {})
    for row in {frozenset(row.items()): row for row in rows}.values():  # graphs may hold the same triple
        yield _sparql_finding(item, focus, row)


def _substitute_this(select: str, focus: NamedNode) -> str | None:
    """A query with an IRI for $this; None where a variable must stand."""
    around = _split_at_this(select)
    if around is None:
        return None
    return str(focus).join((f"({focus} AS ?this)".join(around[0]), *around[1]))


@lru_cache(maxsize=1024)
def _split_at_this(select: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """What stands around $this: in what is selected, up to the first $this of the pattern; and behind each such."""
    stream = list(tokens.iter_tokens(select))
    if any(token.is_word("BOUND") or token.is_word("GROUP") or token.is_word("ORDER") for token in stream):
        return None
    head = takewhile(lambda token: token.text != "{", stream)
    selected = sum(token.is_variable("this") for token in head)
    pieces = tokens.split_at_tokens(select, (token for token in stream if token.is_variable("this")))
    return tuple(pieces[: selected + 1]), tuple(pieces[selected + 1 :])


def _validate_sparql(facts: list[Quad], shapes: Shapes) -> Iterator[Finding]:
    named = [
        quad if isinstance(quad.graph_name, NamedNode) else place_in_graph([quad], DATA_GRAPH)[0] for quad in facts
    ]
    engine = EmbeddedEngine((*named, *shapes.quads))
    graphs = tuple(engine.graph_sizes())
    seen = QueryDataset(default=tuple(iri for iri in graphs if iri != SHAPES_GRAPH.value), named=graphs)

    def ask(text: str, bindings: Mapping[str, Term]) -> list[Row]:
        return engine.select(text, bindings, seen)

    for item in shapes.constraints:
        focus_nodes = {row["this"] for query in item.focus_queries for row in engine.select(query, dataset=seen)}
        for focus in focus_nodes:
            yield from evaluate_constraint(item, focus, ask)


def _sparql_finding(item: SparqlConstraint, focus: Term, row: Row) -> Finding:
    return Finding(
        focus=focus,
        shape=item.shape,
        component=SPARQL_COMPONENT,
        severity=item.severity,
        path=row.get("path", item.path),
        value=row.get("value", focus),
        constraint=item.constraint,
        messages=tuple(_fill_message(message, {"this": focus, **row}) for message in item.messages),
    )


def _fill_message(message: Literal, row: Row) -> Literal:
    """Put values into the {?name} places of a message, which keeps its language."""

    def value(match: re.Match[str]) -> str:
        term = row.get(match[1])
        if term is None:
            return match[0]
        return compact(term.value) if isinstance(term, NamedNode) else term.value

    text = _MESSAGE_PLACEHOLDER.sub(value, message.value)
    return Literal(text, language=message.language) if message.language else Literal(text)


def _engine_constraints(graph: rdflib.Graph) -> Iterator[SparqlConstraint]:
    for shape, constraint in graph.subject_objects(SH.sparql):
        focus_queries = tuple(_focus_queries(graph, shape))
        select = graph.value(constraint, SH.select)
        apart = focus_queries and not _is_referred_to(graph, shape) and (shape, SH.path, None) not in graph
        active = not {(shape, SH.deactivated), (constraint, SH.deactivated)} & set(graph.subject_predicates())
        if select is not None and apart and active and _prebinding_equals_join(str(select)):
            yield _engine_constraint(graph, shape, constraint, str(select), focus_queries)


def _prebinding_equals_join(select: str) -> bool:
    """Whether joining $this to the solutions gives what pre-binding it everywhere would (SHACL, section 5.3.1).

    It does where every group that asks for $this in an expression also binds it by a pattern, or sees what the
    group around it binds. What SHACL forbids (appendix A) is left to pySHACL, which refuses it.
    """
    stream = list(tokens.iter_tokens(select))
    words = ["", *(token.text.upper() for token in stream)]  # so that words[n] stands before stream[n]
    if not _FORBIDDEN_KEYWORDS.isdisjoint(words) or words.count("SELECT") != 1:
        return False
    groups, calls = list[_QueryGroup](), list[str]()
    for token, before in zip(stream, words, strict=False):
        if token.text == "{":
            groups.append(_QueryGroup(before in _CORRELATED_GROUP_KEYWORDS, len(calls)))
        elif token.text == "}" and groups and not groups.pop().is_sound:
            return False
        elif token.text == "(":
            calls.append(before)
        elif token.text == ")" and calls:
            calls.pop()
        elif groups and token.kind == "variable" and token.text[1:] == "this":
            if before == "AS" or "BIND" in calls:
                return False
            groups[-1].record_this(within=len(calls))
    return True


@dataclass
class _QueryGroup:
    """A group of a constraint's query: whether it sees outer variables, and in how many parentheses it stands."""

    sees_outer: bool
    depth: int
    uses_this: bool = False
    binds_this: bool = False

    def record_this(self, within: int) -> None:
        """Note that $this stands here within so many parentheses: in an expression or in a pattern."""
        self.uses_this, self.binds_this = self.uses_this or within > self.depth, self.binds_this or within == self.depth

    @property
    def is_sound(self) -> bool:
        """Whether $this has its value wherever the group asks for it."""
        return self.sees_outer or self.binds_this or not self.uses_this


def _engine_constraint(
    graph: rdflib.Graph, shape: rdflib.term.Node, constraint: rdflib.term.Node, select: str, focus: tuple[str, ...]
) -> SparqlConstraint:
    severity = graph.value(shape, SH.severity)
    messages = _literals(graph, constraint, SH.message) or _literals(graph, shape, SH.message)
    return SparqlConstraint(
        shape=require_resource(term_from_rdflib(shape)),
        constraint=require_resource(term_from_rdflib(constraint)),
        select=_prefix_declarations(graph, constraint) + _bind_shape_variables(select, shape),
        severity=VIOLATION if severity is None else require_iri(term_from_rdflib(severity)),
        path=None,
        messages=messages,
        focus_queries=focus,
    )


def _focus_queries(graph: rdflib.Graph, shape: rdflib.term.Node) -> Iterator[str]:
    """One SELECT of ?this for each target of a shape (SHACL, section 2.1.3; SHACL-AF, section 3)."""
    classes = list(graph.objects(shape, SH.targetClass))
    if (shape, RDF.type, RDFS.Class) in graph or (shape, RDF.type, OWL.Class) in graph:
        classes.append(shape)
    for target in classes:
        if isinstance(target, rdflib.BNode):
            continue  # no node of the data is of a class without a name; in a query it would stand for any class
        yield f"SELECT DISTINCT ?this {{ ?this {RDF.type.n3()}/{RDFS.subClassOf.n3()}* {target.n3()} }}"
    for target in graph.objects(shape, SH.targetNode):
        yield f"SELECT ?this {{ VALUES ?this {{ {target.n3()} }} }}"
    for target in graph.objects(shape, SH.targetSubjectsOf):
        yield f"SELECT DISTINCT ?this {{ ?this {target.n3()} ?value }}"
    for target in graph.objects(shape, SH.targetObjectsOf):
        yield f"SELECT DISTINCT ?this {{ ?subject {target.n3()} ?this }}"
    for target in graph.objects(shape, SH.target):
        select = graph.value(target, SH.select)
        if select is not None:
            yield _prefix_declarations(graph, target) + str(select)


def _bind_shape_variables(select: str, shape: rdflib.term.Node) -> str:
    """Bind $shapesGraph and $currentShape in the text: they need not be in the projection."""
    bound = {"shapesGraph": f"<{SHAPES_GRAPH.value}>", "currentShape": shape.n3()}
    select = _BOUND_CHECK.sub("(true)", select)
    variables = [token for token in tokens.iter_tokens(select) if any(map(token.is_variable, bound))]
    return tokens.interleave(tokens.split_at_tokens(select, variables), (bound[token.text[1:]] for token in variables))


def _prefix_declarations(graph: rdflib.Graph, subject: rdflib.term.Node) -> str:
    declarations = (
        (graph.value(item, SH.prefix), graph.value(item, SH.namespace))
        for prefixes in graph.objects(subject, SH.prefixes)
        for item in graph.objects(prefixes, SH.declare)
    )
    return "".join(sorted(f"PREFIX {prefix}: <{namespace}>\n" for prefix, namespace in declarations))


def _is_referred_to(graph: rdflib.Graph, shape: rdflib.term.Node) -> bool:
    return any((None, predicate, shape) in graph for predicate in (*_SHAPE_REFERENCES, RDF.first))


def _has_core_constraints(graph: rdflib.Graph, shape: rdflib.term.Node) -> bool:
    return any(
        str(predicate).startswith(SHACL) and predicate not in _NON_CONSTRAINT_PROPERTIES
        for predicate in graph.predicates(shape)
    )


def _refuse_imports(graph: rdflib.Graph) -> None:
    for target in graph.objects(None, OWL.imports):
        raise ShapesError(f"The shapes graph imports <{target}>; send the shapes themselves, nothing is fetched.")


def _refuse_unknown_terms(graph: rdflib.Graph) -> None:
    used = {term for triple in graph for term in triple if isinstance(term, rdflib.URIRef)}
    unknown = sorted(term for term in used if term.startswith(str(SH)) and term not in SH)
    if unknown:
        names = ", ".join("sh:" + term.removeprefix(str(SH)) for term in unknown)
        raise ShapesError(f"SHACL does not define {names}; a misspelt term would constrain nothing.")


def _refuse_undefined_shapes(graph: rdflib.Graph) -> None:
    """A shape that another file defines and that was not sent along would constrain nothing."""
    heads = [head for predicate in _SHAPE_LIST_REFERENCES for head in graph.objects(None, predicate)]
    listed = {shape for head in heads for shape in graph.items(head)}
    named = {shape for predicate in _SHAPE_REFERENCES for shape in graph.objects(None, predicate)}
    undefined = sorted(str(shape) for shape in named | listed if (shape, None, None) not in graph)
    if undefined:
        raise ShapesError(f"The shapes graph refers to <{undefined[0]}>, which it does not define.")


def _refuse_service(graph: rdflib.Graph) -> None:
    for predicate in (SH.select, SH.ask, SH.construct, SH.update):
        for text in graph.objects(None, predicate):
            if tokens.find_service_keyword(str(text)) is not None:
                raise ShapesError(_SERVICE_CALL_MESSAGE)


def _block_service_calls() -> None:
    """Let rdflib evaluate no SERVICE, however shapes spell it: it resolves escapes first, and joins prefixes unread."""
    from rdflib.plugins.sparql import CUSTOM_EVALS  # noqa: PLC0415

    CUSTOM_EVALS[__name__] = _refuse_service_pattern


def _refuse_service_pattern(_: object, part: Any) -> NoReturn:  # noqa: ANN401 - as rdflib has it
    if part.name == "ServiceGraphPattern":
        raise ShapesError(_SERVICE_CALL_MESSAGE)
    raise NotImplementedError


def target_selects(graph: rdflib.Graph, shape: Resource) -> tuple[str, ...]:
    """The SPARQL targets of a shape, each as a SELECT of ?this (SHACL-AF, section 3.1)."""
    found = ((target, graph.value(target, SH.select)) for target in graph.objects(term_to_rdflib(shape), SH.target))
    return tuple(_prefix_declarations(graph, target) + str(select) for target, select in found if select is not None)


def _literals(graph: rdflib.Graph, subject: rdflib.term.Node, predicate: rdflib.URIRef) -> tuple[Literal, ...]:
    found = (term_from_rdflib(value) for value in graph.objects(subject, predicate))
    return tuple(sorted((term for term in found if isinstance(term, Literal)), key=str))


def _require_term(term: Term | None) -> Term:
    if term is None:
        raise EngineError("The validator gave an incomplete result, so nothing is admitted.")
    return term


def _optional_resource(term: Term | None) -> Resource | None:
    return None if term is None else require_resource(term)
