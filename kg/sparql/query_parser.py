"""Parse the group graph patterns of a SPARQL query into a syntax tree with offsets, as far as planning needs.

The parser refuses what it does not support and never guesses, because a text may be one that the engine refuses.
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
"""Maximum length of a query, in code points."""
MAX_PARSED_TOKENS: Final = 12_000
"""Maximum tokens of a query. Planning that many takes about 100 ms, or 150 ms if they are deeply nested."""
MAX_PARSED_NESTING: Final = 40
"""Maximum nesting depth of brackets; the parser is recursive."""

_ABSOLUTE_IRI: Final = re.compile(r"<[a-z][a-z0-9+.-]*:(?://)?(?:(?!/\.)[^<>\\])*>", re.IGNORECASE)
"""An IRI that no base changes, so that two such IRIs are equal if and only if their texts are."""
_OPERAND_KINDS: Final = frozenset({"variable", "iri", "pname", "blank", "string", "tag", "word"})
"""Kinds of tokens after which a '<' is an operator, even if it looks like the start of an IRI."""
_QUERY_FORMS: Final = ("SELECT", "ASK", "CONSTRUCT", "DESCRIBE")
_UNSUPPORTED_KEYWORDS: Final = ("SERVICE", "LATERAL")


def parse_query(text: str) -> ParsedQuery:
    """Parse a query; raises UnsupportedQueryError."""
    if len(text) > MAX_PARSED_LENGTH:
        raise UnsupportedQueryError(f"it is longer than {MAX_PARSED_LENGTH} characters")
    tokens = list(islice(iter_tokens(text), MAX_PARSED_TOKENS + 1))
    if len(tokens) > MAX_PARSED_TOKENS:
        raise UnsupportedQueryError(f"it has more than {MAX_PARSED_TOKENS} tokens")
    if nesting_depth(text, tokens, MAX_PARSED_NESTING) > MAX_PARSED_NESTING:
        raise UnsupportedQueryError(f"it is nested deeper than {MAX_PARSED_NESTING} levels")
    if re.search(r"\\[uU]", text):
        raise UnsupportedQueryError("it has escaped code points")
    if find_ambiguous_operator(text, tokens) is not None:
        raise UnsupportedQueryError("a '<' in it may be an operator")
    return _QueryParser(text, tokens).parse()


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
        """Consume everything before the main group."""
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
        first = self._at
        form = "NOT EXISTS" if self._skip("NOT", "EXISTS") else "EXISTS" if self._skip("EXISTS") else ""
        if form:
            group = self.group()
            return GroupElement("filter", start, group.end, group.names, groups=(group,), exists_form=form)
        while self._peek.text != "(":
            if self._peek.kind not in {"word", "iri", "pname"} or self._at > first:
                raise self._unsupported_token(self._peek)
            self._next()
        is_bracketed = self._at == first
        names, groups = self._expression()
        variable, allowed = self._iri_restriction(first) if is_bracketed else ("", ())
        return GroupElement(
            "filter", start, self._previous_end, names, groups=groups, variable=variable, allowed_iris=allowed
        )

    def _iri_restriction(self, opening: int) -> tuple[str, tuple[str, ...]]:
        """Return the variable and the IRIs of `(?x IN (<a>, <b>))` or `(?x = <a>)`, if nothing else is in brackets.

        `opening` is the index of the opening bracket.
        """
        inner = self._tokens[opening + 1 : self._at - 1]
        texts = [token.text.upper() for token in inner[1:]]
        if texts[:1] == ["="]:
            terms, commas = inner[2:], inner[:0]
        elif texts[:2] == ["IN", "("] and texts[-1] == ")":
            terms, commas = inner[3:-1:2], inner[4:-1:2]
        else:
            return "", ()
        is_list = len(terms) == len(commas) + 1 and all(comma.text == "," for comma in commas)
        if not is_list or inner[0].kind != "variable" or any(term.kind not in {"iri", "pname"} for term in terms):
            return "", ()
        iris = [self._resolved_term(term.text) for term in terms]
        if any(_ABSOLUTE_IRI.fullmatch(iri) is None for iri in iris):
            return "", ()
        return inner[0].text[1:], tuple(dict.fromkeys(iris))

    def _expression(self) -> tuple[VariableNames, tuple[GroupGraphPattern, ...]]:
        """Consume an expression in brackets; return its names and the groups of its EXISTS."""
        self._expect("(")
        depth, names, groups, after_operand = 1, set[str](), list[GroupGraphPattern](), False
        while depth:
            token = self._next()
            if token.is_word("EXISTS"):
                groups.append(self.group())
                after_operand = True
                continue
            if token.text in {"{", "}"} or (token.kind == "iri" and after_operand):
                raise self._unsupported_token(token)
            if token.kind in {"variable", "blank"}:
                names.add(token.text[1:] if token.kind == "variable" else token.text)
            depth += (token.text == "(") - (token.text == ")")
            after_operand = token.kind in _OPERAND_KINDS or token.text[-1] in ")0123456789"
        return frozenset(names).union(*(group.names for group in groups)), tuple(groups)

    def _bind(self, start: int) -> GroupElement:
        names, groups = self._expression()
        name, word = self._tokens[self._at - 2], self._tokens[self._at - 3]
        if name.kind != "variable" or not word.is_word("AS"):
            raise self._unsupported_token(name)
        return GroupElement("bind", start, self._previous_end, names, groups=groups, variable=name.text[1:])

    def _values(self, start: int) -> GroupElement:
        names, is_single = list[str](), self._peek.kind == "variable"
        if not is_single:
            self._expect("(")
        while self._peek.kind == "variable":
            names.append(self._next().text[1:])
            if is_single:
                break
        if not is_single:
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
        """Parse a sub-select, which is the only element of its group; its solution modifiers are skipped."""
        first = self._at
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
        names = {token.text[1:] for token in self._tokens[first : self._at] if token.kind == "variable"}
        certain = group.certainly_bound if everything else group.certainly_bound & projected
        return GroupElement("select", start, self._previous_end, group.names | names, certain, groups=(group,))
