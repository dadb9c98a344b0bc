"""Example questions: SPARQL queries with a title and a description in each language."""

import re
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Final

from kg.rdf.namespaces import PREFIXES
from kg.rdf.terms import Literal
from kg.rdf.texts_by_language import TextsByLanguage
from kg.resources import TextFile, query_files
from kg.sparql.templates import Template

_HEADER_COMMENT: Final = re.compile(r"^# (title|description)@([a-z]+): (.+)\n", re.MULTILINE)
_IRI_OR_STRING: Final = re.compile(r"<[^>]*>|\"[^\"]*\"")
_PREFIX_USE: Final = re.compile(r"\b([a-z]+):(?=\w)")


@dataclass(frozen=True)
class ExampleQuery:
    """A question; `text` declares the prefixes that it uses and has the place `$language` for a language tag."""

    slug: str
    titles: TextsByLanguage
    descriptions: TextsByLanguage
    text: str

    @cached_property
    def _template(self) -> Template:
        return Template(self.text)

    def text_in(self, language: str) -> str:
        """Return the query that selects labels in a language."""
        return self._template.fill(language=Literal(language))


@cache
def all_examples() -> tuple[ExampleQuery, ...]:
    """Return all examples, sorted by slug."""
    return tuple(_parse_example(file) for file in query_files())


def find_example(slug: str) -> ExampleQuery:
    """Return an example by its slug; raises KeyError if there is none."""
    return {item.slug: item for item in all_examples()}[slug]


def _parse_example(file: TextFile) -> ExampleQuery:
    """Split a file into its header comments, such as `# title@en: Who invests where?`, and its query."""
    header = {"title": TextsByLanguage(), "description": TextsByLanguage()}
    for kind, language, text in _HEADER_COMMENT.findall(file.text):
        header[kind][language] = text
    body = _HEADER_COMMENT.sub("", file.text)
    used = sorted(set(_PREFIX_USE.findall(_IRI_OR_STRING.sub("", body))))
    prefixes = "".join(f"PREFIX {name}: <{PREFIXES[name]}>\n" for name in used)
    return ExampleQuery(file.stem, header["title"], header["description"], f"{prefixes}\n{body}")
