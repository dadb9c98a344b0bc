"""Questions to ask the graph, stored as queries with a title and a sentence in each language."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Final

from kg.rdf.namespaces import PREFIXES
from kg.resources import TextFile, queries

_LANGUAGE: Final = '"LANGUAGE"'
"""What stands in a query for the reader's language."""
_HEAD: Final = re.compile(r"^# (title|description)@([a-z]+): (.+)\n", re.MULTILINE)
_SPELLED_OUT: Final = re.compile(r"<[^>]*>|\"[^\"]*\"")
_PREFIXED: Final = re.compile(r"\b([a-z]+):(?=\w)")


@dataclass(frozen=True)
class Example:
    """A question by its slug; titles and descriptions are by language, the text declares its own prefixes."""

    slug: str
    titles: dict[str, str]
    descriptions: dict[str, str]
    text: str

    def query(self, language: str) -> str:
        """The SPARQL text that finds the names of things in a language."""
        return self.text.replace(_LANGUAGE, f'"{language}"')


@cache
def examples() -> tuple[Example, ...]:
    """All of them, by slug."""
    return tuple(_example(file) for file in queries())


def example(slug: str) -> Example:
    """The one of a slug; raises KeyError if there is none."""
    return {item.slug: item for item in examples()}[slug]


def _example(file: TextFile) -> Example:
    said: dict[str, dict[str, str]] = {"title": {}, "description": {}}
    for kind, language, text in _HEAD.findall(file.text):
        said[kind][language] = text
    body = _HEAD.sub("", file.text)
    used = sorted(set(_PREFIXED.findall(_SPELLED_OUT.sub("", body))))
    declared = "".join(f"PREFIX {name}: <{PREFIXES[name]}>\n" for name in used)
    return Example(file.stem, said["title"], said["description"], f"{declared}\n{body}")
