"""Pre-bind variables in the text of SPARQL constraints (SHACL, section 5.3.1).

The functions work on tokens of the text; they read no data and no shapes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from kg.rdf.terms import NamedNode
from kg.sparql import tokens

_FORBIDDEN_KEYWORDS: Final = frozenset({"MINUS", "VALUES", "SERVICE"})
"""Keywords that SHACL forbids beside pre-bound variables (appendix A)."""
_CORRELATED_GROUP_KEYWORDS: Final = frozenset({"EXISTS", "OPTIONAL"})
_VARIABLE_KEYWORDS: Final = frozenset({"BOUND", "GROUP", "ORDER"})
"""Keywords that need a variable where $this stands."""
_BOUND_CHECK: Final = re.compile(r"\bbound\s*\(\s*[?$](shapesGraph|currentShape)\s*\)", re.IGNORECASE)


def prebinding_equals_join(select: str) -> bool:
    """Whether joining $this to the solutions equals pre-binding $this everywhere.

    This holds if every group that uses $this in an expression also binds it in a pattern, or can see the bindings of
    the enclosing group. Return False for what SHACL forbids (appendix A), so that pySHACL refuses it.
    """
    stream = list(tokens.iter_tokens(select))
    words = ["", *(token.text.upper() for token in stream)]  # words[n] is the word before stream[n]
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
        elif groups and token.is_variable("this"):
            if before == "AS" or "BIND" in calls:
                return False
            groups[-1].record_this(parentheses=len(calls))
    return True


@dataclass
class _QueryGroup:
    """A group of a query: whether it sees the variables of the enclosing group, and its depth in parentheses."""

    sees_outer: bool
    depth: int
    uses_this: bool = False
    binds_this: bool = False

    def record_this(self, parentheses: int) -> None:
        """Record an occurrence of $this inside that many parentheses: in an expression or in a pattern."""
        self.uses_this = self.uses_this or parentheses > self.depth
        self.binds_this = self.binds_this or parentheses == self.depth

    @property
    def is_sound(self) -> bool:
        """Whether $this has its value wherever the group uses it."""
        return self.sees_outer or self.binds_this or not self.uses_this


def substitute_this(select: str, focus: NamedNode) -> str | None:
    """Replace $this by an IRI; None if the query needs a variable there (BOUND, GROUP BY, ORDER BY)."""
    pieces = _split_at_this(select)
    if pieces is None:
        return None
    projection, pattern = pieces
    return str(focus).join((f"({focus} AS ?this)".join(projection), *pattern))


@lru_cache(maxsize=1024)
def _split_at_this(select: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Split a query at every $this.

    The first tuple holds the pieces around each $this of the projection, up to the first $this of the pattern. The
    second tuple holds the pieces after each $this of the pattern.
    """
    stream = list(tokens.iter_tokens(select))
    if any(token.kind == "word" and token.text.upper() in _VARIABLE_KEYWORDS for token in stream):
        return None
    pattern_start = next((token.start for token in stream if token.text == "{"), len(select))
    occurrences = [token for token in stream if token.is_variable("this")]
    pieces = tokens.split_at_tokens(select, occurrences)
    projected = sum(token.start < pattern_start for token in occurrences) + 1
    return tuple(pieces[:projected]), tuple(pieces[projected:])


def bind_shape_variables(select: str, values: Mapping[str, str]) -> str:
    """Replace $shapesGraph and $currentShape by terms; a query need not project them."""
    select = _BOUND_CHECK.sub("(true)", select)
    bound = [token for token in tokens.iter_tokens(select) if token.kind == "variable" and token.text[1:] in values]
    return tokens.interleave(tokens.split_at_tokens(select, bound), (values[token.text[1:]] for token in bound))
