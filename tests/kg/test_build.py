import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest

from kg import build, resources
from kg.build import Build
from kg.counts import count
from kg.engine.embedded import EmbeddedEngine
from kg.errors import ConfigurationError, RdfSyntaxError
from kg.formats import NQUADS, TRIG, TURTLE
from kg.gate import VIOLATION, WARNING
from kg.materialise import expanded, target_graph
from kg.rdf import Literal, canonical_nquads, canonical_turtle, parse, serialize
from kg.terms import SPARQL_PREFIXES


def ask(built: Build, pattern: str) -> list[str]:
    rows = built.engine.select(f"{SPARQL_PREFIXES} SELECT ?x WHERE {{ {pattern} }} ORDER BY ?x")
    return [row["x"].value for row in rows]


def test_the_article_has_no_violation(built: Build) -> None:
    assert built.report.of(VIOLATION) == ()


def test_every_warning_is_explained_by_an_issue(built: Build) -> None:
    warnings = built.report.of(WARNING)
    assert warnings
    for item in warnings:
        explained = built.engine.select(
            SPARQL_PREFIXES + "SELECT ?node ?issue { ?issue a hpez:Issue ; oa:hasTarget ?node }", {"node": item.focus}
        )
        assert explained, f"{item.focus}: {item.message('en')}"


def test_counts_of_the_model(built: Build) -> None:
    counts = Counter(value[0] for value in set(ask(built, "?c a ?class ; dcterms:identifier ?x")))
    assert (counts["F"], counts["R"], counts["T"], counts["I"]) == (19, 41, 3, 20)


def test_every_rule_has_its_activity_and_fills_a_known_graph(built: Build) -> None:
    activities = set(ask(built, "?activity a prov:Activity ; dcterms:identifier ?x"))
    for rule in resources.rules():
        assert target_graph(rule) in {"asserted", "derived", "issues"}
        assert rule.stem in activities or rule.stem.startswith("asserted")


@pytest.mark.parametrize("file", [*resources.ontology(), *resources.shapes(), *resources.data()], ids=lambda f: f.name)
def test_packaged_turtle_is_canonical(file: resources.TextFile) -> None:
    assert canonical_turtle(file.text, file.name) == file.text


def test_two_builds_are_byte_identical(built: Build, tmp_path: Path) -> None:
    first = build.save(built, tmp_path / "a").read_bytes()
    second = build.save(build.build(), tmp_path / "b").read_bytes()
    assert hashlib.sha256(first).digest() == hashlib.sha256(second).digest()
    assert (tmp_path / "a" / build.MANIFEST).read_bytes() == (tmp_path / "b" / build.MANIFEST).read_bytes()


def test_a_saved_build_is_read_back(built: Build, tmp_path: Path) -> None:
    build.save(built, tmp_path)
    loaded = build.load(tmp_path)
    assert loaded is not None
    assert canonical_nquads(loaded.quads()) == canonical_nquads(built.engine.quads())


def test_blank_nodes_keep_their_names(built: Build, tmp_path: Path) -> None:
    dataset = build.save(built, tmp_path)
    first, second = build.load(tmp_path), build.load(tmp_path)
    assert first is not None
    assert second is not None
    assert list(first.quads()) == list(second.quads())
    assert sorted(serialize(first.quads(), NQUADS).splitlines()) == sorted(dataset.read_bytes().splitlines())


def test_loading_leaves_no_thread_behind(built: Build, tmp_path: Path) -> None:
    build.save(built, tmp_path)
    before = len(list(Path("/proc/self/task").iterdir()))
    assert build.load(tmp_path) is not None
    assert len(list(Path("/proc/self/task").iterdir())) == before, "the keeper forks after it has loaded"


def test_a_loaded_graph_knows_its_counts(built: Build, tmp_path: Path) -> None:
    build.save(built, tmp_path)
    loaded = build.load(tmp_path)
    assert loaded is not None
    assert loaded.counts == count(EmbeddedEngine(loaded.quads()))


@pytest.mark.parametrize("kept", [None, [], {"properties": 1}, {"properties": {}}])
def test_a_graph_without_counts_is_loaded_all_the_same(built: Build, tmp_path: Path, kept: object) -> None:
    build.save(built, tmp_path)
    manifest = json.loads((tmp_path / build.MANIFEST).read_text())
    (tmp_path / build.MANIFEST).write_text(json.dumps({**manifest, "counts": kept}))
    loaded = build.load(tmp_path)
    assert loaded is not None
    assert loaded.counts is None
    assert loaded.graph_sizes() == built.sizes


def test_a_dataset_that_was_kept_broken_is_said_to_be(built: Build, tmp_path: Path) -> None:
    dataset = build.save(built, tmp_path)
    broken = dataset.read_bytes() + b"<urn:a> <urn:b> .\n"
    dataset.write_bytes(broken)
    manifest = json.loads((tmp_path / build.MANIFEST).read_text())
    manifest["sha256"] = hashlib.sha256(broken).hexdigest()
    (tmp_path / build.MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(RdfSyntaxError) as caught:
        build.load(tmp_path)
    assert caught.value.line == broken.count(b"\n")


@pytest.mark.parametrize("damage", ["truncate", "manifest", "stale"])
def test_a_damaged_or_stale_build_is_built_again(built: Build, tmp_path: Path, damage: str) -> None:
    dataset, manifest = build.save(built, tmp_path), tmp_path / build.MANIFEST
    match damage:
        case "truncate":
            dataset.write_bytes(dataset.read_bytes()[:-100])
        case "manifest":
            manifest.write_text("{")
        case _:
            manifest.write_text(manifest.read_text().replace(resources.fingerprint(), "0" * 64))
    assert build.load(tmp_path) is None
    assert build.open_or_build(tmp_path).graph_sizes() == built.sizes
    assert build.load(tmp_path) is not None


def test_a_folder_that_cannot_be_written_is_named(built: Build, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(ConfigurationError, match="file"):
        build.save(built, blocked / "data")


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


def test_a_second_source_gets_the_same_treatment() -> None:
    engine = expanded((*resources.curated_quads(), *parse((SPARQL_PREFIXES + SECOND_SOURCE).encode(), TRIG)))
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


def test_derived_numbers(built: Build) -> None:
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


def test_money_is_decimal(built: Build) -> None:
    rows = built.engine.select(SPARQL_PREFIXES + "SELECT ?v { ?c a hpez:Observation ; schema:value ?v }")
    for row in rows:
        assert isinstance(row["v"], Literal)
        assert row["v"].datatype.value.endswith("#decimal")
