"""Slugs, prefixed names and graph names."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kg.rdf.namespaces import compact, graph_iri, graph_name, slugify

VIETNAMESE = "aàảãáạăằẳẵắặâầẩẫấậbcdđeèẻẽéẹêềểễếệghiìỉĩíịklmnoòỏõóọôồổỗốộơờởỡớợpqrstuùủũúụưừửữứựvxyỳỷỹýỵ"


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("Đình Vũ – Cát Hải", "dinh-vu-cat-hai"),
        ("Lạch Huyện", "lach-huyen"),
        ("Hải Phòng", "hai-phong"),
        ("Ban Quản lý Khu kinh tế", "ban-quan-ly-khu-kinh-te"),
        ("DEEP C", "deep-c"),
        ("đ Đ", "d-d"),
        ("—", ""),
    ],
)
def test_slug(label: str, expected: str) -> None:
    assert slugify(label) == expected


@given(st.text())
def test_slug_is_ascii_with_single_hyphens(label: str) -> None:
    assert re.fullmatch(r"([a-z0-9]+(-[a-z0-9]+)*)?", slugify(label))


@given(st.text())
def test_slug_of_a_slug_is_itself(label: str) -> None:
    assert slugify(slugify(label)) == slugify(label)


@given(st.text(alphabet=VIETNAMESE + VIETNAMESE.upper() + " -–"))
def test_slug_is_the_same_for_composed_and_decomposed_text(label: str) -> None:
    assert slugify(unicodedata.normalize("NFC", label)) == slugify(unicodedata.normalize("NFD", label))


@given(st.text(alphabet=VIETNAMESE, min_size=1))
def test_slug_loses_no_vietnamese_letter(label: str) -> None:
    assert len(slugify(label)) == len(unicodedata.normalize("NFC", label))


def test_compact_uses_the_longest_prefix() -> None:
    assert compact("https://w3id.org/hpez/ontology#Zone") == "hpez:Zone"
    assert compact("https://w3id.org/hpez/id/org/heza") == "id:org/heza"
    assert compact("https://example.org/x") == "<https://example.org/x>"


def test_graph_names() -> None:
    assert graph_name(graph_iri("source/dnhn-94474")) == "source/dnhn-94474"
    assert graph_name("https://example.org/") is None
