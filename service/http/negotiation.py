"""Choose what to send from what a client accepts (RFC 9110, section 12.5); pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from werkzeug.datastructures import LanguageAccept, MIMEAccept
from werkzeug.http import dump_options_header, parse_options_header

from kg.errors import NotAcceptableError
from kg.rdf.formats import RdfFormat

LANGUAGES: Final = ("en", "vi")
"""The languages of pages and messages; the first one is for readers who ask for neither."""
LANGUAGE_COOKIE: Final = "lang"
"""The cookie that remembers the language which a reader chose."""

_IGNORED_PARAMETERS: Final = {"charset", "profile", "version"}
"""Media type parameters that every representation here meets (UTF-8, RDF 1.1) or may disregard (JSON-LD's profile)."""


class Offer(Protocol):
    """Something that can be sent: a media type, and other names under which clients ask for it."""

    @property
    def media_type(self) -> str:
        """The name under which it is sent."""

    @property
    def aliases(self) -> tuple[str, ...]:
        """Other media types that mean the same."""


@dataclass(frozen=True)
class MediaType:
    """An offer that is none of kg's formats, such as a page."""

    media_type: str
    aliases: tuple[str, ...] = ()


HTML: Final = MediaType("text/html")

Representation = MediaType | RdfFormat
"""What a resource can be had as: a page or other document, or RDF."""

O = TypeVar("O", bound=Offer)  # noqa: E741 - an offer


def best_offer(accept: MIMEAccept, offers: Sequence[O]) -> O | None:
    """Find the offer that a client likes best; the earlier one of equals, None where none is acceptable.

    An offer's quality is that of the most specific range that matches it, so a quality of 0 excludes
    what a wider range would let in. A missing or empty Accept header accepts everything.
    """
    if not accept:
        return offers[0] if offers else None
    ranges = _without_ignored_parameters(accept)
    weighed = [(quality, offer) for offer in offers if (quality := _quality(ranges, offer)) > 0]
    return max(weighed, key=lambda item: item[0])[1] if weighed else None


def require_offer(accept: MIMEAccept, offers: Sequence[O]) -> O:
    """Find the best offer as `best` does; raises NotAcceptableError, which lists what there is, where none fits."""
    offer = best_offer(accept, offers)
    if offer is None:
        types = tuple(item.media_type for item in offers)
        raise NotAcceptableError(f"This can be had as {', '.join(types)}.", types)
    return offer


def requested_media_type(accept: MIMEAccept, offer: Offer) -> str:
    """The media type to send an offer under: an alias where the client asks for just that, else its own name."""
    names = (offer.media_type, *offer.aliases)
    named = {value.lower(): quality for value, quality in _without_ignored_parameters(accept)}
    return max(names, key=lambda name: named.get(name, 0.0))


def choose_language(accept: LanguageAccept, wanted: str | None = None) -> str:
    """Choose the language of a page: the wanted one if there is such, else by the Accept-Language header.

    Ranges count by their primary subtag (RFC 4647, section 3.4), so that `vi-VN` gets Vietnamese.
    """
    if wanted in LANGUAGES:
        return wanted
    primary = LanguageAccept([(value.split("-")[0], quality) for value, quality in accept])
    weighed = [(primary.quality(name), name) for name in LANGUAGES]
    return max(weighed, key=lambda item: item[0])[1]


def split_suffix(name: str, forms: Mapping[str, Representation]) -> tuple[str, Representation | None]:
    """Split a URL's last suffix off its name if it is one of the forms, which are by suffix."""
    stem, _, suffix = name.rpartition(".")
    return (stem, forms[suffix]) if stem and suffix in forms else (name, None)


def _quality(ranges: MIMEAccept, offer: Offer) -> float:
    names = {offer.media_type, *offer.aliases}
    named = [quality for value, quality in ranges if value.lower() in names]
    return max(named) if named else ranges.quality(offer.media_type)


def _without_ignored_parameters(accept: Iterable[tuple[str, float]]) -> MIMEAccept:
    return MIMEAccept([(_strip_parameters(value), quality) for value, quality in accept])


def _strip_parameters(media_range: str) -> str:
    name, options = parse_options_header(media_range)
    kept = {key: value for key, value in options.items() if key not in _IGNORED_PARAMETERS}
    return dump_options_header(name, kept)
