"""The pages about claims, evidence, sources and issues."""

from dataclasses import replace
from typing import Any, Final

from flask import render_template

from kg.rdf.namespaces import DCTERMS, HPEZ, OA, PREFIXES, PROV, RDF, SCHEMA
from kg.rdf.terms import NamedNode
from kg.sources.anchors import load_anchor
from kg.views.issues import find_issues_about, load_issues
from kg.views.summary import ResourceSummary, claims_in_text_order
from service.graph_state import current_graph_state
from service.http.exchange import measure_engine_time
from service.http.parameters import adjacent_pages, page_number
from service.presentation.claim_context import load_claim_context
from service.presentation.page_values import PAGE_SIZE, mentioned_iris, page_header

CLAIMS_PER_PAGE: Final = 40
"""Claims on one page of a source."""

_RELATED_CLAIM_PROPERTIES: Final = (
    HPEZ + "conflictsWith", PROV + "wasDerivedFrom", HPEZ + "ratioOf", HPEZ + "ratioTo",
)  # fmt: skip
_CLAIM_PROPERTIES: Final = frozenset(
    {
        *_RELATED_CLAIM_PROPERTIES,
        *(HPEZ + name for name in ("evidence", "status", "valueQualifier", "emended")),
        *(SCHEMA + name for name in ("value", "minValue", "maxValue", "observationAbout", "variableMeasured")),
        *(RDF + name for name in ("subject", "predicate", "object")),
        PROV + "wasAttributedTo", DCTERMS + "temporal", PREFIXES["qudt"] + "hasUnit",
    }
)  # fmt: skip
"""Properties that the page of a claim shows outside its "Further facts"."""


def render_claim_page(summary: ResourceSummary, shared: dict[str, Any]) -> str:
    """Render the page of a claim with its evidence, the claims that contradict it and those computed from it."""
    related = [node for node in summary.values_of(*_RELATED_CLAIM_PROPERTIES) if isinstance(node, NamedNode)]
    computed = next((item.named_nodes for item in summary.incoming if item.predicate == PROV + "wasDerivedFrom"), ())
    with measure_engine_time():
        issues = find_issues_about(current_graph_state().engine, [summary.iri])
        claim_context = load_claim_context([summary.iri, *related, *computed], issues, mentioned_iris(summary))
    return render_template(
        "resource/claim.html",
        claim_context=claim_context,
        claim=claim_context.claims[summary.iri.value],
        computed=computed,
        mentions=[],
        **_without_facts(page_header(summary, claim_context.names), _CLAIM_PROPERTIES),
        **shared,
    )


def render_evidence_page(summary: ResourceSummary, shared: dict[str, Any]) -> str:
    """Render the page of a place in a source: its quotation and the claims that cite it."""
    kg = current_graph_state()
    citing = next((item for item in summary.incoming if item.predicate == HPEZ + "evidence"), None)
    with measure_engine_time():
        anchor = load_anchor(kg.engine, summary.iri)
        claim_context = load_claim_context(citing.named_nodes if citing else (), (), mentioned_iris(summary))
        if anchor is not None:
            sources = kg.source_texts.load_cited_sources(kg.engine, [anchor.source])
            claim_context = replace(claim_context, sources=sources)
    return render_template(
        "resource/evidence.html", claim_context=claim_context, anchor=anchor, citing=citing, **shared
    )


def render_source_page(summary: ResourceSummary, shared: dict[str, Any]) -> str:
    """Render one page (`?page=`) of the claims of a source, in the order of its text."""
    engine, number = current_graph_state().engine, page_number()
    start = (number - 1) * CLAIMS_PER_PAGE
    with measure_engine_time():
        claims, size = claims_in_text_order(engine, summary.iri, start, CLAIMS_PER_PAGE)
        issues = find_issues_about(engine, [summary.iri, *claims])
        claim_context = load_claim_context(claims, issues, mentioned_iris(summary))
    header = page_header(summary, claim_context.names)
    return render_template(
        "resource/source.html",
        claim_context=claim_context,
        claims=list(claim_context.claims.values()),
        size=size,
        first=start + 1,
        mentions=[],
        **adjacent_pages(number, size, CLAIMS_PER_PAGE),
        **{**header, "facts": (), "about": header["facts"]},
        **shared,
    )


def render_issue_page(summary: ResourceSummary, shared: dict[str, Any]) -> str:
    """Render the page of an issue with the first PAGE_SIZE of its targets."""
    with measure_engine_time():
        (issue,) = load_issues(current_graph_state().engine, [summary.iri])
        claim_context = load_claim_context(issue.targets[:PAGE_SIZE], [issue], mentioned_iris(summary))
    header = page_header(summary, claim_context.names)
    return render_template(
        "resource/issue.html",
        claim_context=claim_context,
        issue=issue,
        shown=PAGE_SIZE,
        mentions=[],
        **_without_facts(header, {OA + "hasTarget", OA + "motivatedBy"}),
        **shared,
    )


def _without_facts(header: dict[str, Any], predicates: frozenset[str] | set[str]) -> dict[str, Any]:
    """Return a page header without the "Further facts" of some properties."""
    return {**header, "facts": [fact for fact in header["facts"] if fact.predicate not in predicates]}
