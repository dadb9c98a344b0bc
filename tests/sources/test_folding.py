"""Folding makes Vietnamese comparable, with and without diacritics."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from kg.sources.folding import accented_words, fold, folded_words, split_highlights

VIETNAMESE = (
    "aăâbcdđeêghiklmnoôơpqrstuưvxyáàảãạắằẳẵặấầẩẫậéèẻẽẹếềểễệíìỉĩịóòỏõọốồổỗộớờởỡợúùủũụứừửữựýỳỷỹỵ 0123456789-–,.()"
)
NAMES = st.text(VIETNAMESE + VIETNAMESE.upper(), min_size=1, max_size=30)


@given(NAMES)
def test_spellings_of_a_vietnamese_text_fold_equally(text: str) -> None:
    bare = "".join(char for char in unicodedata.normalize("NFD", text) if not unicodedata.combining(char))
    variants = (unicodedata.normalize("NFD", text), text.upper(), bare, bare.replace("đ", "d").replace("Đ", "D"))
    assert {fold(variant) for variant in variants} == {fold(text)}
    assert fold(fold(text)) == fold(text)
    assert fold(text).isascii() or "–" in text


@given(st.text())
def test_unicode_normalization_forms_fold_equally(text: str) -> None:
    forms = {tuple(folded_words(unicodedata.normalize(form, text))) for form in ("NFC", "NFD", "NFKC", "NFKD")}
    assert len(forms) == 1


def test_a_tone_mark_may_be_on_either_vowel() -> None:
    assert accented_words("hoà luỹ") == accented_words("hòa lũy")
    assert accented_words("Hoà") != accented_words("hoa")
    assert accented_words("đin")[0].is_prefix_of(accented_words("Đình")[0])
    assert not accented_words("din")[0].is_prefix_of(accented_words("Đình")[0])


def test_matching_words_are_highlighted() -> None:
    text = "Khu kinh tế Đình Vũ – Cát Hải"
    assert [part for part, marked in split_highlights(text, ["dinh", "h"]) if marked] == ["Đình", "Hải"]
    assert "".join(part for part, _ in split_highlights(unicodedata.normalize("NFD", text), ["vu"])) == text
