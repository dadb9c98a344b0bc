"""Parameters of a URL: numbers, pages and IRIs; each raises BadRequest (400) for a value that does not fit."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from flask import request
from werkzeug.exceptions import BadRequest

from kg.rdf.terms import NamedNode
from service.http.responses import Link

_POSITIVE: Final = re.compile(r"[1-9][0-9]{0,8}")


def positive_parameter(name: str) -> int | None:
    """Return a parameter as a number, or None if it is missing."""
    text = request.args.get(name)
    if text is None:
        return None
    if not _POSITIVE.fullmatch(text):
        raise BadRequest(f"`{name}` must be a positive whole number of at most nine digits.")
    return int(text)


def page_number() -> int:
    """Return the number of the page that `?page=` requests; the first is 1."""
    return positive_parameter("page") or 1


def parse_iri(text: str, message: str = "<{}> is not an IRI.") -> NamedNode:
    """Parse an absolute IRI; `message` is the detail of the error, with `{}` for the text."""
    try:
        return NamedNode(text)
    except ValueError:
        raise BadRequest(message.format(text)) from None


@dataclass(frozen=True)
class Paging:
    """A page of a list, by its number from 1, and whether others follow it."""

    number: int
    has_more: bool

    @property
    def previous(self) -> int | None:
        """The number of the page before, None on the first."""
        return self.number - 1 if self.number > 1 else None

    @property
    def next(self) -> int | None:
        """The number of the page after, None on the last."""
        return self.number + 1 if self.has_more else None

    def urls(self, url: Callable[[int], str]) -> dict[str, str]:
        """Return the URLs of the adjacent pages by relation, `prev` and `next`."""
        pages = {"prev": self.previous, "next": self.next}
        return {relation: url(page) for relation, page in pages.items() if page is not None}

    def links(self, url: Callable[[int], str]) -> Iterator[Link]:
        """Yield links to the adjacent pages (RFC 8288)."""
        return (Link(target, relation) for relation, target in self.urls(url).items())


def adjacent_pages(number: int, total: int, size: int) -> dict[str, int | None]:
    """Return the numbers of the pages before and after one of `size` items, as templates take them."""
    paging = Paging(number, has_more=number * size < total)
    return {"earlier": paging.previous, "later": paging.next}
