"""Find the line of a document from which a finding comes: parsers keep no positions, so the text is read once more."""

import re
from dataclasses import dataclass, field
from typing import Final

from kg.rdf.formats import NQUADS, NTRIPLES, TRIG, TURTLE, RdfFormat
from kg.rdf.io import Literal, NamedNode, Term
from kg.rdf.iris import resolve
from kg.rdf.namespaces import RDF
from kg.validation.report import Finding

LONGEST: Final = 2_000_000
"""Characters up to which a document is read for lines."""

_TOKEN: Final = re.compile(
    r"""
      (?P<skip>\s+ | \#[^\n\r]*)
    | (?P<iri><[^<>"{}|^`\\\x00-\x20]*>)
    | (?P<string>\"\"\"(?:[^"\\]|\\.|\"(?!\"\"))*\"\"\" | '''(?:[^'\\]|\\.|'(?!''))*'''
               | "(?:[^"\\\n\r]|\\.)*" | '(?:[^'\\\n\r]|\\.)*')
    | (?P<number>[+-]?(?:\d+\.\d+|\.\d+|\d+)(?:[eE][+-]?\d+)?)
    | (?P<blank>_:[\w.\-]*\w)
    | (?P<pname>[\w\-.]*:(?:[\w\-.:%]|\\.)*(?<!\.))
    | (?P<tag>@[A-Za-z\-]+)
    | (?P<word>[^\W\d]\w*)
    | (?P<sign>\^\^|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_TYPE: Final = RDF + "type"
_LOCAL: Final = re.compile(r"[^/#]*$")


@dataclass
class Lines:
    """Where a document says what: lines, counted from 1, by subject, predicate and object, of which later may lack."""

    places: dict[tuple[str, ...], int] = field(default_factory=dict)
    text: tuple[str, ...] = ()

    def of(self, item: Finding) -> int | None:
        """The line of a finding: that of the value, else of the property, else of the focus node; None if unknown."""
        focus, path, value = _key(item.focus), _key(item.path), _key(item.value)
        if focus is None:
            return None
        exact = [key for key in ((focus, path, value), (focus, path), (focus,)) if None not in key]
        found = (self.places.get(tuple(filter(None, key))) for key in exact)
        return next((line for line in found if line is not None), None) or self._mentioned(item.focus)

    def _mentioned(self, node: Term) -> int | None:
        """The first line that writes an IRI out, or the end of it."""
        if not isinstance(node, NamedNode):
            return None
        local = _LOCAL.search(node.value)
        for sought in filter(None, (node.value, local[0] if local else "")):
            for number, line in enumerate(self.text, 1):
                if sought in line:
                    return number
        return None


def lines(data: bytes, fmt: RdfFormat, base_iri: str = "") -> Lines:
    """Read where a document says what; never fails, and knows nothing of a very long one."""
    text = data.decode("utf-8", "replace")
    if len(text) > LONGEST:
        return Lines()
    found = Lines(text=tuple(text.splitlines()))
    if fmt in {TURTLE, TRIG, NTRIPLES, NQUADS}:
        _Reader(found, base_iri).read(text)
    return found


def _key(term: Term | None) -> str | None:
    return term.value if isinstance(term, NamedNode | Literal) else None


@dataclass
class _Frame:
    """A subject that is being described, with the predicate that was read last."""

    subject: str | None = None
    predicate: str | None = None
    listed: bool = False


class _Reader:
    """Walks through Turtle, TriG, N-Triples or N-Quads, and notes the line of every statement."""

    def __init__(self, found: Lines, base_iri: str) -> None:
        self._places = found.places
        self._base = base_iri
        self._prefixes = dict[str, str]()
        self._frames = [_Frame()]
        self._before = list[tuple[str, str]]()

    def read(self, text: str) -> None:
        line, end = 1, 0
        for match in _TOKEN.finditer(text):
            line += text.count("\n", end, match.start())
            end = match.start()
            kind = match.lastgroup or "sign"
            if kind != "skip":
                self._take(kind, match.group(), line)

    def _take(self, kind: str, text: str, line: int) -> None:
        if self._declares(kind, text):
            return
        match kind, text:
            case "sign", "." | "{" | "}":
                self._frames = [_Frame()]
            case "sign", ";":
                self._frames[-1].predicate = None
            case "sign", "[" | "(":
                self._frames.append(_Frame(subject="", listed=text == "("))
            case "sign", "]" | ")":
                self._leave()
            case (("sign" | "tag"), _):
                pass
            case _:
                self._term(self._value(kind, text), line)

    def _leave(self) -> None:
        if len(self._frames) > 1:
            self._frames.pop()
        if self._frames[-1].subject is None:
            self._frames[-1].subject = ""

    def _term(self, value: str, line: int) -> None:
        frame = self._frames[-1]
        if frame.listed:
            return
        if frame.subject is None:
            frame.subject = value
            self._places.setdefault((value,), line)
        elif frame.predicate is None:
            frame.predicate = value
            self._places.setdefault((frame.subject, value), line)
        else:
            self._places.setdefault((frame.subject, frame.predicate, value), line)

    def _declares(self, kind: str, text: str) -> bool:
        """Whether a text is part of a declaration of a prefix or a base, which is noted once it is complete."""
        if self._before:
            self._before.append((kind, text))
            return self._declared()
        if text.lower() in {"@prefix", "prefix", "@base", "base"} and kind in {"tag", "word"}:
            self._before = [(kind, text.lower().removeprefix("@"))]
            return True
        return False

    def _declared(self) -> bool:
        word = self._before[0][1]
        iris = [text for kind, text in self._before if kind == "iri"]
        if not iris:
            self._before = [] if len(self._before) > len("pfx") else self._before
            return True
        iri = resolve(self._base, iris[0][1:-1])
        if word == "prefix":
            self._prefixes[self._before[1][1].removesuffix(":")] = iri
        else:
            self._base = iri
        self._before = []
        return True

    def _value(self, kind: str, text: str) -> str:
        match kind:
            case "iri":
                return resolve(self._base, text[1:-1])
            case "pname":
                prefix, _, local = text.partition(":")
                return self._prefixes.get(prefix, prefix + ":") + re.sub(r"\\(.)", r"\1", local)
            case "string":
                return _unquoted(text)
            case "word":
                return _TYPE if text == "a" else text
        return text


def _unquoted(text: str) -> str:
    quotes = 3 if text[:3] in {'"""', "'''"} and len(text) >= len('""""""') else 1
    return re.sub(r"\\(.)", r"\1", text[quotes:-quotes])
