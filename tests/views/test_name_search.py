"""Names are found with and without diacritics, and the index follows the journal."""

import multiprocessing
import os
import sqlite3
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kg.changes.commit_rows import CommitDraft
from kg.changes.data_folder import BuiltGraph
from kg.changes.journal import Journal
from kg.engine.embedded import EmbeddedEngine
from kg.errors import IndexingError, JournalError
from kg.rdf.delta import Delta
from kg.rdf.namespaces import ID, RDFS, SKOS
from kg.rdf.terms import Literal, NamedNode, Quad
from kg.sources.folding import folded_words
from kg.sources.name_index import find_index
from kg.sources.name_lookup import MAX_WORD_CANDIDATES
from kg.sources.search_query import MAX_QUERY_WORDS, MAX_SEARCH_LENGTH, SearchQuery, SearchResult
from kg.validation.report import ValidationReport
from kg.views import name_index_builder, name_search
from kg.views.name_search import NameSearch

LABEL, ALTERNATIVE = NamedNode(RDFS + "label"), NamedNode(SKOS + "altLabel")
HERE, THERE = NamedNode("urn:here"), NamedNode("urn:there")
VIETNAMESE = (
    "aăâbcdđeêghiklmnoôơpqrstuưvxyáàảãạắằẳẵặấầẩẫậéèẻẽẹếềểễệíìỉĩịóòỏõọốồổỗộớờởỡợúùủũụứừửữựýỳỷỹỵ 0123456789-–,.()"
)
NAMES = st.text(VIETNAMESE + VIETNAMESE.upper(), min_size=1, max_size=30)


def named(name: str, text: str, language: str = "vi", graph: NamedNode = HERE, by: NamedNode = LABEL) -> Quad:
    return Quad(NamedNode(ID + name), by, Literal(text, language=language), graph)


def engine_of(*quads: Quad) -> EmbeddedEngine:
    return EmbeddedEngine(quads, "0123456789abcdef")


def names_of(engine: EmbeddedEngine, folder: Path) -> NameSearch:
    name_index_builder.build_index(engine, folder)
    return NameSearch(folder)


def commit(engine: EmbeddedEngine, folder: Path, delta: Delta) -> None:
    journal = Journal(folder)
    done = journal.append(CommitDraft("x", "", "", delta, ValidationReport(())), engine.generation)
    engine.apply_commit(delta, done.number)


def iris(found: SearchResult) -> list[str]:
    return [match.iri.removeprefix(ID) for match in found.matches]


def everything(names: NameSearch, version: str, text: str) -> set[str]:
    return set(iris(names.find(SearchQuery(text, limit=10_000), version)))


@pytest.fixture(scope="module")
def article(built: BuiltGraph, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[NameSearch, str]]:
    names = names_of(built.engine, tmp_path_factory.mktemp("index"))
    yield names, built.engine.version
    names.close()


# --- finding


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("KKT dinh vu", "zone/dinh-vu-cat-hai"),
        ("HEZA", "org/heza"),
        ("heza", "org/heza"),
        ("Ban quan ly", "org/heza"),
        (unicodedata.normalize("NFD", "Đình Vũ"), "zone/dinh-vu-cat-hai"),
        ("ĐÌNH VŨ", "zone/dinh-vu-cat-hai"),
        ("hai cat vu", "zone/dinh-vu-cat-hai"),
        ("dinh v", "zone/dinh-vu-cat-hai"),
        ("bql", "org/heza"),
        ("hai phong", "place/hai-phong"),
        ("lê kiên", "person/le-trung-kien"),
        ("lach huyen", "port/lach-huyen"),
        ("xuân cầu", "zone/xuan-cau"),
        ("bao yagi", "event/typhoon-yagi"),
        ("%", "http://qudt.org/vocab/unit/PERCENT"),
    ],
)
def test_the_expected_thing_comes_first(article: tuple[NameSearch, str], text: str, first: str) -> None:
    names, version = article
    assert iris(names.find(SearchQuery(text), version))[0] == first


def test_diacritics_decide_between_names_with_equal_letters(tmp_path: Path) -> None:
    engine = engine_of(named("a/1", "Bàn"), named("a/2", "Bạn"), named("a/3", "Ban"))
    names = names_of(engine, tmp_path)
    for text, first in (("bàn", "a/1"), ("BẠN", "a/2"), ("ban", "a/3")):
        found = names.find(SearchQuery(text), engine.version)
        assert iris(found)[0] == first
        assert found.total == 3


def test_a_match_has_its_preferred_names(article: tuple[NameSearch, str]) -> None:
    names, version = article
    (match, *_) = names.find(SearchQuery("bql"), version).matches
    assert (match.text, match.kind) == ("BQL", "org")
    assert match.name("vi") == "Ban Quản lý Khu kinh tế Hải Phòng"
    assert match.name("en") == "Hai Phong Economic Zone Authority"
    assert match.name("fr") in {match.name("vi"), match.name("en")}


def test_matches_are_counted_by_kind_filtered_and_paged(article: tuple[NameSearch, str]) -> None:
    names, version = article
    found = names.find(SearchQuery("khu", limit=500), version)
    assert found.total == len(found.matches) == sum(found.kind_counts.values())
    assert not found.total_is_lower_bound
    zones = names.find(SearchQuery("khu", kind="zone"), version)
    assert zones.kind_counts == found.kind_counts
    assert zones.total == found.kind_counts["zone"] > 3
    pages = [names.find(SearchQuery("khu", offset=offset, limit=7), version).matches for offset in range(0, 500, 7)]
    assert tuple(match for page in pages for match in page) == found.matches
    assert names.find(SearchQuery("khu", kind="no\ud800"), version).total == 0


def test_the_total_is_a_lower_bound_if_not_all_names_are_read(tmp_path: Path) -> None:
    many = [named(f"zone/{number}", f"Khu {number}") for number in range(2 * MAX_WORD_CANDIDATES)]
    engine = engine_of(*many, named("claim/x", "Nói về khu"))
    names = names_of(engine, tmp_path)
    found = names.find(SearchQuery("khu"), engine.version)
    assert found.total_is_lower_bound
    assert found.kinds_are_lower_bounds
    assert MAX_WORD_CANDIDATES <= found.total < len(many)
    assert found.kind_counts["claim"] == 1, "a kind without a candidate is counted too"
    claims = names.find(SearchQuery("khu", kind="claim"), engine.version)
    assert (claims.total, claims.total_is_lower_bound, claims.kinds_are_lower_bounds) == (1, False, True)
    assert iris(names.find(SearchQuery("khu 799"), engine.version)) == ["zone/799"]


@pytest.mark.parametrize(
    "text",
    ["", " ", "...", 'NEAR("', "*", "AND", "a AND", '"', "khu*", "words:khu", "^k", "-", "(", "\0", "k\0hu", "\ud800",
     "\ue000", "x" * 10_000, "khu " * 2500, "' OR 1=1 --", "đ" * 10_000, "\u0301" * 10_000, "ﷺ" * 10_000],
)  # fmt: skip
def test_any_text_is_searched(article: tuple[NameSearch, str], text: str) -> None:
    names, version = article
    query = SearchQuery(text)
    assert names.find(query, version).total >= 0
    assert len(query.truncated_text) <= MAX_SEARCH_LENGTH
    assert len(query.folded_words) <= MAX_QUERY_WORDS, "the work for a long text is bounded"


@settings(max_examples=60, deadline=None)
@given(st.lists(NAMES, min_size=1, max_size=8), st.data())
def test_the_index_finds_what_a_scan_of_all_names_finds(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("index")
    engine = engine_of(*(named(f"k{number % 3}/{number}", text) for number, text in enumerate(texts)))
    names = names_of(engine, folder)
    for text in (*texts, data.draw(NAMES)):
        wanted = folded_words(text)
        assume(wanted)
        expected = {
            f"k{number % 3}/{number}"
            for number, name in enumerate(texts)
            if all(any(word.startswith(part) for word in folded_words(name)) for part in wanted[:MAX_QUERY_WORDS])
        }
        assert everything(names, engine.version, text) == expected
    names.close()


# --- following the graph


def test_a_name_is_found_from_its_commit_until_no_graph_holds_it(tmp_path: Path) -> None:
    here, there = named("zone/a", "Khu mới"), named("zone/a", "Khu mới", graph=THERE)
    engine = engine_of(here)
    names = names_of(engine, tmp_path)
    for delta, expected in (
        (Delta(added=frozenset({there, named("org/b", "Mới", by=ALTERNATIVE)})), {"zone/a", "org/b"}),
        (Delta(removed=frozenset({here})), {"zone/a", "org/b"}),
        (Delta(removed=frozenset({there})), {"org/b"}),
        (Delta(added=frozenset({named("new-kind/c", "Moi")})), {"org/b", "new-kind/c"}),
    ):
        commit(engine, tmp_path, delta)
        assert everything(names, engine.version, "mới") == expected
        assert everything(NameSearch(tmp_path), engine.version, "mới") == expected


CHANGES = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["Khu", "khu mới", "Cảng"]), st.sampled_from([HERE, THERE])),
    min_size=1,
    max_size=6,
)


@settings(max_examples=20, deadline=None)
@given(st.lists(CHANGES, min_size=1, max_size=4))
def test_applying_commits_equals_rebuilding(
    tmp_path_factory: pytest.TempPathFactory, steps: list[list[tuple[int, str, NamedNode]]]
) -> None:
    folder = tmp_path_factory.mktemp("index")
    engine = engine_of()
    names = names_of(engine, folder)
    for step in steps:
        quads = {named(f"zone/{number}", text, graph=graph) for number, text, graph in step}
        held = {quad for quad in quads if engine.holds(quad)}
        commit(engine, folder, Delta(added=frozenset(quads - held), removed=frozenset(held)))
    followed = {text: names.find(SearchQuery(text), engine.version) for text in ("k", "khu", "moi", "cang")}
    name_index_builder.build_index(engine, folder)
    assert {text: names.find(SearchQuery(text), engine.version) for text in followed} == followed
    names.close()


def _find(folder: Path, version: str) -> None:
    found = NameSearch(folder).find(SearchQuery("khu", limit=100), version)
    os._exit(0 if found.total == 20 else 1)


def test_many_processes_catch_up_together(tmp_path: Path) -> None:
    engine = engine_of()
    names = names_of(engine, tmp_path)
    assert names.find(SearchQuery("khu"), engine.version).total == 0
    for number in range(20):
        commit(engine, tmp_path, Delta(added=frozenset({named(f"zone/{number}", f"Khu {number}")})))
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_find, args=(tmp_path, engine.version)) for _ in range(6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 6
    assert names.find(SearchQuery("khu"), engine.version).total == 20


def test_a_missing_index_raises_indexing_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(name_search, "_INDEX_TIMEOUT", 0.05)
    engine = engine_of(named("zone/a", "Khu"))
    with pytest.raises(IndexingError):
        NameSearch(tmp_path).find(SearchQuery("khu"), engine.version)
    names = NameSearch(tmp_path, lambda: name_index_builder.ensure_index(engine, tmp_path))
    assert names.find(SearchQuery("khu"), engine.version).total == 1


def _damage(path: Path, how: str) -> None:
    match how:
        case "empty":
            path.write_bytes(b"")
        case "rubbish":
            path.write_bytes(b"not a database" * 1000)
        case "half":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        case "another format":
            with sqlite3.connect(path) as connection:
                connection.execute("PRAGMA application_id = 99")
            connection.close()
        case _:
            data = bytearray(path.read_bytes())
            data[4096:] = os.urandom(len(data) - 4096)
            path.write_bytes(data)


@pytest.mark.parametrize("how", ["empty", "rubbish", "half", "another format", "pages"])
def test_a_damaged_index_is_rebuilt(tmp_path: Path, how: str) -> None:
    engine = engine_of(*(named(f"zone/{number}", f"Khu {number}") for number in range(2000)))
    name_index_builder.build_index(engine, tmp_path)
    path = find_index(tmp_path, engine.digest)
    assert path is not None
    _damage(path, how)
    names = NameSearch(tmp_path, lambda: name_index_builder.ensure_index(engine, tmp_path))
    with pytest.raises(IndexingError):
        names.find(SearchQuery("khu 77"), engine.version)
    assert not path.exists()
    assert everything(names, engine.version, "khu 77") >= {"zone/77", "zone/770"}


def test_an_index_of_another_journal_or_dataset_is_not_used(tmp_path: Path) -> None:
    engine = engine_of(named("zone/a", "Khu"))
    commit(engine, tmp_path, Delta(added=frozenset({named("zone/b", "Khu")})))
    names = NameSearch(tmp_path, lambda: name_index_builder.ensure_index(engine, tmp_path))
    assert everything(names, engine.version, "khu") == {"zone/a", "zone/b"}
    for path in tmp_path.glob("journal.db*"):
        path.unlink()
    engine = engine_of(named("zone/a", "Khu"))
    commit(engine, tmp_path, Delta(added=frozenset({named("zone/c", "Khu")})))
    other = NameSearch(tmp_path, lambda: name_index_builder.ensure_index(engine, tmp_path))
    with pytest.raises(IndexingError):
        other.find(SearchQuery("khu"), engine.version)
    assert everything(other, engine.version, "khu") == {"zone/a", "zone/c"}
    built = EmbeddedEngine([named("zone/d", "Khu")], "fedcba9876543210")
    assert everything(
        NameSearch(tmp_path, lambda: name_index_builder.ensure_index(built, tmp_path)), built.version, "khu"
    ) == {"zone/d"}
    assert len(list(tmp_path.glob("search-*.db"))) == 1


def test_the_file_of_a_killed_build_is_ignored_and_removed(tmp_path: Path) -> None:
    engine = engine_of(named("zone/a", "Khu"))
    (tmp_path / f".search-{engine.digest}-1.db.5").write_bytes(b"half")
    assert name_index_builder.is_build_needed(engine, tmp_path)
    name_index_builder.ensure_index(engine, tmp_path)
    assert not name_index_builder.is_build_needed(engine, tmp_path)
    assert [path.suffix for path in tmp_path.glob("*search-*")] == [".db"]


def test_only_one_process_builds(tmp_path: Path) -> None:
    engine = engine_of()
    with name_index_builder.try_lock(tmp_path / name_index_builder._LOCK_FILE):
        assert not name_index_builder.is_build_needed(engine, tmp_path)
        assert name_index_builder.build_index(engine, tmp_path) is None


def test_an_unreadable_journal_does_not_delete_the_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_of(named("zone/a", "Khu"))
    names = names_of(engine, tmp_path)
    commit(engine, tmp_path, Delta(added=frozenset({named("zone/b", "Khu")})))

    def fails(*_: object) -> None:
        raise JournalError("locked")

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "commits_since", fails)
        with pytest.raises(IndexingError):
            names.find(SearchQuery("khu"), engine.version)
    assert everything(names, engine.version, "khu") == {"zone/a", "zone/b"}


def test_every_label_of_the_packaged_graph_is_indexed(built: BuiltGraph, article: tuple[NameSearch, str]) -> None:
    names, version = article
    labels = [quad for quad in built.engine.quads_with_predicate(LABEL) if isinstance(quad.subject, NamedNode)]
    sample = labels[:: len(labels) // 40]
    for quad in sample:
        assert isinstance(quad.object, Literal)
        found = names.find(SearchQuery(quad.object.value, limit=500), version)
        assert quad.subject.value in {match.iri for match in found.matches}, quad
