"""The commands as a user types them; in this process, which is faster, with one check of the installed script."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kg.changes import data_folder
from kg.changes.credentials import CredentialStore
from kg.changes.data_folder import BuiltGraph
from kg.changes.journal import Journal
from kg.cli.app import main
from kg.errors import ConfigurationError, JournalError
from kg.rdf.formats import NQUADS, TURTLE
from kg.rdf.io import canonical_nquads, parse

SHAPES = Path(__file__).parents[1] / "shapes"


@pytest.fixture(scope="module")
def folder(built: BuiltGraph, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data")
    data_folder.save(built, path)
    return path


def hpkg(*arguments: object, text: str | None = None) -> Result:
    return CliRunner().invoke(main, [str(item) for item in arguments], input=text, catch_exceptions=False)


def test_build_reports_and_keeps(tmp_path: Path) -> None:
    done = hpkg("build", "--data", tmp_path)
    assert done.exit_code == 0
    assert "source/dnhn-94474" in done.stdout
    assert "conforms: 0 violations" in done.stdout
    assert json.loads((tmp_path / data_folder.MANIFEST_FILE).read_text())["counts"]["graphs"]


def test_build_speaks_vietnamese(tmp_path: Path) -> None:
    vietnamese, english = (hpkg("build", "--data", tmp_path, "--lang", lang).stdout for lang in ("vi", "en"))
    assert vietnamese != english


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("csv", "zone"), ("tsv", "?zone"), ("json", '{"head"'), ("xml", "<?xml"),
    ],
)  # fmt: skip
def test_query_formats(folder: Path, name: str, start: str) -> None:
    text = "SELECT ?zone { ?zone a <https://w3id.org/hpez/ontology#Zone> } ORDER BY ?zone"
    done = hpkg("query", text, "--format", name, "--data", folder)
    assert done.stdout.startswith(start)
    assert "dinh-vu-cat-hai" in done.stdout


@pytest.mark.parametrize("name", ["ttl", "nt", "jsonld", "rdf", "trig", "nq"])
def test_query_graph_formats(folder: Path, name: str) -> None:
    done = hpkg("query", "DESCRIBE <https://w3id.org/hpez/id/org/heza>", "--format", name, "--data", folder)
    assert done.exit_code == 0
    assert "heza" in done.stdout


def test_query_reads_a_file_and_standard_input(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "ask.rq"
    file.write_text("ASK { ?s ?p ?o }")
    assert '"boolean":true' in hpkg("query", file, "--data", folder, "--format", "json").stdout
    assert '"boolean":true' in hpkg("query", "-", "--data", folder, "--format", "json", text="ASK { ?s ?p ?o }").stdout


def test_query_explains_and_does_not_run(folder: Path) -> None:
    called = "SELECT * { ?a ?b ?c OPTIONAL { SERVICE <http://127.0.0.1:9/> { ?a ?b ?c } } }"
    done = hpkg("query", called, "--explain", "--data", folder)
    assert (done.exit_code, done.stdout) == (0, f"{called}\n# line 1: left alone: it has SERVICE\n")
    done = hpkg("query", "SELECT * { ?a a ?c FILTER NOT EXISTS { ?d a ?a } }", "--explain", "--data", folder)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("SELECT * { ?a a ?c FILTER NOT EXISTS {")


def test_the_environment_is_held_to_the_options(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("HPKG_PLAN", "maybe")
    done = hpkg("serve", "--data", folder)
    assert done.exit_code == 2
    assert "'--plan': 'maybe'" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["query", "no-such-file.rq"], "There is no query file no-such-file.rq"),
        (["query", "SELECT * { ?s ?p }"], "line 1, column 18"),
        (["query", "SELECT * { ?s ?p ?o }", "--format", "docx"], "'docx' is not a known format"),
        (["query", "SELECT * { ?s ?p }", "--explain"], "line 1, column 18"),
        (["query", "ASK {}", "--explain", "--endpoint", "http://127.0.0.1:9/"], "--explain plans for a data folder"),
        (["serve", "--plan", "maybe"], "'maybe' is not one of 'on', 'off'"),
        (["serve", "--columns", "maybe"], "'maybe' is not one of 'on', 'off'"),
        (["validate", "no-such-file.ttl"], "does not exist"),
        (["validate", __file__], "the suffix names no RDF format"),
        (["dump", "--graph", "no-such"], "There is no graph 'no-such'; known are: "),
        (["dump", "--format", "csv"], "'csv' is no known format"),
        (["evidence", "verify", "--text", __file__, "--source", "no-such"], "known are: dnhn-94474"),
        (["fmt", "no-such-file.ttl"], "does not exist"),
    ],
)
def test_mistakes_are_named_and_exit_with_2(folder: Path, arguments: list[str], said: str) -> None:
    extra = [] if arguments[0] == "fmt" else ["--data", folder]
    done = hpkg(*arguments, *extra)
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.split())


def test_validate_names_file_and_line(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "broken.ttl"
    file.write_text("@prefix e: <http://e.org/> .\ne:a e:p .\n")
    done = hpkg("validate", file, "--data", folder)
    assert done.exit_code == 2
    assert "line 2" in done.stderr
    assert "broken.ttl" in done.stderr


@pytest.mark.parametrize("options", [[], ["--alone"]])
def test_validate_judges(folder: Path, options: list[str]) -> None:
    refused = hpkg("validate", *sorted((SHAPES / "Bounds" / "invalid").iterdir())[:1], *options, "--data", folder)
    assert refused.exit_code == 1
    assert "hpsh:Bounds" in refused.stdout
    assert "does not conform" in refused.stdout


def test_validate_admits(folder: Path) -> None:
    done = hpkg("validate", min((SHAPES / "Bounds" / "valid").iterdir()), "--data", folder)
    assert done.exit_code == 0
    assert "0 violations" in done.stdout


def test_validate_with_other_shapes(tmp_path: Path) -> None:
    shapes, data = tmp_path / "shapes.ttl", tmp_path / "data.nt"
    shapes.write_text(
        "PREFIX sh: <http://www.w3.org/ns/shacl#>\n<http://e.org/S> a sh:NodeShape ; sh:targetNode <http://e.org/a> ;"
        " sh:property [ sh:path <http://e.org/q> ; sh:minCount 1 ] ."
    )
    data.write_text("<http://e.org/a> <http://e.org/p> <http://e.org/b> .\n")
    assert hpkg("validate", data, "--shapes", shapes).exit_code == 1
    shapes.write_text(shapes.read_text().replace("minCount", "minCoutn"))
    assert "sh:minCoutn" in hpkg("validate", data, "--shapes", shapes).stderr


def test_dump_is_canonical_and_complete(folder: Path, built: BuiltGraph, tmp_path: Path) -> None:
    assert hpkg("dump", "--data", folder).stdout_bytes == canonical_nquads(built.engine.quads())
    target = tmp_path / "all.nq.gz"
    hpkg("dump", "--data", folder, "--gzip", "--output", target)
    assert canonical_nquads(parse(gzip.decompress(target.read_bytes()), NQUADS)) == canonical_nquads(
        built.engine.quads()
    )


def test_dump_of_one_graph(folder: Path, built: BuiltGraph) -> None:
    done = hpkg("dump", "--data", folder, "--graph", "entities", "--format", "ttl")
    assert len(parse(done.stdout_bytes, TURTLE)) == built.sizes["https://w3id.org/hpez/graph/entities"]


PLACE = """
<https://w3id.org/hpez/id/place/{name}> a <https://schema.org/Place> ;
  <http://www.w3.org/2000/01/rdf-schema#label> "{name}"@vi, "{name}"@en ;
  <http://www.w3.org/2004/02/skos/core#prefLabel> "{name}"@vi, "{name}"@en ;
  <urn:near> [ <urn:km> {km} ] , [ <urn:km> 2 ] .
"""


@pytest.fixture
def own(built: BuiltGraph, tmp_path: Path) -> Path:
    """A data folder that a test may change."""
    data_folder.save(built, tmp_path / "own")
    return tmp_path / "own"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    file = tmp_path / "place.ttl"
    file.write_text(PLACE.format(name="Tam", km=1))
    return file


def state(folder: Path) -> bytes:
    return hpkg("dump", "--data", folder).stdout_bytes


def test_what_dump_wrote_is_no_change(own: Path, tmp_path: Path) -> None:
    everything, one = tmp_path / "all.nq.gz", tmp_path / "source.trig"
    hpkg("dump", "--data", own, "--gzip", "--output", everything)
    hpkg("dump", "--data", own, "--graph", "source/dnhn-94474", "--format", "trig", "--output", one)
    done = hpkg("load", everything, "--data", own)
    assert (done.exit_code, done.stdout) == (0, "nothing to change\n")
    assert "left out: asserted, derived, shapes" in done.stderr
    assert hpkg("load", one, "--data", own).output == "nothing to change\n"


def test_a_changed_folder_comes_back_from_its_dump(own: Path, built: BuiltGraph, place: Path, tmp_path: Path) -> None:
    assert hpkg("add", place, "--graph", "urn:mine", "--data", own).exit_code == 0
    dump, fresh = tmp_path / "all.nq.gz", tmp_path / "fresh"
    hpkg("dump", "--data", own, "--gzip", "--output", dump)
    data_folder.save(built, fresh)
    assert "+9 −0" in hpkg("load", dump, "--data", fresh, "-m", "From the other").stdout
    assert state(fresh) == state(own)


def test_load_replaces_where_add_merges(own: Path, place: Path) -> None:
    assert "+9 −0" in hpkg("load", place, "--graph", "mine", "--data", own).stdout
    place.write_text(PLACE.format(name="Tam", km=3))
    assert "+2 −2" in hpkg("load", place, "--graph", "mine", "--data", own).stdout
    place.write_text("")
    assert "+0 −9" in hpkg("load", place, "--graph", "https://w3id.org/hpez/graph/mine", "--data", own).stdout


def test_load_changes_all_of_the_graphs_or_none(own: Path, tmp_path: Path) -> None:
    before, file = state(own), tmp_path / "several.trig"
    good = f"GRAPH <urn:one> {{ {PLACE.format(name='Tam', km=1)} }}"
    file.write_text(f"{good} GRAPH <urn:two> {{ <urn:z> a <https://w3id.org/hpez/ontology#Zone> }}")
    refused = hpkg("load", file, "--data", own)
    assert refused.exit_code == 1
    assert "refused, nothing was changed" in refused.stderr
    assert state(own) == before
    file.write_text(f"{good} GRAPH <urn:two> {{ <urn:a> <urn:b> 1 }} <urn:a> <urn:b> 2 .")
    assert hpkg("load", file, "--data", own).stdout.startswith("1  ")
    assert hpkg("log", "--data", own).stdout.count("\n") == 1


def test_the_log_tells_of_tokens(tmp_path: Path) -> None:
    token = hpkg("token", "create", "Hải", "--graph", "urn:g", "--data", tmp_path).stdout.strip()
    hpkg("token", "revoke", "Hải", "--data", tmp_path)
    created, revoked = hpkg("log", "--audit", "--data", tmp_path).stdout.splitlines()
    assert created.endswith("token 'Hải' was created, scope write, only <urn:g>")
    assert revoked.endswith("token 'Hải' was revoked")
    assert token not in created


def test_no_token_is_created_without_an_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hpkg("token", "create", "first", "--data", tmp_path)
    assert hpkg("token", "create", "first", "--data", tmp_path).exit_code == 2
    assert hpkg("log", "--audit", "--data", tmp_path).stdout.count("\n") == 1

    def locked(*_: object) -> None:
        raise JournalError("The journal is locked.")

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "record_event", locked)
        assert hpkg("token", "create", "second", "--data", tmp_path).exit_code == 2
    assert [item.name for item in CredentialStore(tmp_path).list_credentials()] == ["first"]


def test_an_event_says_that_a_token_could_not_be_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise ConfigurationError("The disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(CredentialStore, "_write", full)
        assert hpkg("token", "create", "lost", "--data", tmp_path).exit_code == 2
    assert hpkg("log", "--audit", "--data", tmp_path).stdout.endswith(
        "token 'lost' could not be stored, it opens nothing\n"
    )


def test_add_and_validate_read_gzipped_files(own: Path, place: Path) -> None:
    packed = place.with_suffix(".ttl.gz")
    packed.write_bytes(gzip.compress(place.read_bytes()))
    assert hpkg("validate", packed, "--data", own).exit_code == 0
    assert "+9 −0" in hpkg("add", packed, "--data", own).stdout


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("place.ttl", b"", "cannot name a graph; use --graph"),
        ("broken.nq.gz", b"no gzip", "is not a complete gzip file"),
        ("short.nq.gz", gzip.compress(b"<urn:a> <urn:b> <urn:c> <urn:d> .")[:20], "is not a complete gzip file"),
        ("text.txt.gz", b"", "the suffix names no RDF format"),
        ("blank.nq", b"<urn:a> <urn:b> <urn:c> _:graph .", "A graph is named by an IRI"),
        ("broken.nq", b"<urn:a> <urn:b> .", "broken.nq: "),
    ],
)
def test_files_that_cannot_be_loaded(own: Path, name: str, content: bytes, said: str) -> None:
    file = own / name
    file.write_bytes(content)
    done = hpkg("load", file, "--data", own)
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.split())


def test_a_service_that_is_not_there(place: Path) -> None:
    for arguments in (["dump"], ["validate", place], ["load", place, "--graph", "urn:g"]):
        done = hpkg(*arguments, "--endpoint", "http://127.0.0.1:9")
        assert done.exit_code == 2
        assert "does not answer" in " ".join(done.stderr.split())
    assert hpkg("validate", place, "--shapes", place, "--endpoint", "http://127.0.0.1:9").exit_code == 2


def test_fmt(tmp_path: Path) -> None:
    file = tmp_path / "messy.ttl"
    file.write_text("@prefix e: <http://e.org/> . e:b e:p 1. e:a e:p 2 .")
    assert hpkg("fmt", "--check", file).exit_code == 1
    assert "would rewrite" in hpkg("fmt", "--check", file).stdout
    assert "rewrote" in hpkg("fmt", file).stdout
    assert hpkg("fmt", "--check", file).exit_code == 0


def test_evidence_verify_names_what_fails(folder: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("Một văn bản khác.")
    done = hpkg("evidence", "verify", "--text", text, "--source", "dnhn-94474", "--data", folder)
    assert done.exit_code == 1
    assert "SHA-256" in done.stdout
    assert "id:source/dnhn-94474" in done.stdout


def test_the_installed_script_runs() -> None:
    script = Path(sys.executable).with_name("hpkg")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert "0.1.0" in done.stdout
