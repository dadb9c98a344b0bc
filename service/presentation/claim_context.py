"""Claims and issues with everything that a page shows of them: names, amounts and quotations."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kg.rdf.terms import NamedNode
from kg.sources.anchors import Anchor
from kg.sources.passages import Passage, extract_passage
from kg.sources.source_texts import CitedSource
from kg.views.claims import Claim, load_claims
from kg.views.issues import Issue
from kg.views.observations import Observation
from service.graph_state import current_graph_state
from service.http.i18n import page_language
from service.presentation import number_format
from service.presentation.display_values import DisplayValue
from service.presentation.names import DisplayNames, load_names


@dataclass(frozen=True)
class ClaimContext:
    """Claims by IRI and issues, in one language; `sources` are the sources that the claims cite, by IRI."""

    language: str
    names: DisplayNames
    claims: Mapping[str, Claim]
    issues: Sequence[Issue]
    sources: Mapping[str, CitedSource]

    def short_amount(self, figure: Observation) -> str:
        """Return the amount of a figure in few digits."""
        return number_format.short_amount(figure, self.language)

    def exact_amount(self, figure: Observation) -> str | None:
        """Return the amount in full, None where `short_amount` says the same."""
        text = number_format.exact_amount(figure, self.language)
        return text if text != self.short_amount(figure) else None

    def passage(self, anchor: Anchor) -> Passage | None:
        """Return the sentence around a quotation; None if the source's text is missing or lacks the quotation."""
        source = self.sources.get(anchor.source.value)
        if source is None or source.text is None or not self.is_verified(anchor):
            return None
        return extract_passage(source.text, anchor.start, anchor.end)

    def is_verified(self, anchor: Anchor) -> bool | None:
        """Return whether the source has the quoted words at the anchor's place; None if its text is missing."""
        source = self.sources.get(anchor.source.value)
        return None if source is None else source.matches_quote(anchor.start, anchor.end, anchor.exact)

    def source_language(self, anchor: Anchor) -> str | None:
        """Return the language of the anchor's source."""
        source = self.sources.get(anchor.source.value)
        return None if source is None else source.language

    def issues_of(self, iri: str) -> list[Issue]:
        """Return the issues that have a resource as a target."""
        return [issue for issue in self.issues if NamedNode(iri) in issue.targets]

    def issue_text(self, issue: Issue) -> DisplayValue:
        """Return the text of an issue in the page's language, else in another one."""
        if self.language in issue.texts:
            return DisplayValue(issue.texts[self.language])
        language, text = next(iter(issue.texts.items()), ("", ""))
        return DisplayValue(text, language=language or None)


def load_claim_context(
    nodes: Iterable[NamedNode],
    issues: Sequence[Issue] = (),
    also: Iterable[str] = (),
    figures: Iterable[Observation] | None = None,
) -> ClaimContext:
    """Load claims with their sources, and the names of all IRIs that they and the issues mention.

    `also` are further IRIs to name. `figures` are the observations among the claims, if they are already loaded.
    """
    kg, language = current_graph_state(), page_language()
    claims = load_claims(kg.engine, nodes, figures)
    mentioned = {iri for claim in claims.values() for iri in claim.mentioned_iris}
    mentioned.update(also, *(issue.mentioned_iris for issue in issues))
    names = load_names(kg.engine, mentioned, language)
    cited = {anchor.source for claim in claims.values() for anchor in claim.anchors}
    return ClaimContext(language, names, claims, issues, kg.source_texts.load_cited_sources(kg.engine, cited))
