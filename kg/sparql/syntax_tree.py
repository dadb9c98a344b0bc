"""What a query is read into, as far as planning needs: groups, elements and triple patterns with their places; pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from kg.sparql.tokens import Token

TYPE: Final = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>"

Names = frozenset[str]
"""Variables without their mark, and labels of blank nodes with theirs."""
NONE: Final[Names] = frozenset()


@dataclass(frozen=True)
class Unit:
    """A triple pattern, or several that must stay together, as a text of its own.

    Terms are `?name`, `<IRI>` or anything else; the predicate is "" where it is a path. A path that is `nullable` also
    joins each node to itself, and matches differently when a node is given.
    """

    text: str
    names: Names
    subject: str = ""
    predicate: str = ""
    object: str = ""
    nullable: bool = False
    whole: bool = False


@dataclass(frozen=True)
class Element:
    """A part of a group: triples, filter, bind, values, optional, union, graph, minus or select, between two offsets.

    `names` are all that occur in it, `certain` the variables that it binds in every solution. `groups` are the groups
    in it: branches of a union (or a group alone), bodies of EXISTS in an expression. `variable` is what BIND or GRAPH
    names; `allowed` are the IRIs to which a filter restricts `variable`.
    """

    kind: str
    start: int
    end: int
    names: Names
    certain: Names = NONE
    units: tuple[Unit, ...] = ()
    groups: tuple["Group", ...] = ()
    variable: str = ""
    allowed: tuple[str, ...] = ()

    @cached_property
    def loose(self) -> Names:
        """The names in its own patterns that may match nothing."""
        return union(unit.names for unit in self.units if unit.nullable)

    @property
    def joins(self) -> bool:
        """Whether it is joined with what stands before it."""
        return self.kind not in {"filter", "bind", "minus", "optional"}


@dataclass(frozen=True)
class Group:
    """A group graph pattern with its braces."""

    start: int
    end: int
    elements: tuple[Element, ...]

    @cached_property
    def names(self) -> Names:
        """All names that occur in it."""
        return union(element.names for element in self.elements)

    @cached_property
    def certain(self) -> Names:
        """The variables that it binds in every solution."""
        return union(element.certain for element in self.elements)

    @cached_property
    def plain(self) -> bool:
        """Whether it is nothing but patterns each of which matches something."""
        return all(element.kind == "triples" and not element.loose for element in self.elements)

    @property
    def units(self) -> list[Unit]:
        """The triple patterns that it requires directly."""
        return [unit for element in self.elements for unit in element.units]


@dataclass(frozen=True)
class Query:
    """A query: its form in capitals, its main group, and the tokens before and behind that."""

    text: str
    form: str
    head: tuple[Token, ...] = field(repr=False)
    main: Group
    tail: tuple[Token, ...] = field(repr=False)


def variables(names: Names) -> Names:
    """The variables among names."""
    return frozenset(name for name in names if not name.startswith("_:"))


def union(sets: Iterable[Names]) -> Names:
    """What is in any of some sets."""
    return NONE.union(*sets)
