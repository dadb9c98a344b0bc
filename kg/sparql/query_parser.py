"""Read the group graph patterns of a SPARQL query into a small tree with places, as far as planning needs; pure.

What is not understood is refused, never guessed: the text may be one that the engine itself refuses.
"""

import re
from functools import reduce
from itertools import islice
from typing import Final

from kg.sparql.prologue import parse_prologue
from kg.sparql.syntax_tree import NO_NAMES, GroupElement, GroupGraphPattern, ParsedQuery, VariableNames, union_of_names
from kg.sparql.token_stream import UnsupportedQueryError
from kg.sparql.tokens import find_ambiguous_operator, iter_tokens, nesting_depth
from kg.sparql.triple_parser import TripleParser

MAX_PARSED_LENGTH: Final = 64 * 1024
"""Code points of a query that is read."""
MAX_PARSED_TOKENS: Final = 12_000
"""Tokens of a query that is read: so many take about 100 ms to plan, nested deep half as much again."""
MAX_PARSED_NESTING: Final = 40
"""How deep the brackets of a query that is read may stand within each other; the reader recurses."""

_ABSOLUTE_IRI: Final = re.compile(r"<[a-z][a-z0-9+.-]*:(?://)?(?:(?!/\.)[^<>\\])*>", re.IGNORECASE)
"""An IRI that no base changes, so that two are the same if they are written alike."""
_KINDS_BEFORE_OPERATOR: Final = frozenset({"variable", "iri", "pname", "blank", "string", "tag", "word"})
"""Kinds of tokens behind which a '<' is an operator, though it and what follows may look like an IRI."""
_QUERY_FORMS: Final = ("SELECT", "ASK", "CONSTRUCT", "DESCRIBE")
_UNSUPPORTED_KEYWORDS: Final = ("SERVICE", "LATERAL")


def parse_query(text: str) -> ParsedQuery:
    """Read a query; raises UnreadableError for what is not understood."""
    if len(text) > MAX_PARSED_LENGTH:
        raise UnsupportedQueryError(f"it is longer than {MAX_PARSED_LENGTH} characters")
    stream = list(islice(iter_tokens(text), MAX_PARSED_TOKENS + 1))
    if len(stream) > MAX_PARSED_TOKENS:
        raise UnsupportedQueryError(f"it has more than {MAX_PARSED_TOKENS} tokens")
    if nesting_depth(text, stream, MAX_PARSED_NESTING) > MAX_PARSED_NESTING:
        raise UnsupportedQueryError(f"it is nested deeper than {MAX_PARSED_NESTING} levels")
    if re.search(r"\\[uU]", text):
        raise UnsupportedQueryError("it has escaped code points")
    if find_ambiguous_operator(text, stream) is not None:
        raise UnsupportedQueryError("a '<' in it may be an operator")
    return _QueryParser(text, stream).parse()


class _QueryParser(TripleParser):
    def parse(self) -> ParsedQuery:
        for token in self._tokens:
            if token.kind == "word" and token.text.upper() in _UNSUPPORTED_KEYWORDS:
                raise UnsupportedQueryError(f"it has {token.text.upper()}")
        self._prologue = parse_prologue(self._tokens)
        self._at = start = self._prologue.length
        form = self._next().text.upper()
        if form not in _QUERY_FORMS:
            raise self._unsupported_token(self._tokens[start])
        self._skip_to_pattern(form)
        head = tuple(self._tokens[start : self._at])
        main = self.group()
        return ParsedQuery(self._text, form, head, main, tuple(self._tokens[self._at : -1]), self._prologue.base)

    def _skip_to_pattern(self, form: str) -> None:
        """Pass over what stands before the main group."""
        if form == "CONSTRUCT" and self._peek.text == "{":
            self._skip_brackets("{", "}")
        while self._peek.text != "{":
            if self._peek.text == "(":
                self._skip_brackets("(", ")")
            else:
                self._next()

    def group(self) -> GroupGraphPattern:
        start, elements = self._expect("{").start, list[GroupElement]()
        if self._peek.is_word("SELECT"):
            elements.append(self._select())
        while self._peek.text != "}":
            if self._starts_triples():
                elements.append(self._triples())
                if self._starts_triples():
                    raise self._unsupported_token(self._peek)
            else:
                elements.append(self._element())
                self._skip(".")
        return GroupGraphPattern(start, self._next().start + 1, tuple(elements))

    def _element(self) -> GroupElement:
        token = self._peek
        if token.text == "{":
            return self._union(token.start)
        self._next()
        match token.text.upper() if token.kind == "word" else "":
            case "OPTIONAL" | "MINUS" as kind:
                group = self.group()
                return GroupElement(kind.lower(), token.start, group.end, group.names, groups=(group,))
            case "GRAPH":
                return self._graph(token.start)
            case "FILTER":
                return self._filter(token.start)
            case "BIND":
                return self._bind(token.start)
            case "VALUES":
                return self._values(token.start)
        raise self._unsupported_token(token)

    def _union(self, start: int) -> GroupElement:
        groups = [self.group()]
        while self._skip("UNION"):
            groups.append(self.group())
        certain = reduce(frozenset.intersection, (group.certainly_bound for group in groups))
        return GroupElement(
            "union", start, groups[-1].end, union_of_names(g.names for g in groups), certain, groups=tuple(groups)
        )

    def _graph(self, start: int) -> GroupElement:
        term = self._next()
        if term.kind not in {"variable", "iri", "pname"}:
            raise self._unsupported_token(term)
        name = term.text[1:] if term.kind == "variable" else ""
        group, own = self.group(), frozenset({name} - {""})
        certain = group.certainly_bound | own
        graph = self._normalized_term(term.text)[0]
        return GroupElement(
            "graph", start, group.end, group.names | own, certain, groups=(group,), variable=name, graph=graph
        )

    def _filter(self, start: int) -> GroupElement:
        begun = self._at
        form = "NOT EXISTS" if self._skip("NOT", "EXISTS") else "EXISTS" if self._skip("EXISTS") else ""
        if form:
            group = self.group()
            return GroupElement("filter", start, group.end, group.names, groups=(group,), exists_form=form)
        while self._peek.text != "(":
            if self._peek.kind not in {"word", "iri", "pname"} or self._at > begun:
                raise self._unsupported_token(self._peek)
            self._next()
        plain = self._at == begun
        names, groups = self._expression()
        variable, allowed = self._iri_restriction(begun) if plain else ("", ())
        return GroupElement(
            "filter", start, self._previous_end, names, groups=groups, variable=variable, allowed_iris=allowed
        )

    def _iri_restriction(self, begun: int) -> tuple[str, tuple[str, ...]]:
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
        iris = [self._resolved_term(term.text) for term in terms]
        if any(_ABSOLUTE_IRI.fullmatch(iri) is None for iri in iris):
            return "", ()
        return inner[0].text[1:], tuple(dict.fromkeys(iris))

    def _expression(self) -> tuple[VariableNames, tuple[GroupGraphPattern, ...]]:
        """Pass over an expression in brackets: its names, and the groups that it asks for."""
        self._expect("(")
        depth, names, groups, before = 1, set[str](), list[GroupGraphPattern](), ""
        while depth:
            token = self._next()
            if token.is_word("EXISTS"):
                groups.append(self.group())
                before = "operand"
                continue
            if token.text in {"{", "}"} or (token.kind == "iri" and before == "operand"):
                raise self._unsupported_token(token)
            if token.kind in {"variable", "blank"}:
                names.add(token.text[1:] if token.kind == "variable" else token.text)
            depth += (token.text == "(") - (token.text == ")")
            before = (
                "operand" if token.kind in _KINDS_BEFORE_OPERATOR or token.text[-1] in ")0123456789" else token.text
            )
        return frozenset(names).union(*(group.names for group in groups)), tuple(groups)

    def _bind(self, start: int) -> GroupElement:
        names, groups = self._expression()
        name, word = self._tokens[self._at - 2], self._tokens[self._at - 3]
        if name.kind != "variable" or not word.is_word("AS"):
            raise self._unsupported_token(name)
        return GroupElement("bind", start, self._previous_end, names, groups=groups, variable=name.text[1:])

    def _values(self, start: int) -> GroupElement:
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
                raise self._unsupported_token(token)
            certain = certain and not token.is_word("UNDEF")
        columns = frozenset(names)
        return GroupElement("values", start, self._previous_end, columns, columns if certain else NO_NAMES)

    def _select(self) -> GroupElement:
        """A sub-select that fills its group; what stands behind its pattern is only passed over."""
        begun = self._at
        start, projected, everything = self._next().start, set[str](), False
        while self._peek.text != "{":
            if self._peek.text == "(":
                self._skip_brackets("(", ")")
                continue
            token = self._next()
            everything = everything or token.text == "*"
            if token.kind == "variable":
                projected.add(token.text[1:])
        group = self.group()
        while self._peek.text != "}":
            if self._peek.text == "{":
                self._skip_brackets("{", "}")
            else:
                self._next()
        names = {token.text[1:] for token in self._tokens[begun : self._at] if token.kind == "variable"}
        certain = group.certainly_bound if everything else group.certainly_bound & projected
        return GroupElement("select", start, self._previous_end, group.names | names, certain, groups=(group,))
