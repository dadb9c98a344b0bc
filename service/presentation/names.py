"""Names of entities, properties and classes in the language of a page."""

from collections.abc import Iterable, Mapping

from kg.engine.protocol import Engine
from kg.rdf.namespaces import ID, compact
from kg.rdf.terms import BlankNode, Literal, NamedNode, Term, Triple
from kg.sources.folding import fold
from kg.views.description import load_labels
from service.presentation import labels
from service.presentation.display_values import DisplayValue, literal_value, shorten


class DisplayNames:
    """Names by IRI: the label in the page's language, else in another language, else a name made from the IRI."""

    def __init__(self, texts: Mapping[str, Mapping[str, str]], language: str) -> None:
        self._texts = texts
        self.page_language = language

    def __call__(self, iri: str) -> str:
        """Return the name of an IRI."""
        texts = self._texts.get(iri, {})
        label = texts.get(self.page_language) or next(iter(texts.values()), None)
        return shorten(label or str(labels.CLASS_LABELS.get(iri, "")) or fallback_name(iri))

    def language(self, iri: str) -> str | None:
        """Return the language of a name where it differs from the page's language."""
        texts = self._texts.get(iri, {})
        return None if not texts or self.page_language in texts else next(iter(texts)) or None

    def value(self, iri: str, *, capital: bool = False) -> DisplayValue:
        """Return the name of an IRI as a value that links to it."""
        return DisplayValue(self.capitalized(iri) if capital else self(iri), iri, self.language(iri))

    def term_value(self, term: Term | Triple) -> DisplayValue:
        """Return any RDF term as a value; the text of a blank node is empty."""
        match term:
            case NamedNode():
                return self.value(term.value)
            case Literal():
                return literal_value(term, self.page_language)
        return DisplayValue("" if isinstance(term, BlankNode) else shorten(str(term)))

    def other_name(self, iri: str, language: str) -> str | None:
        """Return the name in another language, where it differs."""
        text = shorten(self._texts.get(iri, {}).get(language, ""))
        return text if text and text != self(iri) else None

    def capitalized(self, iri: str) -> str:
        """Return the name with a capital first letter; an IRI stays unchanged."""
        return _capitalize(self(iri), iri)

    def has_name(self, iri: str) -> bool:
        """Return whether the IRI has a label."""
        return iri in self._texts

    def as_dict(self) -> dict[str, str]:
        """Return all names that come from labels, by IRI."""
        return {iri: self(iri) for iri in self._texts}

    def property_name(self, iri: str, direction: str = "out") -> str:
        """Return a property's name as its subject's page shows it, or its object's page for direction "in"."""
        known = labels.INVERSE_LABELS if direction == "in" else labels.PROPERTY_LABELS
        own = f"← {self(iri)}" if direction == "in" else self(iri)
        return _capitalize(str(known.get(iri, "")) or own, iri)


def load_names(engine: Engine, iris: Iterable[str], language: str) -> DisplayNames:
    """Load the labels of some IRIs."""
    nodes = {NamedNode(iri) for iri in iris}
    return DisplayNames(load_labels(engine, nodes)[0] if nodes else {}, language)


def _capitalize(text: str, iri: str) -> str:
    return text if text == fallback_name(iri) else text[:1].upper() + text[1:]


def alphabetical_key(text: str) -> tuple[str, str]:
    """Return a sort key that compares letters first and diacritics second."""
    return fold(text), text


def fallback_name(iri: str) -> str:
    """Return a name for an IRI without a label: the path of an entity, else the IRI with its prefix."""
    return iri.removeprefix(ID) if iri.startswith(ID) else compact(iri).strip("<>")
