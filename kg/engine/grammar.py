"""Read the group graph patterns of a SPARQL query into a small tree with places, as far as planning needs; pure.

What is not understood is refused, never guessed: the text may be one that the engine itself refuses.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Final

from kg.engine.tokens import Token, doubtful, line_and_column, nesting, resolved, tokens

LONGEST: Final = 8 * 1024
"""Code points of a query that is read."""
DEEPEST: Final = 40
"""How deep the brackets of a query that is read may stand within each other; the reader recurses."""
TYPE: Final = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>"

Names = frozenset[str]
"""Variables without their mark, and labels of blank nodes with theirs."""
NONE: Final[Names] = frozenset()

_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.\d*[eE][+-]?\d+|\.?\d+[eE][+-]?\d+|\d*\.\d+|\d+)")
_ABSOLUTE: Final = re.compile(r"<[a-z][a-z0-9+.-]*:(?://)?(?:(?!/\.)[^<>\\])*>", re.IGNORECASE)
"""An IRI that no base changes, so that two are the same if they are written alike."""
_TERMS: Final = frozenset({"variable", "iri", "pname", "blank", "string"})
_TRUTHS: Final = frozenset({"true", "false"})
_OPENING: Final = {"(": ")", "[": "]"}
_FORMS: Final = ("SELECT", "ASK", "CONSTRUCT", "DESCRIBE")
_ELSEWHERE: Final = ("SERVICE", "LATERAL")


class UnreadableError(Exception):
    """A query is not read; the message says why."""


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

    @property
    def variables(self) -> Names:
        """Its variables, without blank nodes."""
        return variables(self.names)


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


@dataclass(frozen=True)
class Group:
    """A group graph pattern with its braces."""

    start: int
    end: int
    elements: tuple[Element, ...]

    @property
    def names(self) -> Names:
        """All names that occur in it."""
        return union(element.names for element in self.elements)

    @property
    def certain(self) -> Names:
        """The variables that it binds in every solution."""
        return union(element.certain for element in self.elements)


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


def read(text: str) -> Query:
    """Read a query; raises UnreadableError for what is not understood."""
    if len(text) > LONGEST:
        raise UnreadableError(f"it is longer than {LONGEST} characters")
    if nesting(text) > DEEPEST:
        raise UnreadableError(f"it is nested deeper than {DEEPEST} levels")
    if re.search(r"\\[uU]", text):
        raise UnreadableError("it has escaped code points")
    if doubtful(text) is not None:
        raise UnreadableError("a '<' in it may be an operator")
    return _Reader(text).query()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(tokens(text))
        self._at = 0
        self._prefixes = dict[str, str]()
        self._base = ""

    def query(self) -> Query:
        for token in self._tokens:
            if token.kind == "word" and token.text.upper() in _ELSEWHERE:
                raise UnreadableError(f"it has {token.text.upper()}")
        self._prologue()
        start = self._at
        form = self._next().text.upper()
        if form not in _FORMS:
            raise self._unread(self._tokens[start])
        self._to_pattern(form)
        head = tuple(self._tokens[start : self._at])
        main = self.group()
        return Query(self._text, form, head, main, tuple(self._tokens[self._at :]))

    @property
    def _peek(self) -> Token:
        return self._tokens[self._at] if self._at < len(self._tokens) else Token("end", "", len(self._text))

    def _next(self) -> Token:
        token = self._peek
        if token.kind == "end":
            raise UnreadableError("it ends too early")
        self._at += 1
        return token

    def _unread(self, token: Token) -> UnreadableError:
        line, column = line_and_column(self._text, token.start)
        return UnreadableError(f"{token.text[:20]!r} at line {line}, column {column} is not read")

    def _skip(self, *texts: str) -> bool:
        """Pass over keywords or signs if they stand here."""
        ahead = self._tokens[self._at : self._at + len(texts)]
        found = [token.text.upper() for token in ahead if token.kind in {"word", "other"}] == list(texts)
        self._at += len(texts) * found
        return found

    def _expect(self, text: str) -> Token:
        token = self._next()
        if token.text.upper() != text or token.kind not in {"word", "other"}:
            raise self._unread(token)
        return token

    def _prologue(self) -> None:
        while True:
            if self._skip("BASE"):
                self._base = self._next().text[1:-1]
            elif self._skip("PREFIX"):
                name, iri = self._next(), self._next()
                self._prefixes[name.text.removesuffix(":")] = iri.text[1:-1]
            else:
                return

    def _to_pattern(self, form: str) -> None:
        """Pass over what stands before the main group."""
        if form == "CONSTRUCT" and self._peek.text == "{":
            self._balanced("{", "}")
        while self._peek.text != "{":
            if self._peek.text == "(":
                self._balanced("(", ")")
            else:
                self._next()

    def _balanced(self, opening: str, closing: str) -> None:
        depth = 0
        while True:
            token = self._next()
            depth += (token.text == opening) - (token.text == closing)
            if depth == 0:
                return

    def group(self) -> Group:
        start, elements = self._expect("{").start, list[Element]()
        if self._peek.is_word("SELECT"):
            elements.append(self._select())
        while self._peek.text != "}":
            if self._starts_triples():
                elements.append(self._triples())
                if self._starts_triples():
                    raise self._unread(self._peek)
            else:
                elements.append(self._element())
                self._skip(".")
        return Group(start, self._next().start + 1, tuple(elements))

    def _end(self) -> int:
        last = self._tokens[self._at - 1]
        return last.start + len(last.text)

    def _element(self) -> Element:
        token = self._peek
        if token.text == "{":
            return self._union(token.start)
        self._next()
        match token.text.upper() if token.kind == "word" else "":
            case "OPTIONAL" | "MINUS" as kind:
                group = self.group()
                return Element(kind.lower(), token.start, group.end, group.names, groups=(group,))
            case "GRAPH":
                return self._graph(token.start)
            case "FILTER":
                return self._filter(token.start)
            case "BIND":
                return self._bind(token.start)
            case "VALUES":
                return self._values(token.start)
        raise self._unread(token)

    def _union(self, start: int) -> Element:
        groups = [self.group()]
        while self._skip("UNION"):
            groups.append(self.group())
        certain = reduce(frozenset.intersection, (group.certain for group in groups))
        return Element("union", start, groups[-1].end, union(g.names for g in groups), certain, groups=tuple(groups))

    def _graph(self, start: int) -> Element:
        term = self._next()
        if term.kind not in {"variable", "iri", "pname"}:
            raise self._unread(term)
        name = term.text[1:] if term.kind == "variable" else ""
        group, own = self.group(), frozenset({name} - {""})
        certain = group.certain | own
        return Element("graph", start, group.end, group.names | own, certain, groups=(group,), variable=name)

    def _filter(self, start: int) -> Element:
        begun = self._at
        if self._skip("NOT", "EXISTS") or self._skip("EXISTS"):
            group = self.group()
            return Element("filter", start, group.end, group.names, groups=(group,))
        while self._peek.text != "(":
            if self._peek.kind not in {"word", "iri", "pname"} or self._at > begun:
                raise self._unread(self._peek)
            self._next()
        plain = self._at == begun
        names, groups = self._expression()
        variable, allowed = self._restriction(begun) if plain else ("", ())
        return Element("filter", start, self._end(), names, groups=groups, variable=variable, allowed=allowed)

    def _restriction(self, begun: int) -> tuple[str, tuple[str, ...]]:
        """The variable and the IRIs of `(?x IN (<a>, <b>))` and of `(?x = <a>)`, else nothing."""
        inner = self._tokens[begun + 1 : self._at - 1]
        signs = [token.text.upper() for token in inner[1:]]
        if signs[:1] == ["="]:
            terms, commas = inner[2:], inner[:0]
        elif signs[:2] == ["IN", "("] and signs[-1] == ")":
            terms, commas = inner[3:-1:2], inner[4:-1:2]
        else:
            return "", ()
        listed = len(terms) == len(commas) + 1 and all(comma.text == "," for comma in commas)
        if not listed or inner[0].kind != "variable" or any(term.kind not in {"iri", "pname"} for term in terms):
            return "", ()
        iris = [self._resolved(term.text) for term in terms]
        if any(_ABSOLUTE.fullmatch(iri) is None for iri in iris):
            return "", ()
        return inner[0].text[1:], tuple(dict.fromkeys(iris))

    def _expression(self) -> tuple[Names, tuple[Group, ...]]:
        """Pass over an expression in brackets: its names, and the groups that it asks for."""
        self._expect("(")
        depth, names, groups, before = 1, set[str](), list[Group](), ""
        while depth:
            token = self._next()
            if token.is_word("EXISTS"):
                groups.append(self.group())
                before = "}"
                continue
            if token.text in {"{", "}"} or (token.kind == "iri" and before == "operand"):
                raise self._unread(token)
            if token.kind in {"variable", "blank"}:
                names.add(token.text[1:] if token.kind == "variable" else token.text)
            depth += (token.text == "(") - (token.text == ")")
            before = "operand" if token.kind in _TERMS or token.text[-1] in ")0123456789" else token.text
        return frozenset(names).union(*(group.names for group in groups)), tuple(groups)

    def _bind(self, start: int) -> Element:
        names, groups = self._expression()
        name, word = self._tokens[self._at - 2], self._tokens[self._at - 3]
        if name.kind != "variable" or not word.is_word("AS"):
            raise self._unread(name)
        return Element("bind", start, self._end(), names, groups=groups, variable=name.text[1:])

    def _values(self, start: int) -> Element:
        names, alone = list[str](), self._peek.kind == "variable"
        if not alone:
            self._expect("(")
        while self._peek.kind == "variable":
            names.append(self._next().text[1:])
            if alone:
                break
        if not alone:
            self._expect(")")
        self._expect("{")
        certain = True
        while not self._skip("}"):
            token = self._next()
            if token.text == "{":
                raise self._unread(token)
            certain = certain and not token.is_word("UNDEF")
        columns = frozenset(names)
        return Element("values", start, self._end(), columns, columns if certain else NONE)

    def _select(self) -> Element:
        """A sub-select that fills its group; what stands behind its pattern is only passed over."""
        begun = self._at
        start, projected, everything = self._next().start, set[str](), False
        while self._peek.text != "{":
            if self._peek.text == "(":
                self._balanced("(", ")")
                continue
            token = self._next()
            everything = everything or token.text == "*"
            if token.kind == "variable":
                projected.add(token.text[1:])
        group = self.group()
        while self._peek.text != "}":
            if self._peek.text == "{":
                self._balanced("{", "}")
            else:
                self._next()
        names = {token.text[1:] for token in self._tokens[begun : self._at] if token.kind == "variable"}
        certain = group.certain if everything else group.certain & projected
        return Element("select", start, self._end(), group.names | names, certain, groups=(group,))

    def _starts_triples(self) -> bool:
        token = self._peek
        if token.kind in _TERMS or token.text in _TRUTHS or token.text in _OPENING:
            return True
        return _NUMBER.match(self._text, token.start) is not None

    def _triples(self) -> Element:
        start, units, end = self._peek.start, list[Unit](), 0
        while True:
            units += self._subject()
            end = self._end()
            if not self._skip(".") or not self._starts_triples():
                break
        names = union(unit.names for unit in units)
        return Element("triples", start, end, names, variables(names), tuple(units))

    def _subject(self) -> list[Unit]:
        """The triple patterns of one subject; all in one where a node is written in brackets."""
        begun = self._at
        subject, found = self._term(), list[tuple[str, str, str, bool]]()
        whole = subject in _OPENING
        while not whole or self._peek.text not in {".", "}"}:
            text, predicate, nullable = self._verb()
            while True:
                node = self._term()
                whole = whole or node in _OPENING
                found.append((text, predicate, node, nullable))
                if not self._skip(","):
                    break
            if not self._more():
                break
        if whole:
            return [self._whole(begun, any(nullable for *_, nullable in found))]
        return [self._unit(subject, *triple) for triple in found]

    def _unit(self, subject: str, text: str, predicate: str, node: str, nullable: bool) -> Unit:
        terms = (subject, predicate, node)
        names = frozenset(term.lstrip("?$") for term in terms if term.startswith(("?", "$", "_:")))
        first, last = (f"?{term[1:]}" if term.startswith("$") else self._resolved(term) for term in (subject, node))
        return Unit(f"{subject} {text} {node}", names, first, predicate, last, nullable)

    def _more(self) -> bool:
        """Pass over semicolons; whether another predicate follows."""
        if not self._skip(";"):
            return False
        while self._skip(";"):
            pass
        token = self._peek
        return token.kind in {"variable", "iri", "pname"} or token.text in {"a", "^", "!", "("}

    def _whole(self, begun: int, nullable: bool) -> Unit:
        piece = self._tokens[begun : self._at]
        names = frozenset(t.text.lstrip("?$") for t in piece if t.kind in {"variable", "blank"})
        inside = any(token.text in {"*", "?"} for token in piece)
        return Unit(joined(self._text, piece), names, nullable=nullable or inside, whole=True)

    def _term(self) -> str:
        """A term as its text, or the bracket that begins it."""
        begun, token = self._at, self._peek
        if token.text in _OPENING:
            return self._bracketed(token)
        number = _NUMBER.match(self._text, token.start) if token.kind not in _TERMS else None
        if number is not None:
            while self._peek.start < number.end():
                self._next()
            if self._end() != number.end() or (self._peek.start == number.end() and self._peek.kind == "word"):
                raise self._unread(token)
            return number.group()
        if token.kind not in _TERMS and token.text not in _TRUTHS:
            raise self._unread(token)
        self._next()
        if token.kind == "string":
            if self._peek.kind == "tag":
                self._next()
            elif self._skip("^", "^") and self._next().kind not in {"iri", "pname"}:
                raise self._unread(token)
        return joined(self._text, self._tokens[begun : self._at])

    def _bracketed(self, token: Token) -> str:
        depth = list[str]()
        while True:
            inner = self._next()
            if inner.text in _OPENING:
                depth.append(_OPENING[inner.text])
            elif inner.text in {")", "]"}:
                if depth.pop() != inner.text:
                    raise self._unread(inner)
            elif inner.text in {"{", "}", "<", ">"}:
                raise self._unread(inner)
            if not depth:
                return token.text

    def _verb(self) -> tuple[str, str, bool]:
        """The text of a predicate or path, the predicate if it is one, and whether it may match nothing at all."""
        begun, token = self._at, self._peek
        if token.kind == "variable":
            self._next()
            return token.text, f"?{token.text[1:]}", False
        nullable = self._path()
        piece = self._tokens[begun : self._at]
        single = piece[0] if len(piece) == 1 else None
        predicate = "" if single is None else TYPE if single.text == "a" else self._resolved(single.text)
        return joined(self._text, piece), predicate, nullable

    def _path(self) -> bool:
        nullable = self._sequence()
        while self._skip("|"):
            nullable = self._sequence() or nullable
        return nullable

    def _sequence(self) -> bool:
        nullable = self._step()
        while self._skip("/"):
            nullable = self._step() and nullable
        return nullable

    def _step(self) -> bool:
        self._skip("^")
        if self._skip("!"):
            nullable = self._negated()
        elif self._skip("("):
            nullable = self._path()
            self._expect(")")
        else:
            self._predicate()
            nullable = False
        if self._peek.text in {"*", "?"}:
            self._next()
            return True
        if self._skip("+") and self._peek.text[:1].isdigit() and self._peek.start == self._end():
            raise self._unread(self._peek)
        return nullable

    def _negated(self) -> bool:
        if self._skip("("):
            while not self._skip(")"):
                self._skip("^")
                self._predicate()
                self._skip("|")
        else:
            self._skip("^")
            self._predicate()
        return False

    def _predicate(self) -> None:
        token = self._next()
        if token.kind not in {"iri", "pname"} and token.text != "a":
            raise self._unread(token)

    def _resolved(self, term: str) -> str:
        """A term with its prefix and base resolved, as `<IRI>`, if it is an IRI."""
        kind = "iri" if term.startswith("<") else "pname" if ":" in term and term[0] not in "\"'_?$" else ""
        iri = resolved(Token(kind, term, 0), self._base, self._prefixes)
        return term if iri is None else f"<{iri}>"


def joined(text: str, piece: Sequence[Token]) -> str:
    """Tokens as they stand, but without comments and with no more than a space between them."""
    parts, end = list[str](), piece[0].start
    for token in piece:
        parts += [" "] * (token.start > end) + [text[token.start : token.start + len(token.text)]]
        end = token.start + len(token.text)
    return "".join(parts)
