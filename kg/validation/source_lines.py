"""Find the line of a document from which a finding comes: parsers keep no positions, so the text is read once more."""

import re
from dataclasses import dataclass, field
from typing import Final

from kg.rdf.formats import NQUADS, NTRIPLES, TRIG, TURTLE, RdfFormat
from kg.rdf.iris import resolve
from kg.rdf.namespaces import RDF
from kg.rdf.terms import Literal, NamedNode, Term
from kg.validation.report import Finding

MAX_DOCUMENT_LENGTH: Final = 2_000_000
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
_LOCAL_NAME: Final = re.compile(r"[^/#]*$")


@dataclass
class SourceLines:
    """Where a document says what: lines, counted from 1, by subject, predicate and object, of which later may lack."""

    lines_by_statement: dict[tuple[str, ...], int] = field(default_factory=dict)
    text: tuple[str, ...] = ()

    def line_of(self, item: Finding) -> int | None:
        """The line of a finding: that of the value, else of the property, else of the focus node; None if unknown."""
        focus, path, value = _term_key(item.focus), _term_key(item.path), _term_key(item.value)
        if focus is None:
            return None
        exact = [key for key in ((focus, path, value), (focus, path), (focus,)) if None not in key]
        found = (self.lines_by_statement.get(tuple(filter(None, key))) for key in exact)
        return next((line for line in found if line is not None), None) or self._first_mention(item.focus)

    def _first_mention(self, node: Term) -> int | None:
        """The first line that writes an IRI out, or the end of it."""
        if not isinstance(node, NamedNode):
            return None
        local = _LOCAL_NAME.search(node.value)
        for sought in filter(None, (node.value, local[0] if local else "")):
            for number, line in enumerate(self.text, 1):
                if sought in line:
                    return number
        return None


def read_source_lines(data: bytes, fmt: RdfFormat, base_iri: str = "") -> SourceLines:
    """Read where a document says what; never fails, and knows nothing of a very long one."""
    text = data.decode("utf-8", "replace")
    if len(text) > MAX_DOCUMENT_LENGTH:
        return SourceLines()
    found = SourceLines(text=tuple(text.splitlines()))
    if fmt in {TURTLE, TRIG, NTRIPLES, NQUADS}:
        _StatementScanner(found, base_iri).read(text)
    return found


def _term_key(term: Term | None) -> str | None:
    return term.value if isinstance(term, NamedNode | Literal) else None


@dataclass
class _Frame:
    """A subject that is being described, with the predicate that was read last."""

    subject: str | None = None
    predicate: str | None = None
    is_list: bool = False


class _StatementScanner:
    """Walks through Turtle, TriG, N-Triples or N-Quads, and notes the line of every statement."""

    def __init__(self, found: SourceLines, base_iri: str) -> None:
        self._places = found.lines_by_statement
        self._base = base_iri
        self._prefixes = dict[str, str]()
        self._frames = [_Frame()]
        self._pending_declaration = list[tuple[str, str]]()

    def read(self, text: str) -> None:
        line, end = 1, 0
        for match in _TOKEN.finditer(text):
            line += text.count("\n", end, match.start())
            end = match.start()
            kind = match.lastgroup or "sign"
            if kind != "skip":
                self._handle_token(kind, match.group(), line)

    def _handle_token(self, kind: str, text: str, line: int) -> None:
        if self._is_in_declaration(kind, text):
            return
        match kind, text:
            case "sign", "." | "{" | "}":
                self._frames = [_Frame()]
            case "sign", ";":
                self._frames[-1].predicate = None
            case "sign", "[" | "(":
                self._frames.append(_Frame(subject="", is_list=text == "("))
            case "sign", "]" | ")":
                self._pop_frame()
            case (("sign" | "tag"), _):
                pass
            case _:
                self._record_term(self._token_value(kind, text), line)

    def _pop_frame(self) -> None:
        if len(self._frames) > 1:
            self._frames.pop()
        if self._frames[-1].subject is None:
            self._frames[-1].subject = ""

    def _record_term(self, value: str, line: int) -> None:
        frame = self._frames[-1]
        if frame.is_list:
            return
        if frame.subject is None:
            frame.subject = value
            self._places.setdefault((value,), line)
        elif frame.predicate is None:
            frame.predicate = value
            self._places.setdefault((frame.subject, value), line)
        else:
            self._places.setdefault((frame.subject, frame.predicate, value), line)

    def _is_in_declaration(self, kind: str, text: str) -> bool:
        """Whether a text is part of a declaration of a prefix or a base, which is noted once it is complete."""
        if self._pending_declaration:
            self._pending_declaration.append((kind, text))
            return self._finish_declaration()
        if text.lower() in {"@prefix", "prefix", "@base", "base"} and kind in {"tag", "word"}:
            self._pending_declaration = [(kind, text.lower().removeprefix("@"))]
            return True
        return False

    def _finish_declaration(self) -> bool:
        word = self._pending_declaration[0][1]
        iris = [text for kind, text in self._pending_declaration if kind == "iri"]
        if not iris:
            self._pending_declaration = [] if len(self._pending_declaration) > len("pfx") else self._pending_declaration
            return True
        iri = resolve(self._base, iris[0][1:-1])
        if word == "prefix":
            self._prefixes[self._pending_declaration[1][1].removesuffix(":")] = iri
        else:
            self._base = iri
        self._pending_declaration = []
        return True

    def _token_value(self, kind: str, text: str) -> str:
        match kind:
            case "iri":
                return resolve(self._base, text[1:-1])
            case "pname":
                prefix, _, local = text.partition(":")
                return self._prefixes.get(prefix, prefix + ":") + re.sub(r"\\(.)", r"\1", local)
            case "string":
                return _unquote(text)
            case "word":
                return _TYPE if text == "a" else text
        return text


def _unquote(text: str) -> str:
    quotes = 3 if text[:3] in {'"""', "'''"} and len(text) >= len('""""""') else 1
    return re.sub(r"\\(.)", r"\1", text[quotes:-quotes])
