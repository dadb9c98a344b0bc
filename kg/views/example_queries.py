"""Questions to ask the graph, stored as queries with a title and a sentence in each language."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Final

from kg.rdf.namespaces import PREFIXES
from kg.resources import TextFile, query_files

_LANGUAGE_PLACEHOLDER: Final = '"LANGUAGE"'
"""What stands in a query for the reader's language."""
_HEADER_COMMENT: Final = re.compile(r"^# (title|description)@([a-z]+): (.+)\n", re.MULTILINE)
_IRI_OR_STRING: Final = re.compile(r"<[^>]*>|\"[^\"]*\"")
_PREFIX_USE: Final = re.compile(r"\b([a-z]+):(?=\w)")


@dataclass(frozen=True)
class ExampleQuery:
    """A question by its slug; titles and descriptions are by language, the text declares its own prefixes."""

    slug: str
    titles: dict[str, str]
    descriptions: dict[str, str]
    text: str

    def text_in(self, language: str) -> str:
        """The SPARQL text that finds the names of things in a language."""
        return self.text.replace(_LANGUAGE_PLACEHOLDER, f'"{language}"')


@cache
def all_examples() -> tuple[ExampleQuery, ...]:
    """All of them, by slug."""
    return tuple(_parse_example(file) for file in query_files())


def find_example(slug: str) -> ExampleQuery:
    """The one of a slug; raises KeyError if there is none."""
    return {item.slug: item for item in all_examples()}[slug]


def _parse_example(file: TextFile) -> ExampleQuery:
    said: dict[str, dict[str, str]] = {"title": {}, "description": {}}
    for kind, language, text in _HEADER_COMMENT.findall(file.text):
        said[kind][language] = text
    body = _HEADER_COMMENT.sub("", file.text)
    used = sorted(set(_PREFIX_USE.findall(_IRI_OR_STRING.sub("", body))))
    declared = "".join(f"PREFIX {name}: <{PREFIXES[name]}>\n" for name in used)
    return ExampleQuery(file.stem, said["title"], said["description"], f"{declared}\n{body}")
