"""The syntax tree of a query, as far as planning needs it: groups, elements and triple patterns with offsets."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from kg.sparql.tokens import Token

RDF_TYPE_IRIREF: Final = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>"

VariableNames = frozenset[str]
"""Names of variables without `?` or `$`, and labels of blank nodes with `_:`."""
NO_NAMES: Final[VariableNames] = frozenset()


@dataclass(frozen=True)
class InversePath:
    """A path that is walked from object to subject: `^path`."""

    path: "PropertyPath"


@dataclass(frozen=True)
class SequencePath:
    """One path after the other: `path / path`."""

    parts: tuple["PropertyPath", ...]


@dataclass(frozen=True)
class AlternativePath:
    """Any of several paths: `path | path`."""

    parts: tuple["PropertyPath", ...]


@dataclass(frozen=True)
class RepeatedPath:
    """A path with a modifier: `path*`, `path+` or `path?`."""

    path: "PropertyPath"
    modifier: str


@dataclass(frozen=True)
class NegatedPropertySet:
    """One step by any predicate but some: `!(predicate | ^predicate)`."""

    excluded: tuple["PropertyPath", ...]


PropertyPath = str | InversePath | SequencePath | AlternativePath | RepeatedPath | NegatedPropertySet
"""A property path (SPARQL 1.1, section 9.1); a predicate is `<IRI>`, or a prefixed name with an unknown prefix."""


def is_nullable(path: PropertyPath) -> bool:
    """Return whether a path can match without any step."""
    match path:
        case str() | NegatedPropertySet():
            return False
        case InversePath():
            return is_nullable(path.path)
        case SequencePath():
            return all(map(is_nullable, path.parts))
        case AlternativePath():
            return any(map(is_nullable, path.parts))
        case RepeatedPath():
            return path.modifier != "+" or is_nullable(path.path)


@dataclass(frozen=True)
class TriplePattern:
    """A triple pattern, or a text of several that must stay together (`is_compound`).

    Terms are `?name`, `<IRI>` or anything else as it is written; the predicate is "" for a path, and `path` is None for
    a variable or a compound pattern. A nullable path also joins each node to itself, and matches differently when a
    node is given.
    """

    text: str
    names: VariableNames
    subject: str = ""
    predicate: str = ""
    object: str = ""
    is_nullable: bool = False
    is_compound: bool = False
    path: PropertyPath | None = None


@dataclass(frozen=True)
class GroupElement:
    """A part of a group: triples, filter, bind, values, optional, union, graph, minus or select, between two offsets.

    `names` are all names that occur in it, `certainly_bound` the variables that it binds in every solution. `groups`
    are the groups in it: the branches of a union (or a group alone), the bodies of EXISTS in an expression. `variable`
    is the variable of BIND or GRAPH, `graph` the term of GRAPH. A filter has `allowed_iris` if it restricts `variable`
    to them, and `exists_form` ("EXISTS" or "NOT EXISTS") if it is nothing else.
    """

    kind: str
    start: int
    end: int
    names: VariableNames
    certainly_bound: VariableNames = NO_NAMES
    triple_patterns: tuple[TriplePattern, ...] = ()
    groups: tuple["GroupGraphPattern", ...] = ()
    variable: str = ""
    allowed_iris: tuple[str, ...] = ()
    graph: str = ""
    exists_form: str = ""

    @cached_property
    def nullable_names(self) -> VariableNames:
        """The names in its own patterns with nullable paths."""
        return union_of_names(unit.names for unit in self.triple_patterns if unit.is_nullable)

    @property
    def is_joined(self) -> bool:
        """Whether it is joined with the elements before it."""
        return self.kind not in {"filter", "bind", "minus", "optional"}


@dataclass(frozen=True)
class GroupGraphPattern:
    """A group graph pattern; the offsets include its braces."""

    start: int
    end: int
    elements: tuple[GroupElement, ...]

    @cached_property
    def names(self) -> VariableNames:
        """All names that occur in it."""
        return union_of_names(element.names for element in self.elements)

    @cached_property
    def certainly_bound(self) -> VariableNames:
        """The variables that it binds in every solution."""
        return union_of_names(element.certainly_bound for element in self.elements)

    @cached_property
    def is_basic_graph_pattern(self) -> bool:
        """Whether it consists only of triple patterns without nullable paths."""
        return all(element.kind == "triples" and not element.nullable_names for element in self.elements)

    @property
    def triple_patterns(self) -> list[TriplePattern]:
        """The triple patterns that it requires directly."""
        return [unit for element in self.elements for unit in element.triple_patterns]


@dataclass(frozen=True)
class ParsedQuery:
    """A query: its form in capitals, its main group, the tokens before and after that group, and its BASE.

    `head` starts with the query form; the prologue is not part of it.
    """

    text: str
    form: str
    head: tuple[Token, ...] = field(repr=False)
    main: GroupGraphPattern
    tail: tuple[Token, ...] = field(repr=False)
    base: str = ""


def without_blank_nodes(names: VariableNames) -> VariableNames:
    """Return the variables among names."""
    return frozenset(name for name in names if not name.startswith("_:"))


def union_of_names(sets: Iterable[VariableNames]) -> VariableNames:
    """Return the union of sets of names."""
    return NO_NAMES.union(*sets)
