"""Resolve references to IRIs as the parsers of RDF and SPARQL do (RFC 3986, section 5.2); pure.

Nothing here fails: whether what comes out is an IRI is for a parser to say. Python's `urljoin` is for browsers: it
refuses hosts that are none, knows only some schemes, and takes `http:x` for relative.
"""

import re
from typing import Final, NamedTuple

_IRI_COMPONENTS: Final = re.compile(
    r"(?:([A-Za-z][A-Za-z0-9+.\-]*):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL
)


class _IriComponents(NamedTuple):
    """The components of a reference, of which only the path is never None."""

    scheme: str | None
    authority: str | None
    path: str
    query: str | None
    fragment: str | None


def resolve(base: str, reference: str) -> str:
    """The IRI that a reference means where `base` holds; the reference itself without a base."""
    given = _split_iri(reference)
    return _recompose(_resolve_against(_split_iri(base), given)) if base and given.scheme is None else reference


def authority(iri: str) -> str:
    """Where an IRI is served, such as `host:port`, in small letters; "" if it does not say."""
    return (_split_iri(iri).authority or "").lower()


def _split_iri(text: str) -> _IriComponents:
    match = _IRI_COMPONENTS.fullmatch(text)
    return _IriComponents(None, None, text, None, None) if match is None else _IriComponents(*match.groups())


def _resolve_against(base: _IriComponents, given: _IriComponents) -> _IriComponents:
    """Complete a reference without scheme (section 5.2.2)."""
    if given.authority is not None:
        return given._replace(scheme=base.scheme)
    if not given.path:
        query = base.query if given.query is None else given.query
        return base._replace(query=query, fragment=given.fragment)
    return given._replace(scheme=base.scheme, authority=base.authority, path=_merge_paths(base, given.path))


def _merge_paths(base: _IriComponents, path: str) -> str:
    """Put a path in the place of the base's last segment, without `.` and `..` in it (sections 5.2.3 and 5.2.4).

    Those of the base itself stay, as they do in an IRI that is written in full.
    """
    rooted = path.startswith("/") or base.path.startswith("/") or base.authority is not None
    kept = [] if path.startswith("/") else base.path.removeprefix("/").split("/")[:-1]
    segments = path.removeprefix("/").split("/")
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in {".", ".."} and kept:
        kept.append("")
    return "/" * rooted + "/".join(kept)


def _recompose(parts: _IriComponents) -> str:
    """Put components together (section 5.3)."""
    return "".join(
        [
            "" if parts.scheme is None else f"{parts.scheme}:",
            "" if parts.authority is None else f"//{parts.authority}",
            parts.path,
            "" if parts.query is None else f"?{parts.query}",
            "" if parts.fragment is None else f"#{parts.fragment}",
        ]
    )
