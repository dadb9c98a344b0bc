import fcntl
import hashlib
import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from kg import resources
from kg.changes import data_folder, snapshots
from kg.changes.commit_rows import CommitDraft
from kg.changes.data_folder import BuiltGraph
from kg.changes.journal import JOURNAL_FILE as JOURNAL
from kg.changes.journal import Journal, replay
from kg.changes.rules import materialised_engine, target_graph
from kg.engine.embedded import EmbeddedEngine
from kg.engine.statistics import statistics_from_json
from kg.engine.statistics_queries import compute_statistics
from kg.errors import ConfigurationError, IntegrityError, RdfSyntaxError
from kg.rdf.delta import Delta
from kg.rdf.formats import NQUADS, TRIG, TURTLE
from kg.rdf.io import canonical_nquads, parse, parse_stream, serialize
from kg.rdf.namespaces import SPARQL_PREFIXES
from kg.rdf.rdflib_terms import canonical_turtle
from kg.rdf.terms import BlankNode, Literal, NamedNode, Quad
from kg.validation.report import VIOLATION, WARNING, ValidationReport


def ask(built: BuiltGraph, pattern: str) -> list[str]:
    rows = built.engine.select(f"{SPARQL_PREFIXES} SELECT ?x WHERE {{ {pattern} }} ORDER BY ?x")
    return [row["x"].value for row in rows]


def test_the_article_has_no_violation(built: BuiltGraph) -> None:
    assert built.report.with_severity(VIOLATION) == ()


def test_every_warning_is_explained_by_an_issue(built: BuiltGraph) -> None:
    warnings = built.report.with_severity(WARNING)
    assert warnings
    for item in warnings:
        explained = built.engine.select(
            SPARQL_PREFIXES + "SELECT ?node ?issue { ?issue a hpez:Issue ; oa:hasTarget ?node }", {"node": item.focus}
        )
        assert explained, f"{item.focus}: {item.message('en')}"


def test_counts_of_the_model(built: BuiltGraph) -> None:
    counts = Counter(value[0] for value in set(ask(built, "?c a ?class ; dcterms:identifier ?x")))
    assert (counts["F"], counts["R"], counts["T"], counts["I"]) == (19, 41, 3, 20)


def test_every_rule_has_its_activity_and_writes_to_a_known_graph(built: BuiltGraph) -> None:
    activities = set(ask(built, "?activity a prov:Activity ; dcterms:identifier ?x"))
    for rule in resources.rule_files():
        assert target_graph(rule) in {"asserted", "derived", "issues"}
        assert rule.stem in activities or rule.stem.startswith("asserted")


@pytest.mark.parametrize(
    "file", [*resources.ontology_files(), *resources.shape_files(), *resources.data_files()], ids=lambda f: f.name
)
def test_packaged_turtle_is_canonical(file: resources.TextFile) -> None:
    assert canonical_turtle(file.text, file.name) == file.text


def test_two_builds_are_byte_identical(built: BuiltGraph, tmp_path: Path) -> None:
    first = data_folder.save(built, tmp_path / "a").read_bytes()
    second = data_folder.save(data_folder.build_graph(), tmp_path / "b").read_bytes()
    assert hashlib.sha256(first).digest() == hashlib.sha256(second).digest()
    assert (tmp_path / "a" / data_folder.MANIFEST_FILE).read_bytes() == (
        tmp_path / "b" / data_folder.MANIFEST_FILE
    ).read_bytes()


def test_a_saved_build_is_read_back(built: BuiltGraph, tmp_path: Path) -> None:
    data_folder.save(built, tmp_path)
    loaded = data_folder.load(tmp_path)
    assert loaded is not None
    assert canonical_nquads(loaded.quads()) == canonical_nquads(built.engine.quads())


def test_blank_nodes_keep_their_names(built: BuiltGraph, tmp_path: Path) -> None:
    dataset = data_folder.save(built, tmp_path)
    first, second = data_folder.load(tmp_path), data_folder.load(tmp_path)
    assert first is not None
    assert second is not None
    assert list(first.quads()) == list(second.quads())
    assert sorted(serialize(first.quads(), NQUADS).splitlines()) == sorted(dataset.read_bytes().splitlines())


def test_loading_leaves_no_thread_behind(built: BuiltGraph, tmp_path: Path) -> None:
    data_folder.save(built, tmp_path)
    before = len(list(Path("/proc/self/task").iterdir()))
    assert data_folder.load(tmp_path) is not None
    assert len(list(Path("/proc/self/task").iterdir())) == before, (
        "the dispatcher forks after loading, so there may be no threads"
    )


def test_a_loaded_graph_has_its_statistics(built: BuiltGraph, tmp_path: Path) -> None:
    data_folder.save(built, tmp_path)
    loaded = data_folder.load(tmp_path)
    assert loaded is not None
    assert loaded.statistics() == compute_statistics(EmbeddedEngine(loaded.quads()))


@pytest.mark.parametrize("kept", [None, [], {"properties": 1}, {"properties": {}}])
def test_a_graph_without_statistics_is_loaded(built: BuiltGraph, tmp_path: Path, kept: object) -> None:
    data_folder.save(built, tmp_path)
    manifest = json.loads((tmp_path / data_folder.MANIFEST_FILE).read_text())
    (tmp_path / data_folder.MANIFEST_FILE).write_text(json.dumps({**manifest, "counts": kept}))
    loaded = data_folder.load(tmp_path)
    assert loaded is not None
    assert loaded.statistics() is None
    assert loaded.graph_sizes() == built.sizes


def test_a_dataset_saved_with_a_syntax_error_is_reported(built: BuiltGraph, tmp_path: Path) -> None:
    dataset = data_folder.save(built, tmp_path)
    broken = dataset.read_bytes() + b"<urn:a> <urn:b> .\n"
    dataset.write_bytes(broken)
    manifest = json.loads((tmp_path / data_folder.MANIFEST_FILE).read_text())
    manifest["sha256"] = hashlib.sha256(broken).hexdigest()
    (tmp_path / data_folder.MANIFEST_FILE).write_text(json.dumps(manifest))
    with pytest.raises(RdfSyntaxError) as caught:
        data_folder.load(tmp_path)
    assert caught.value.line == broken.count(b"\n")


@pytest.mark.parametrize("damage", ["truncate", "manifest", "stale"])
def test_a_damaged_or_stale_build_is_rebuilt(built: BuiltGraph, tmp_path: Path, damage: str) -> None:
    dataset, manifest = data_folder.save(built, tmp_path), tmp_path / data_folder.MANIFEST_FILE
    match damage:
        case "truncate":
            dataset.write_bytes(dataset.read_bytes()[:-100])
        case "manifest":
            manifest.write_text("{")
        case _:
            manifest.write_text(manifest.read_text().replace(resources.fingerprint(), "0" * 64))
    assert data_folder.load(tmp_path) is None
    assert data_folder.open_or_build(tmp_path).graph_sizes() == built.sizes
    assert data_folder.load(tmp_path) is not None


def test_an_error_names_the_folder_that_cannot_be_written(built: BuiltGraph, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(ConfigurationError, match="file"):
        data_folder.save(built, blocked / "data")


SECOND_SOURCE = """
PREFIX c: <https://w3id.org/hpez/id/claim/second/> PREFIX g: <https://w3id.org/hpez/id/zone-group/>
PREFIX ind: <https://w3id.org/hpez/id/indicator/> PREFIX per: <https://w3id.org/hpez/id/period/>
PREFIX st: <https://w3id.org/hpez/id/status/> PREFIX place: <https://w3id.org/hpez/id/place/>
<https://w3id.org/hpez/graph/source/second> {
  c:area a hpez:Observation ; schema:observationAbout g:new-industrial-parks ; schema:variableMeasured ind:area ;
    schema:value 6200.0 ; qudt:hasUnit unit:HA ; dcterms:temporal per:2025 ; hpez:status st:plan ; hpez:evidence c:e .
  c:plan a hpez:Observation ; schema:observationAbout g:hai-phong-ips-and-ezs ;
    schema:variableMeasured ind:fdi-attracted ;
    schema:minValue 1800000000.0 ; schema:maxValue 2300000000.0 ; qudt:hasUnit unit:CCY_USD ;
    dcterms:temporal per:2024 ; hpez:status st:plan ; hpez:evidence c:e .
  c:city a hpez:Observation ; schema:observationAbout place:hai-phong ; schema:variableMeasured ind:fdi-attracted ;
    schema:value 3350000000.0 ; qudt:hasUnit unit:CCY_USD ; dcterms:temporal per:2024 ; hpez:status st:actual ;
    hpez:evidence c:e .
}"""


def test_a_second_source_is_validated_and_expanded_too() -> None:
    engine = materialised_engine((*resources.curated_quads(), *parse((SPARQL_PREFIXES + SECOND_SOURCE).encode(), TRIG)))
    rows = engine.select(SPARQL_PREFIXES + "SELECT DISTINCT ?a ?b { ?a hpez:conflictsWith ?b } ORDER BY ?a ?b")
    pairs = [(row["a"].value.rpartition("claim/")[2], row["b"].value.rpartition("claim/")[2]) for row in rows]
    assert ("second/area", "dnhn-94474/new-parks-area") in pairs
    assert ("dnhn-94474/new-parks-area", "second/area") in pairs
    assert not {"second/plan", "second/city"} & {claim for pair in pairs for claim in pair}
    issues = engine.select(
        SPARQL_PREFIXES + "SELECT ?claim ?issue { ?issue a hpez:Issue ; oa:hasTarget ?claim ; dcterms:type ?type }",
        {"claim": parse(b"<c:c> <c:p> <https://w3id.org/hpez/id/claim/second/area> .", TURTLE)[0].object},
    )
    assert len(issues) == 1


def test_derived_numbers(built: BuiltGraph) -> None:
    rows = built.engine.select(
        SPARQL_PREFIXES
        + """SELECT ?rule ?value { GRAPH <https://w3id.org/hpez/graph/derived> {
             ?claim schema:value ?value ; prov:wasGeneratedBy ?rule } } ORDER BY ?rule ?value"""
    )
    values = {row["rule"].value.rpartition("/")[2]: float(row["value"].value) for row in rows}
    assert values["derive-trade-balance"] == pytest.approx(5.7e9)
    assert values["derive-exports-to-revenue"] == pytest.approx(28.5 / 33.5 * 100)
    assert values["derive-forecast-to-plan"] == pytest.approx(136)
    assert values["derive-mean-park-area"] == pytest.approx(6418 / 15)
    implied = sorted(float(row["value"].value) for row in rows if "implied" in row["rule"].value)
    assert implied == [pytest.approx(4.35e9 / 2.42), pytest.approx(2608660000 / 1.154)]


def test_money_is_decimal(built: BuiltGraph) -> None:
    rows = built.engine.select(SPARQL_PREFIXES + "SELECT ?v { ?c a hpez:Observation ; schema:value ?v }")
    for row in rows:
        assert isinstance(row["v"], Literal)
        assert row["v"].datatype.value.endswith("#decimal")


WRITTEN = NamedNode("urn:written")


def commit(folder: Path, engine: EmbeddedEngine, added: Iterable[Quad], removed: Iterable[Quad] = ()) -> None:
    """Commit a delta to a folder and apply it to an engine."""
    delta = Delta(frozenset(added), frozenset(removed))
    journal = Journal(folder)
    journal.append(CommitDraft("a", "", "", delta, ValidationReport(())), engine.generation)
    replay(engine, journal)


def fact(number: int) -> Quad:
    return Quad(BlankNode(f"p{number}"), NamedNode("urn:p"), Literal(str(number), language="vi"), WRITTEN)


def state(engine: EmbeddedEngine | None) -> tuple[int, frozenset[Quad], frozenset[NamedNode]]:
    assert engine is not None
    return engine.generation, frozenset(engine.quads()), engine.named_graphs()


@pytest.fixture(scope="session")
def changed_folder(built: BuiltGraph, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with three commits, the last of which empties a graph, and snapshots of the first two."""
    folder = tmp_path_factory.mktemp("changed")
    data_folder.save(built, folder)
    engine = data_folder.open_or_build(folder)
    for number in (1, 2):
        commit(folder, engine, [fact(number)])
        assert snapshots.write_snapshot(engine, Journal(folder), folder)
    commit(folder, engine, (), [fact(1), fact(2)])
    return folder


@pytest.fixture
def changed(changed_folder: Path, tmp_path: Path) -> EmbeddedEngine:
    """An engine with the base and all commits of the data folder, copies of which the tests damage."""
    shutil.copytree(changed_folder, tmp_path, dirs_exist_ok=True)
    with (tmp_path / data_folder.DATASET_FILE).open("rb") as dataset:
        base = json.loads((tmp_path / data_folder.MANIFEST_FILE).read_text())
        engine = EmbeddedEngine(
            parse_stream(dataset, NQUADS), base["sha256"][:16], statistics_from_json(base["counts"])
        )
    replay(engine, Journal(tmp_path))
    return engine


def test_an_opened_folder_has_the_state_of_its_journal(changed: EmbeddedEngine, tmp_path: Path) -> None:
    opened = data_folder.load(tmp_path)
    assert state(opened) == state(changed)
    assert opened is not None
    assert (opened.version, opened.statistics()) == (changed.version, changed.statistics())


def test_a_snapshot_keeps_empty_graphs_and_counts(changed: EmbeddedEngine, tmp_path: Path) -> None:
    assert WRITTEN in changed.named_graphs()
    assert snapshots.write_snapshot(changed, Journal(tmp_path), tmp_path)
    (tmp_path / data_folder.DATASET_FILE).unlink()
    opened = data_folder.load(tmp_path)
    assert state(opened) == state(changed)
    assert opened is not None
    assert opened.statistics() == changed.statistics() == compute_statistics(EmbeddedEngine(changed.quads()))


def test_the_newest_two_snapshots_are_kept(changed: EmbeddedEngine, tmp_path: Path) -> None:
    (tmp_path / ".snapshot-9.nq.1").write_text("left behind")
    (tmp_path / "snapshot-1.json").unlink()
    assert snapshots.write_snapshot(changed, Journal(tmp_path), tmp_path)
    names = {path.name for path in tmp_path.glob("*snapshot-*")}
    assert names == {"snapshot-2.nq", "snapshot-2.json", "snapshot-3.nq", "snapshot-3.json"}


def test_no_snapshot_before_the_first_commit(built: BuiltGraph, tmp_path: Path) -> None:
    data_folder.save(built, tmp_path)
    engine = data_folder.open_or_build(tmp_path)
    assert not snapshots.write_snapshot(engine, Journal(tmp_path), tmp_path)
    assert not snapshots.is_snapshot_due(engine, tmp_path)


def test_a_snapshot_is_due_after_a_number_of_commits(
    changed: EmbeddedEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not snapshots.is_snapshot_due(changed, tmp_path)
    monkeypatch.setattr(snapshots, "SNAPSHOT_INTERVAL", 1)
    assert snapshots.is_snapshot_due(changed, tmp_path)
    assert snapshots.write_snapshot(changed, Journal(tmp_path), tmp_path)
    assert not snapshots.is_snapshot_due(changed, tmp_path)


def test_one_snapshot_is_written_at_a_time(changed: EmbeddedEngine, tmp_path: Path) -> None:
    with (tmp_path / ".snapshot.lock").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert not snapshots.write_snapshot(changed, Journal(tmp_path), tmp_path)
    assert snapshots.write_snapshot(changed, Journal(tmp_path), tmp_path)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-50])


def _forge(path: Path) -> None:
    """Give a snapshot the hash of a commit that does not exist."""
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "hash": "0" * 64}))


def _replace_by_invalid(path: Path) -> None:
    """Replace a snapshot by a file that is not N-Quads, with a matching digest."""
    path.write_text("no N-Quads")
    manifest = json.loads(path.with_suffix(".json").read_text())
    manifest["sha256"] = hashlib.sha256(b"no N-Quads").hexdigest()
    path.with_suffix(".json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("snapshot-{}.nq", _truncate),
        ("snapshot-{}.nq", Path.unlink),
        ("snapshot-{}.nq", _replace_by_invalid),
        ("snapshot-{}.json", _truncate),
        ("snapshot-{}.json", _forge),
        ("snapshot-{}.json", lambda path: path.write_text("[]")),
        ("snapshot-{}.json", lambda path: path.write_text('{"sha256": 1}')),
    ],
)
@pytest.mark.parametrize("numbers", [(2,), (1, 2)])
def test_damaged_snapshots_are_skipped(
    changed: EmbeddedEngine, tmp_path: Path, name: str, damage: Callable[[Path], object], numbers: tuple[int, ...]
) -> None:
    for number in numbers:
        damage(tmp_path / name.format(number))
    assert state(data_folder.load(tmp_path)) == state(changed)


@pytest.mark.parametrize("damage", [_truncate, Path.unlink])
@pytest.mark.parametrize("name", [data_folder.DATASET_FILE, data_folder.MANIFEST_FILE])
def test_a_damaged_base_loses_no_commit(
    changed: EmbeddedEngine, tmp_path: Path, name: str, damage: Callable[[Path], object]
) -> None:
    damage(tmp_path / name)
    assert state(data_folder.open_or_build(tmp_path)) == state(changed)
    for path in tmp_path.glob("snapshot-*"):
        path.unlink()
    assert state(data_folder.open_or_build(tmp_path)) == state(changed), "the base is rebuilt with the same content"
    assert Journal(tmp_path).verify() == 3


@pytest.mark.parametrize("name", [data_folder.DATASET_FILE, data_folder.MANIFEST_FILE])
def test_a_base_that_cannot_be_rebuilt_must_be_restored_from_a_backup(
    built: BuiltGraph, changed: EmbeddedEngine, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert changed.generation == 3
    for path in (*tmp_path.glob("snapshot-*"), tmp_path / name):
        path.unlink()
    other = EmbeddedEngine([*built.engine.quads(), fact(7)])
    monkeypatch.setattr(data_folder, "build_graph", lambda: BuiltGraph(other, built.report, built.counts))
    monkeypatch.setattr(resources, "fingerprint", lambda: "another")
    before = {path: path.read_bytes() for path in tmp_path.glob("*.nq")}
    with pytest.raises(ConfigurationError, match="from a backup"):
        data_folder.open_or_build(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.glob("*.nq")} == before
    assert Journal(tmp_path).last_number == 3


def test_a_journal_is_not_replayed_over_another_dataset(built: BuiltGraph, tmp_path: Path) -> None:
    data_folder.save(built, tmp_path)
    commit(tmp_path, data_folder.open_or_build(tmp_path), [fact(1)])
    other = EmbeddedEngine([*built.engine.quads(), fact(7)])
    data_folder.save(BuiltGraph(other, built.report, built.counts), tmp_path / "other")
    for name in (data_folder.DATASET_FILE, data_folder.MANIFEST_FILE):
        (tmp_path / "other" / name).replace(tmp_path / name)
    assert data_folder.load(tmp_path) is None
    with pytest.raises(IntegrityError, match="another dataset"):
        Journal(tmp_path).verify()


def test_a_damaged_commit_is_not_replayed(changed: EmbeddedEngine, tmp_path: Path) -> None:
    assert changed.generation == 3
    with sqlite3.connect(tmp_path / JOURNAL) as connection:
        connection.execute("UPDATE commits SET agent = 'mallory' WHERE number = 3")
    with pytest.raises(IntegrityError, match="Commit 3"):
        data_folder.open_or_build(tmp_path)


ENTITIES = NamedNode("https://w3id.org/hpez/graph/entities")
LG = "<https://w3id.org/hpez/id/org/lg>"


def quads(text: str) -> frozenset[Quad]:
    return frozenset(parse((SPARQL_PREFIXES + text).encode(), TRIG))


NEW_LABEL = quads(f'{ENTITIES} {{ {LG} rdfs:label "LG-Konzern"@de }}')
OWN_LABEL = quads(f'<urn:own> {{ {LG} rdfs:label "LG của tôi"@la }}')


class Releases:
    """Replaces the packaged files, and writes local commits that an upgrade meets."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        self._curated = resources.curated_quads()
        self._number = 0

    def package(self, added: Iterable[Quad] = (), removed: Iterable[Quad] = ()) -> None:
        gone = set(removed)
        self._number += 1
        found = [quad for quad in (*self._curated, *added) if quad not in gone]
        fingerprint = f"release {self._number}"
        self._monkeypatch.setattr(data_folder, "assemble_graph", lambda: materialised_engine(found))
        self._monkeypatch.setattr(resources, "fingerprint", lambda: fingerprint)


@pytest.fixture(scope="session")
def labelled_folder(built: BuiltGraph, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labelled")
    data_folder.save(built, folder)
    commit(folder, data_folder.open_or_build(folder), OWN_LABEL)
    return folder


@pytest.fixture
def releases(labelled_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Releases:
    """A data folder with one local commit."""
    shutil.copytree(labelled_folder, tmp_path, dirs_exist_ok=True)
    return Releases(tmp_path, monkeypatch)


def test_a_release_is_a_commit_that_keeps_local_facts(releases: Releases, caplog: pytest.LogCaptureFixture) -> None:
    old = state(data_folder.load(releases.folder))
    releases.package(NEW_LABEL)
    opened = data_folder.open_or_build(releases.folder)
    journal = Journal(releases.folder)
    assert state(opened)[1] == old[1] | NEW_LABEL
    assert journal.read_commit(2).delta == Delta(added=NEW_LABEL), (
        "only the differences, up to the labels of blank nodes"
    )
    assert journal.read_commit(2).summary.message == f"Release {resources.project_version()}"
    assert (journal.release_fingerprint, journal.verify(), opened.generation) == ("release 1", 2, 2)
    assert state(data_folder.open_or_build(releases.folder)) == state(opened), "the release is applied once"
    assert state(data_folder.load(releases.folder)) == state(opened)
    assert not caplog.records


def test_successive_releases_are_applied_in_order(releases: Releases) -> None:
    before = state(data_folder.load(releases.folder))[1]
    second = quads(f'{ENTITIES} {{ {LG} rdfs:label "LG Group"@fr }}')
    releases.package(NEW_LABEL)
    data_folder.open_or_build(releases.folder)
    releases.package(second)
    opened = data_folder.open_or_build(releases.folder)
    assert state(opened)[:2] == (3, before | second)
    releases.package()
    assert state(data_folder.open_or_build(releases.folder))[:2] == (4, before), "an older release can be applied too"


def test_a_release_does_not_restore_what_was_removed_locally(releases: Releases) -> None:
    engine = data_folder.open_or_build(releases.folder)
    taken = min(engine.quads(ENTITIES), key=str)
    commit(releases.folder, engine, (), [taken])
    releases.package(NEW_LABEL)
    opened = data_folder.open_or_build(releases.folder)
    assert not opened.holds(taken)
    assert all(map(opened.holds, NEW_LABEL))


def test_a_release_with_the_same_data_makes_no_commit(releases: Releases) -> None:
    before = state(data_folder.load(releases.folder))
    releases.package()
    assert state(data_folder.open_or_build(releases.folder)) == before
    assert Journal(releases.folder).release_fingerprint == "release 1"


UNTYPED = quads(
    "<https://w3id.org/hpez/graph/entities> { <https://w3id.org/hpez/id/org/new> hpez:investsIn "
    "<https://w3id.org/hpez/id/zone/xuan-cau> }"
)


def test_a_refused_release_changes_nothing_and_names_the_reason(
    releases: Releases, caplog: pytest.LogCaptureFixture
) -> None:
    before = state(data_folder.load(releases.folder))
    releases.package(UNTYPED)
    opened = data_folder.open_or_build(releases.folder)
    assert state(opened) == before
    assert "No relation claim says hpez:investsIn" in caplog.text
    assert "served as it was" in caplog.text
    commit(releases.folder, opened, [fact(1)])
    assert state(data_folder.load(releases.folder)) == state(opened), "writes still succeed"
    assert Journal(releases.folder).release_fingerprint is None, "the next start tries again"


def test_hpkg_build_reports_why_a_release_is_refused(built: BuiltGraph, releases: Releases) -> None:
    before = state(data_folder.load(releases.folder))
    releases.package(UNTYPED)
    result = BuiltGraph(data_folder.assemble_graph(), built.report, built.counts)
    with pytest.raises(ConfigurationError, match="No relation claim says"):
        data_folder.save(result, releases.folder)
    assert state(data_folder.load(releases.folder)) == before
    releases.package(NEW_LABEL)
    data_folder.save(BuiltGraph(data_folder.assemble_graph(), built.report, built.counts), releases.folder)
    assert state(data_folder.load(releases.folder))[1] == before[1] | NEW_LABEL


def test_a_release_is_validated_by_the_given_validator(releases: Releases) -> None:
    releases.package(UNTYPED)
    seen = list[Delta]()

    def judge(_: EmbeddedEngine, delta: Delta) -> ValidationReport:
        seen.append(delta)
        return ValidationReport(())

    opened = data_folder.open_or_build(releases.folder, judge)
    assert all(map(opened.holds, UNTYPED))
    assert [delta.added >= UNTYPED for delta in seen] == [True]


def test_a_release_that_conflicts_with_another_commit_is_validated_again(releases: Releases) -> None:
    releases.package(NEW_LABEL)
    calls = list[int]()

    def judge(engine: EmbeddedEngine, _: Delta) -> ValidationReport:
        calls.append(engine.generation)
        if len(calls) == 1:
            entry = CommitDraft("another", "", "", Delta(frozenset({fact(1)})), ValidationReport(()))
            Journal(releases.folder).append(entry, engine.generation)
        return ValidationReport(())

    opened = data_folder.open_or_build(releases.folder, judge)
    assert calls == [1, 2]
    assert opened.generation == Journal(releases.folder).verify() == 3
    assert opened.holds(fact(1))
    assert all(map(opened.holds, NEW_LABEL))
    assert state(data_folder.load(releases.folder)) == state(opened)


def test_a_release_applied_by_another_process_is_applied_once(releases: Releases) -> None:
    releases.package(NEW_LABEL)

    def judge(_: EmbeddedEngine, __: Delta) -> ValidationReport:
        data_folder.open_or_build(releases.folder)
        return ValidationReport(())

    opened = data_folder.open_or_build(releases.folder, judge)
    assert opened.generation == Journal(releases.folder).last_number == 2
    assert all(map(opened.holds, NEW_LABEL))


def test_a_new_release_in_a_folder_without_commits_is_a_new_base(
    built: BuiltGraph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_folder.save(built, tmp_path)
    Journal(tmp_path).record_event("a token was created")
    Releases(tmp_path, monkeypatch).package(NEW_LABEL)
    opened = data_folder.open_or_build(tmp_path)
    assert opened.generation == 0
    assert all(map(opened.holds, NEW_LABEL))
    assert Journal(tmp_path).events()
