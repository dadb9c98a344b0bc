"""Read from the text of a SELECT query which triple patterns it has, and in what groups they stand; pure.

Only what matters to the question which triples a query looks at is read; whatever else may stand there is refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import rdflib
from rdflib.namespace import RDF
from rdflib.paths import AlternativePath, InvPath, MulPath, NegatedPath, Path, SequencePath

from kg.rdf.io import Literal, NamedNode
from kg.sparql.tokens import Token, iter_tokens

PropertyPath = rdflib.URIRef | Path
PatternTerm = str | NamedNode | Literal
"""A variable by its name, or a constant; of literals it is only known that they are some."""

ANY_FORWARD_STEP: Final = NegatedPath(RDF.type)
"""A path of one step forward by whatever predicate: a variable stands there."""
_ANY_STEP: Final = NegatedPath(RDF.type)
"""A path of one step in either direction by whatever predicate."""
_SOME_LITERAL: Final = Literal("")
_UNSUPPORTED_KEYWORDS: Final = frozenset(
    {"COUNT", "SUM", "MIN", "MAX", "AVG", "SAMPLE", "GROUP_CONCAT", "EXISTS", "FROM", "SELECT"}
)
_PATH_MODIFIERS: Final = {"*": "*", "+": "+", "?": "?"}


class UnsupportedConstraintError(Exception):
    """What is read cannot be told; the message says why."""


@dataclass(frozen=True)
class PathPattern:
    """A triple pattern; `predicate` names the variable that stands for the predicate, if one does."""

    subject: PatternTerm
    path: PropertyPath
    object: PatternTerm
    predicate_variable: str | None = None

    @property
    def end_nodes(self) -> tuple[PatternTerm, PatternTerm]:
        """Its subject and object."""
        return self.subject, self.object


@dataclass
class ConstraintGroup:
    """A group of patterns, with the groups in it.

    `kind` is main, plain, branch (of a UNION), optional, exists, absent (NOT EXISTS), asked (EXISTS somewhere in an
    expression) or static (in the graph that holds the shapes); `start` and `end` are offsets, with GRAPH if any.
    """

    kind: str
    start: int
    end: int = 0
    patterns: list[PathPattern] = field(default_factory=list)
    groups: list["ConstraintGroup"] = field(default_factory=list)
    assigned_variables: set[str] = field(default_factory=set)

    def walk(self) -> Iterator["ConstraintGroup"]:
        """This group and all within it."""
        yield self
        for inner in self.groups:
            yield from inner.walk()

    @property
    def variables(self) -> set[str]:
        """The variables of its own patterns."""
        ends = {node for pattern in self.patterns for node in pattern.end_nodes if isinstance(node, str)}
        return ends | {pattern.predicate_variable for pattern in self.patterns if pattern.predicate_variable}


def parse_constraint_query(text: str, static_graph: str) -> ConstraintGroup:
    """The main group of a SELECT query; raises UnreadableError for a query that is not understood."""
    return _ConstraintParser(text, static_graph).parse()


class _ConstraintParser:
    def __init__(self, text: str, static_graph: str) -> None:
        self._tokens = list(iter_tokens(text))
        self._at = 0
        self._static_graph = static_graph
        self._prefixes = dict[str, str]()

    def parse(self) -> ConstraintGroup:
        self._prologue()
        while self._peek.text != "{":
            if self._peek.text == "*" or self._peek.text.upper() in _UNSUPPORTED_KEYWORDS:
                raise UnsupportedConstraintError(f"a SPARQL text selects by {self._peek.text}")
            self._next()
        group = self._group("main")
        if self._at < len(self._tokens):
            raise UnsupportedConstraintError(f"a SPARQL text has {self._peek.text} after its pattern")
        return group

    @property
    def _peek(self) -> Token:
        return self._tokens[self._at] if self._at < len(self._tokens) else Token("end", "", 0)

    def _next(self) -> Token:
        token = self._peek
        if token.kind == "end":
            raise UnsupportedConstraintError("a SPARQL text ends too early")
        self._at += 1
        return token

    def _skip(self, text: str) -> bool:
        found = self._peek.text.upper() == text and self._peek.kind in {"word", "other"}
        self._at += found
        return found

    def _expect(self, text: str) -> Token:
        token = self._next()
        if token.text.upper() != text:
            raise UnsupportedConstraintError(f"a SPARQL text has {token.text} where {text} was expected")
        return token

    def _prologue(self) -> None:
        while not self._skip("SELECT"):
            self._expect("PREFIX")
            name, iri = self._next(), self._next()
            self._prefixes[name.text.removesuffix(":")] = iri.text[1:-1]

    def _group(self, kind: str) -> ConstraintGroup:
        group = ConstraintGroup(kind, self._expect("{").start)
        while self._peek.text != "}":
            self._item(group)
        group.end = self._next().start + 1
        return group

    def _item(self, group: ConstraintGroup) -> None:
        if self._skip("."):
            return
        if self._skip("FILTER"):
            self._filter(group)
        elif self._skip("OPTIONAL"):
            group.groups.append(self._group("optional"))
        elif self._peek.is_word("GRAPH"):
            group.groups.append(self._graph())
        elif self._skip("BIND"):
            self._expression(group)
        elif self._peek.text == "{":
            self._union(group)
        elif self._peek.kind == "word" and self._peek.text not in {"true", "false"}:
            raise UnsupportedConstraintError(f"a SPARQL text has {self._peek.text.upper()}")
        else:
            self._triples(group)

    def _graph(self) -> ConstraintGroup:
        start = self._next().start
        if self._iri(self._next()) != self._static_graph:
            raise UnsupportedConstraintError("a SPARQL text reads single graphs")
        group = self._group("static")
        group.start = start
        return group

    def _union(self, group: ConstraintGroup) -> None:
        branches = [self._group("plain")]
        while self._skip("UNION"):
            branches.append(self._group("branch"))
        if len(branches) > 1:
            branches[0].kind = "branch"
        group.groups += branches

    def _filter(self, group: ConstraintGroup) -> None:
        if self._skip("EXISTS"):
            group.groups.append(self._group("exists"))
        elif self._skip("NOT"):
            self._expect("EXISTS")
            group.groups.append(self._group("absent"))
        else:
            if self._peek.text != "(":
                self._next()
            self._expression(group)

    def _expression(self, group: ConstraintGroup) -> None:
        """Pass over an expression; the patterns that it asks for are read."""
        self._expect("(")
        depth = 1
        while depth:
            token = self._next()
            depth += (token.text == "(") - (token.text == ")")
            if token.is_word("EXISTS"):
                group.groups.append(self._group("asked"))
            elif token.is_word("AS") and self._peek.kind == "variable":
                group.assigned_variables.add(self._peek.text[1:])

    def _triples(self, group: ConstraintGroup) -> None:
        subject = self._term()
        while True:
            predicate = self._peek.text[1:] if self._peek.kind == "variable" else None
            path = ANY_FORWARD_STEP if predicate else self._path()
            self._at += predicate is not None
            group.patterns.append(PathPattern(subject, path, self._term(), predicate))
            while self._skip(","):
                group.patterns.append(PathPattern(subject, path, self._term(), predicate))
            if not self._skip(";"):
                return
            while self._skip(";"):
                pass
            if self._peek.text in {".", "}"} or self._peek.is_word("FILTER"):
                return

    def _term(self) -> PatternTerm:
        token = self._next()
        if token.kind == "variable":
            return token.text[1:]
        if token.kind == "blank":
            return token.text
        if token.kind in {"iri", "pname"}:
            return NamedNode(self._iri(token))
        if token.kind == "string":
            if self._peek.kind == "tag" or (self._skip("^") and self._skip("^")):
                self._next()
            return _SOME_LITERAL
        if token.text in {"true", "false"}:
            return _SOME_LITERAL
        return self._number(token)

    def _number(self, token: Token) -> PatternTerm:
        if not (token.text.isdigit() or token.text in "+-."):
            raise UnsupportedConstraintError(f"a SPARQL text has {token.text} in a pattern")
        while self._peek.start == token.start + len(token.text) and (
            self._peek.text.isalnum() or self._is_decimal_point()
        ):
            token = self._next()
        return _SOME_LITERAL

    def _is_decimal_point(self) -> bool:
        """Whether the next token is a dot within a number."""
        after = self._tokens[self._at + 1] if self._at + 1 < len(self._tokens) else self._peek
        return self._peek.text == "." and after.text[:1].isdigit() and after.start == self._peek.start + 1

    def _iri(self, token: Token) -> str:
        if token.kind == "iri" and ":" in token.text:
            return token.text[1:-1]
        prefix, _, local = token.text.partition(":")
        if token.kind != "pname" or prefix not in self._prefixes or "\\" in local:
            raise UnsupportedConstraintError(f"a SPARQL text names {token.text}, which is not understood")
        return self._prefixes[prefix] + local

    def _path(self) -> PropertyPath:
        parts = [self._sequence()]
        while self._skip("|"):
            parts.append(self._sequence())
        return parts[0] if len(parts) == 1 else AlternativePath(*parts)

    def _sequence(self) -> PropertyPath:
        parts = [self._element()]
        while self._skip("/"):
            parts.append(self._element())
        return parts[0] if len(parts) == 1 else SequencePath(*parts)

    def _element(self) -> PropertyPath:
        if self._skip("^"):
            return InvPath(self._element())
        if self._skip("!"):
            self._skip_negated_property_set()
            return _ANY_STEP
        path = self._primary()
        if self._peek.text in _PATH_MODIFIERS:
            return MulPath(path, self._next().text)  # type: ignore[arg-type] # rdflib names the signs itself
        return path

    def _primary(self) -> PropertyPath:
        if self._skip("("):
            path = self._path()
            self._expect(")")
            return path
        token = self._next()
        return RDF.type if token.text == "a" else rdflib.URIRef(self._iri(token))

    def _skip_negated_property_set(self) -> None:
        """Pass over what a step may not be."""
        if self._skip("("):
            while not self._skip(")"):
                self._next()
        else:
            self._skip("^")
            self._next()
