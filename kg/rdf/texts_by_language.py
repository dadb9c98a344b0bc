"""Texts by language, with a fallback to another language."""


class TextsByLanguage(dict[str, str]):
    """Texts by language tag; the key "" is for a text without a language."""

    def best(self, language: str) -> str | None:
        """Return the text in a language, else the first text in any language, else None."""
        return self.get(language) or next(iter(self.values()), None)
