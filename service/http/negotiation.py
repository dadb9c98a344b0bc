"""Content negotiation by the headers Accept and Accept-Language (RFC 9110, section 12.5); pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from werkzeug.datastructures import LanguageAccept, MIMEAccept
from werkzeug.http import dump_options_header, parse_options_header

from kg.errors import NotAcceptableError
from kg.rdf.formats import RdfFormat

LANGUAGES: Final = ("en", "vi")
"""The languages of pages and messages; the first one is the default."""
LANGUAGE_COOKIE: Final = "lang"
"""The cookie that stores the language that a reader chose."""

_IGNORED_PARAMETERS: Final = {"charset", "profile", "version"}
"""Media type parameters that all representations here satisfy (UTF-8, RDF 1.1) or may ignore (JSON-LD's profile)."""


class Offer(Protocol):
    """A representation that can be sent: its media type, and aliases that clients may request."""

    @property
    def media_type(self) -> str:
        """The media type that is sent by default."""

    @property
    def aliases(self) -> tuple[str, ...]:
        """Media types with the same meaning."""


@dataclass(frozen=True)
class MediaType:
    """An offer other than kg's formats, such as a page."""

    media_type: str
    aliases: tuple[str, ...] = ()


HTML: Final = MediaType("text/html")
JSON: Final = MediaType("application/json")

Representation = MediaType | RdfFormat
"""A representation of a resource: a page or another document, or RDF."""

O = TypeVar("O", bound=Offer)  # noqa: E741 - an offer


def best_offer(accept: MIMEAccept, offers: Sequence[O]) -> O | None:
    """Return the offer with the highest quality value, the first of equal ones, or None if none is acceptable.

    An offer's quality is that of the most specific range that matches it, so a quality of 0 excludes
    what a wider range accepts. A missing or empty Accept header accepts everything.
    """
    if not accept:
        return offers[0] if offers else None
    ranges = _without_ignored_parameters(accept)
    weighed = [(quality, offer) for offer in offers if (quality := _quality(ranges, offer)) > 0]
    return max(weighed, key=lambda item: item[0])[1] if weighed else None


def require_offer(accept: MIMEAccept, offers: Sequence[O]) -> O:
    """Return the best offer; raises NotAcceptableError, which lists the offers, if none is acceptable."""
    offer = best_offer(accept, offers)
    if offer is None:
        types = tuple(item.media_type for item in offers)
        raise NotAcceptableError(f"The available formats are {', '.join(types)}.", types)
    return offer


def requested_media_type(accept: MIMEAccept, offer: Offer) -> str:
    """Return the media type to send: an alias if the client prefers exactly that, else the offer's own."""
    names = (offer.media_type, *offer.aliases)
    qualities = {value.lower(): quality for value, quality in _without_ignored_parameters(accept)}
    return max(names, key=lambda name: qualities.get(name, 0.0))


def choose_language(accept: LanguageAccept, chosen: str | None = None) -> str:
    """Choose the language of a page: the chosen one if it is supported, else by the Accept-Language header.

    Ranges count by their primary subtag (RFC 4647, section 3.4), so that `vi-VN` gets Vietnamese.
    """
    if chosen in LANGUAGES:
        return chosen
    primary = LanguageAccept([(value.split("-")[0], quality) for value, quality in accept])
    weighed = [(primary.quality(name), name) for name in LANGUAGES]
    return max(weighed, key=lambda item: item[0])[1]


def split_suffix(name: str, representations: Mapping[str, Representation]) -> tuple[str, Representation | None]:
    """Split the last suffix off a URL's name if it is a key of `representations`; else return the name and None."""
    stem, _, suffix = name.rpartition(".")
    return (stem, representations[suffix]) if stem and suffix in representations else (name, None)


def _quality(ranges: MIMEAccept, offer: Offer) -> float:
    names = {offer.media_type, *offer.aliases}
    exact = [quality for value, quality in ranges if value.lower() in names]
    return max(exact) if exact else ranges.quality(offer.media_type)


def _without_ignored_parameters(accept: Iterable[tuple[str, float]]) -> MIMEAccept:
    return MIMEAccept([(_strip_parameters(value), quality) for value, quality in accept])


def _strip_parameters(media_range: str) -> str:
    name, options = parse_options_header(media_range)
    significant = {key: value for key, value in options.items() if key not in _IGNORED_PARAMETERS}
    return dump_options_header(name, significant)
