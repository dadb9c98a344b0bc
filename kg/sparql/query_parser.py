"""Read the group graph patterns of a SPARQL query into a small tree with places, as far as planning needs; pure.

What is not understood is refused, never guessed: the text may be one that the engine itself refuses.
"""

import re
from functools import reduce
from itertools import islice
from typing import Final

from kg.rdf.iris import resolve
from kg.sparql.syntax_tree import NONE, Element, Group, Names, Query, union
from kg.sparql.token_stream import UnreadableError
from kg.sparql.tokens import doubtful, nesting, tokens
from kg.sparql.triple_parser import TriplesReader

LONGEST: Final = 64 * 1024
"""Code points of a query that is read."""
MOST: Final = 12_000
"""Tokens of a query that is read: so many take about 100 ms to plan, nested deep half as much again."""
DEEPEST: Final = 40
"""How deep the brackets of a query that is read may stand within each other; the reader recurses."""

_ABSOLUTE: Final = re.compile(r"<[a-z][a-z0-9+.-]*:(?://)?(?:(?!/\.)[^<>\\])*>", re.IGNORECASE)
"""An IRI that no base changes, so that two are the same if they are written alike."""
_OPERANDS: Final = frozenset({"variable", "iri", "pname", "blank", "string", "tag", "word"})
"""Kinds of tokens behind which a '<' is an operator, though it and what follows may look like an IRI."""
_FORMS: Final = ("SELECT", "ASK", "CONSTRUCT", "DESCRIBE")
_ELSEWHERE: Final = ("SERVICE", "LATERAL")


def read(text: str) -> Query:
    """Read a query; raises UnreadableError for what is not understood."""
    if len(text) > LONGEST:
        raise UnreadableError(f"it is longer than {LONGEST} characters")
    stream = list(islice(tokens(text), MOST + 1))
    if len(stream) > MOST:
        raise UnreadableError(f"it has more than {MOST} tokens")
    if nesting(text, stream, DEEPEST) > DEEPEST:
        raise UnreadableError(f"it is nested deeper than {DEEPEST} levels")
    if re.search(r"\\[uU]", text):
        raise UnreadableError("it has escaped code points")
    if doubtful(text, stream) is not None:
        raise UnreadableError("a '<' in it may be an operator")
    return _Reader(text, stream).query()


class _Reader(TriplesReader):
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
        return Query(self._text, form, head, main, tuple(self._tokens[self._at : -1]))

    def _prologue(self) -> None:
        while True:
            if self._skip("BASE"):
                self._base = resolve(self._base, self._next().text[1:-1])
            elif self._skip("PREFIX"):
                name, iri = self._next(), self._next()
                self._prefixes[name.text.removesuffix(":")] = resolve(self._base, iri.text[1:-1])
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
        return Element("filter", start, self._end, names, groups=groups, variable=variable, allowed=allowed)

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
                before = "operand"
                continue
            if token.text in {"{", "}"} or (token.kind == "iri" and before == "operand"):
                raise self._unread(token)
            if token.kind in {"variable", "blank"}:
                names.add(token.text[1:] if token.kind == "variable" else token.text)
            depth += (token.text == "(") - (token.text == ")")
            before = "operand" if token.kind in _OPERANDS or token.text[-1] in ")0123456789" else token.text
        return frozenset(names).union(*(group.names for group in groups)), tuple(groups)

    def _bind(self, start: int) -> Element:
        names, groups = self._expression()
        name, word = self._tokens[self._at - 2], self._tokens[self._at - 3]
        if name.kind != "variable" or not word.is_word("AS"):
            raise self._unread(name)
        return Element("bind", start, self._end, names, groups=groups, variable=name.text[1:])

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
        return Element("values", start, self._end, columns, columns if certain else NONE)

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
        return Element("select", start, self._end, group.names | names, certain, groups=(group,))
