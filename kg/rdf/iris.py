"""Resolve IRI references as the parsers of RDF and SPARQL do (RFC 3986, section 5.2).

These functions never fail; a parser decides whether the result is a valid IRI. Python's `urljoin` is not suitable: like
a browser, it rejects invalid hosts, supports only some schemes, and treats `http:x` as a relative reference.
"""

import re
from typing import Final, NamedTuple

_IRI_COMPONENTS: Final = re.compile(
    r"(?:([A-Za-z][A-Za-z0-9+.\-]*):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL
)


class _IriComponents(NamedTuple):
    """The components of an IRI reference; all but the path may be None."""

    scheme: str | None
    authority: str | None
    path: str
    query: str | None
    fragment: str | None


def resolve(base: str, reference: str) -> str:
    """Resolve a reference against a base IRI; return the reference itself if the base is empty."""
    parts = _split_iri(reference)
    return _recompose(_resolve_against(_split_iri(base), parts)) if base and parts.scheme is None else reference


def authority(iri: str) -> str:
    """Return the authority of an IRI, such as `host:port`, in lower case; "" if it has none."""
    return (_split_iri(iri).authority or "").lower()


def _split_iri(text: str) -> _IriComponents:
    match = _IRI_COMPONENTS.fullmatch(text)
    return _IriComponents(None, None, text, None, None) if match is None else _IriComponents(*match.groups())


def _resolve_against(base: _IriComponents, reference: _IriComponents) -> _IriComponents:
    """Resolve a reference without scheme (section 5.2.2)."""
    if reference.authority is not None:
        return reference._replace(scheme=base.scheme)
    if not reference.path:
        query = base.query if reference.query is None else reference.query
        return base._replace(query=query, fragment=reference.fragment)
    return reference._replace(scheme=base.scheme, authority=base.authority, path=_merge_paths(base, reference.path))


def _merge_paths(base: _IriComponents, path: str) -> str:
    """Replace the last segment of the base by a path and remove `.` and `..` from it (sections 5.2.3 and 5.2.4).

    Dot segments of the base itself stay, as they do in an absolute IRI.
    """
    rooted = path.startswith("/") or base.path.startswith("/") or base.authority is not None
    merged = [] if path.startswith("/") else base.path.removeprefix("/").split("/")[:-1]
    segments = path.removeprefix("/").split("/")
    for segment in segments:
        if segment == "..":
            del merged[-1:]
        elif segment != ".":
            merged.append(segment)
    if segments[-1] in {".", ".."} and merged:
        merged.append("")
    return "/" * rooted + "/".join(merged)


def _recompose(parts: _IriComponents) -> str:
    """Recompose an IRI from its components (section 5.3)."""
    return "".join(
        [
            "" if parts.scheme is None else f"{parts.scheme}:",
            "" if parts.authority is None else f"//{parts.authority}",
            parts.path,
            "" if parts.query is None else f"?{parts.query}",
            "" if parts.fragment is None else f"#{parts.fragment}",
        ]
    )
