"""Choose the page for a resource by its class."""

from collections.abc import Sequence
from typing import Any, Final

from flask import request

from kg.rdf.namespaces import HPEZ, OA, SCHEMA
from kg.views.summary import ResourceSummary
from service.presentation.claim_pages import (
    render_claim_page,
    render_evidence_page,
    render_issue_page,
    render_source_page,
)
from service.presentation.entity_page import render_entity_page
from service.presentation.links_page import render_links_page

_RENDERERS: Final = {
    HPEZ + "Observation": render_claim_page,
    HPEZ + "RelationClaim": render_claim_page,
    HPEZ + "Claim": render_claim_page,
    OA + "SpecificResource": render_evidence_page,
    SCHEMA + "NewsArticle": render_source_page,
    HPEZ + "Issue": render_issue_page,
}
"""The page of each class; the first class that a resource has decides. Other resources have the page of an entity."""


def render_page(summary: ResourceSummary, formats: Sequence[Any]) -> str:
    """Render the page about a resource as text/html, or a list of its links with `?view=links`.

    `formats` are pairs of an RDF format and the URL of that representation.
    """
    shared = {"formats": formats, "iri": summary.iri.value}
    if request.args.get("view") == "links":
        return render_links_page(summary, shared)
    classes = set(summary.types)
    render = next((page for iri, page in _RENDERERS.items() if iri in classes), render_entity_page)
    return render(summary, shared)
