"""What a query is read into, as far as planning needs: groups, elements and triple patterns with their places; pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from kg.sparql.tokens import Token

RDF_TYPE_IRIREF: Final = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>"

VariableNames = frozenset[str]
"""Variables without their mark, and labels of blank nodes with theirs."""
NO_NAMES: Final[VariableNames] = frozenset()


@dataclass(frozen=True)
class TriplePattern:
    """A triple pattern, or several that must stay together, as a text of its own.

    Terms are `?name`, `<IRI>` or anything else; the predicate is "" where it is a path. A path that is `nullable` also
    joins each node to itself, and matches differently when a node is given.
    """

    text: str
    names: VariableNames
    subject: str = ""
    predicate: str = ""
    object: str = ""
    is_nullable: bool = False
    is_compound: bool = False


@dataclass(frozen=True)
class GroupElement:
    """A part of a group: triples, filter, bind, values, optional, union, graph, minus or select, between two offsets.

    `names` are all that occur in it, `certain` the variables that it binds in every solution. `groups` are the groups
    in it: branches of a union (or a group alone), bodies of EXISTS in an expression. `variable` is what BIND or GRAPH
    names; `allowed` are the IRIs to which a filter restricts `variable`.
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

    @cached_property
    def nullable_names(self) -> VariableNames:
        """The names in its own patterns that may match nothing."""
        return union_of_names(unit.names for unit in self.triple_patterns if unit.is_nullable)

    @property
    def is_joined(self) -> bool:
        """Whether it is joined with what stands before it."""
        return self.kind not in {"filter", "bind", "minus", "optional"}


@dataclass(frozen=True)
class GroupGraphPattern:
    """A group graph pattern with its braces."""

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
        """Whether it is nothing but patterns each of which matches something."""
        return all(element.kind == "triples" and not element.nullable_names for element in self.elements)

    @property
    def triple_patterns(self) -> list[TriplePattern]:
        """The triple patterns that it requires directly."""
        return [unit for element in self.elements for unit in element.triple_patterns]


@dataclass(frozen=True)
class ParsedQuery:
    """A query: its form in capitals, its main group, and the tokens before and behind that."""

    text: str
    form: str
    head: tuple[Token, ...] = field(repr=False)
    main: GroupGraphPattern
    tail: tuple[Token, ...] = field(repr=False)


def without_blank_nodes(names: VariableNames) -> VariableNames:
    """The variables among names."""
    return frozenset(name for name in names if not name.startswith("_:"))


def union_of_names(sets: Iterable[VariableNames]) -> VariableNames:
    """What is in any of some sets."""
    return NO_NAMES.union(*sets)
