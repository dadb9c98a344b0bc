"""Claims and issues with all that a page needs to tell of them: names, amounts, words of the sources."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from kg.engine.protocol import Engine
from kg.rdf.io import NamedNode
from kg.sources.evidence import CitedSource, Passage, SourceTexts, extract_passage
from kg.views.claims import Claim, load_claims
from kg.views.description import Anchor
from kg.views.issues import Issue
from kg.views.observations import Observation
from service.graph_state import current_graph_state
from service.http.i18n import page_language
from service.presentation import number_format
from service.presentation.names import DisplayNames, load_names


@dataclass(frozen=True)
class ClaimContext:
    """Claims by IRI and issues, in one language."""

    language: str
    names: DisplayNames
    claims: Mapping[str, Claim]
    issues: Sequence[Issue]
    sources: Mapping[str, CitedSource]

    def short_amount(self, figure: Observation) -> str:
        """The amount of a figure in few digits."""
        return number_format.short_amount(figure, self.language)

    def exact_amount(self, figure: Observation) -> str | None:
        """The amount in all its digits, where that is not what `short` says; a computed one to two decimals."""
        text = number_format.exact_amount(_round_bounds(figure) if figure.rule else figure, self.language)
        return text if text != self.short_amount(figure) else None

    def passage(self, anchor: Anchor) -> Passage | None:
        """The sentence of an anchor, where the text of its source is at hand and says what is quoted."""
        source = self.sources.get(anchor.source.value)
        if source is None or source.text is None or not self.is_verified(anchor):
            return None
        return extract_passage(source.text, anchor.start, anchor.end)

    def is_verified(self, anchor: Anchor) -> bool | None:
        """Whether the text of the source says just this there; None where the text is not at hand."""
        source = self.sources.get(anchor.source.value)
        return None if source is None else source.matches_quote(anchor.start, anchor.end, anchor.exact)

    def source_language(self, anchor: Anchor) -> str | None:
        """The language of a source."""
        source = self.sources.get(anchor.source.value)
        return None if source is None else source.language

    def issues_of(self, iri: str) -> list[Issue]:
        """The issues that are about something."""
        return [issue for issue in self.issues if NamedNode(iri) in issue.targets]

    def issue_text(self, issue: Issue) -> tuple[str, str | None]:
        """What an issue says, and the language of that where it is not the page's."""
        if self.language in issue.texts:
            return issue.texts[self.language], None
        language, text = next(iter(issue.texts.items()), ("", ""))
        return text, language or None


def _round_bounds(figure: Observation) -> Observation:
    low, high = (None if bound is None else round(bound, 2) for bound in (figure.low, figure.high))
    return replace(figure, low=low, high=high)


def load_claim_context(
    nodes: Iterable[NamedNode],
    issues: Sequence[Issue] = (),
    also: Iterable[str] = (),
    figures: Iterable[Observation] | None = None,
) -> ClaimContext:
    """Gather what is needed to tell of some claims and issues, and to name some things besides.

    `figures` are those among the claims, where they are known already.
    """
    kg = current_graph_state()
    claims = load_claims(kg.engine, nodes, figures)
    names = _context_names(kg.engine, claims, issues, also)
    return ClaimContext(
        page_language(), names, claims, issues, _cited_sources(kg.engine, kg.source_texts, claims.values())
    )


def _context_names(
    engine: Engine, claims: Mapping[str, Claim], issues: Iterable[Issue], also: Iterable[str]
) -> DisplayNames:
    iris = {iri for claim in claims.values() for iri in claim.mentioned_iris} | {
        iri for issue in issues for iri in issue.mentioned_iris
    }
    return load_names(engine, iris | set(also), page_language())


def _cited_sources(engine: Engine, texts: SourceTexts, claims: Iterable[Claim]) -> dict[str, CitedSource]:
    return texts.load_cited_sources(engine, {anchor.source for claim in claims for anchor in claim.anchors})
