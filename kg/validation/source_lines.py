"""Find the line of a document that a finding comes from.

The RDF parsers return no positions, so the text is scanned a second time.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from kg.rdf.formats import NQUADS, NTRIPLES, TRIG, TURTLE, RdfFormat
from kg.rdf.iris import resolve
from kg.rdf.namespaces import RDF
from kg.rdf.terms import Literal, NamedNode, Term
from kg.validation.report import Finding

MAX_DOCUMENT_LENGTH: Final = 2_000_000
"""The length in characters up to which a document is scanned."""

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
_MAX_DECLARATION_TOKENS: Final = 3
"""Tokens of a prefix or base declaration, after which one without an IRI is abandoned as malformed."""
_LOCAL_NAME: Final = re.compile(r"[^/#]*$")


@dataclass
class SourceLines:
    """The lines of a document, counted from 1, by statement.

    The keys are (subject,), (subject, predicate) or (subject, predicate, object). `text` is the document, by lines.
    """

    lines_by_statement: dict[tuple[str, ...], int] = field(default_factory=dict)
    text: tuple[str, ...] = ()

    def line_of(self, item: Finding) -> int | None:
        """Return the line of a finding's value, else of its property, else of its focus node; None if unknown."""
        focus, path, value = _term_key(item.focus), _term_key(item.path), _term_key(item.value)
        if focus is None:
            return None
        keys = [key for key in ((focus, path, value), (focus, path), (focus,)) if None not in key]
        lines = (self.lines_by_statement.get(tuple(filter(None, key))) for key in keys)
        return next((line for line in lines if line is not None), None) or self._first_mention(item.focus)

    def _first_mention(self, node: Term) -> int | None:
        """Return the first line that contains an IRI, else the first with its local name."""
        if not isinstance(node, NamedNode):
            return None
        local = _LOCAL_NAME.search(node.value)
        for name in filter(None, (node.value, local[0] if local else "")):
            for number, line in enumerate(self.text, 1):
                if name in line:
                    return number
        return None


def read_source_lines(data: bytes, fmt: RdfFormat) -> SourceLines:
    """Scan a document for the lines of its statements; never raises.

    Formats other than Turtle, TriG, N-Triples and N-Quads are only searched for IRIs. A document of more than
    MAX_DOCUMENT_LENGTH characters has no known lines.
    """
    text = data.decode("utf-8", "replace")
    if len(text) > MAX_DOCUMENT_LENGTH:
        return SourceLines()
    lines = SourceLines(text=tuple(text.splitlines()))
    if fmt in {TURTLE, TRIG, NTRIPLES, NQUADS}:
        _StatementScanner(lines).read(text)
    return lines


def _term_key(term: Term | None) -> str | None:
    return term.value if isinstance(term, NamedNode | Literal) else None


@dataclass
class _Frame:
    """The subject and predicate at the current position, inside one pair of brackets."""

    subject: str | None = None
    predicate: str | None = None
    is_list: bool = False


class _StatementScanner:
    """Scans Turtle, TriG, N-Triples or N-Quads, and records the line of every statement.

    It accepts any text: the RDF parser reports syntax errors.
    """

    def __init__(self, lines: SourceLines) -> None:
        self._lines = lines.lines_by_statement
        self._base = ""
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
            self._lines.setdefault((value,), line)
        elif frame.predicate is None:
            frame.predicate = value
            self._lines.setdefault((frame.subject, value), line)
        else:
            self._lines.setdefault((frame.subject, frame.predicate, value), line)

    def _is_in_declaration(self, kind: str, text: str) -> bool:
        """Whether a token is part of a prefix or base declaration, which takes effect once it is complete."""
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
            if len(self._pending_declaration) > _MAX_DECLARATION_TOKENS:
                self._pending_declaration = []
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
