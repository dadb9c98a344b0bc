"""Writes over HTTP: authorization, validation, preconditions, responses and history."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from kg.changes.credentials import CredentialStore
from kg.changes.journal import Journal

TURTLE = {"Content-Type": "text/turtle"}
UPDATE = {"Content-Type": "application/sparql-update"}
NEW = "https://w3id.org/hpez/graph/new"
Problem = Callable[[requests.Response, int, str], dict[str, object]]
PLACE = """
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> . @prefix skos: <http://www.w3.org/2004/02/skos/core#> .
<https://w3id.org/hpez/id/place/{name}> a <https://schema.org/Place> ; rdfs:label "Đồ {name}"@vi, "Do {name}"@en ;
  skos:prefLabel "Đồ {name}"@vi, "Do {name}"@en .
"""


@pytest.fixture(scope="module")
def writer(folder: Path) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {CredentialStore(folder / 'data').create('writer')}"
        yield session


def add(session: requests.Session, home: str, data: str, query: str = "", **headers: str) -> requests.Response:
    return session.post(f"{home}/facts{query}", data=data.encode(), headers={**TURTLE, **headers}, timeout=30)


def update(session: requests.Session, home: str, text: str, **headers: str) -> requests.Response:
    return session.post(f"{home}/sparql", data=text.encode(), headers={**UPDATE, **headers}, timeout=30)


def ask(home: str, pattern: str) -> bool:
    answer = requests.get(f"{home}/sparql", {"query": f"ASK {{ {pattern} }}"}, timeout=30)
    return bool(answer.json()["boolean"])


def generation(home: str) -> int:
    return int(requests.get(f"{home}/health", timeout=30).json()["generation"])


def test_added_facts_are_visible_at_once_and_listed_as_a_commit(home: str, writer: requests.Session) -> None:
    answer = add(writer, home, PLACE.format(name="tam"), "?message=A+place&reason=To+test")
    assert answer.status_code == 201
    commit = requests.get(home + answer.headers["Location"], headers={"Accept": "application/json"}, timeout=30).json()
    assert (commit["agent"], commit["message"], commit["reason"], commit["added"]) == (
        "writer",
        "A place",
        "To test",
        5,
    )
    for _ in range(20):
        assert ask(home, "<https://w3id.org/hpez/id/place/tam> a <https://schema.org/Place>")
    patch = requests.get(f"{home}{answer.headers['Location']}.rdfp", timeout=30)
    assert patch.headers["Content-Type"].startswith("application/rdf-patch")
    assert patch.text.count("\nA <https://w3id.org/hpez/id/place/tam>") == 5
    page = requests.get(home + answer.headers["Location"], headers={"Accept": "text/html"}, timeout=30)
    assert "A place" in page.text


def test_facts_of_several_mebibytes(home: str, writer: requests.Session) -> None:
    """A large change and its report come back from the validating worker as a file."""
    text = "lớn " * 500_000
    assert add(writer, home, f'<urn:large> <urn:said> "{text}" .', f"?graph={NEW}").status_code == 201
    assert ask(home, f"GRAPH <{NEW}> {{ <urn:large> <urn:said> ?text FILTER (STRLEN(?text) = {len(text)}) }}")
    faulty = f'<urn:large> <https://w3id.org/hpez/ontology#said> "{text}" .'
    assert add(writer, home, faulty, f"?graph={NEW}").status_code == 422


def test_adding_existing_facts_makes_no_commit(home: str, writer: requests.Session) -> None:
    payload = PLACE.format(name="lai") + "<https://w3id.org/hpez/id/place/lai> <urn:has> [ <urn:size> 1 ] ."
    assert add(writer, home, payload).status_code == 201
    before = generation(home)
    again = add(writer, home, payload)
    assert (again.status_code, again.json()["commit"]) == (200, None)
    assert generation(home) == before


def test_nonconforming_facts_are_refused_with_a_report(home: str, writer: requests.Session) -> None:
    before = generation(home)
    faulty = "<https://w3id.org/hpez/id/zone/faulty> a <https://w3id.org/hpez/ontology#Zone> ."
    answer = add(writer, home, faulty, **{"Accept-Language": "vi"})
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert 'rel="http://www.w3.org/ns/ldp#constrainedBy"' in answer.headers["Link"]
    found = answer.json()
    assert found["type"].endswith("/refused")
    assert {"focusNode", "path", "shape", "message", "severity"} <= found["findings"][0].keys()
    assert "Khu cần ít nhất một loại" in json.dumps(found, ensure_ascii=False)
    report = add(writer, home, faulty, Accept="text/turtle")
    assert report.status_code == 422
    assert "sh:ValidationReport" in report.text
    assert generation(home) == before
    assert not ask(home, "<https://w3id.org/hpez/id/zone/faulty> ?p ?o")


def test_a_suggested_correction_is_accepted(home: str, writer: requests.Session) -> None:
    faulty = PLACE.format(name="bai").replace(', "Do bai"@en .', " .")
    found = add(writer, home, faulty, **{"Accept-Language": "en"}).json()
    suggestion = found["findings"][0]["suggestions"][0]
    assert suggestion["message"] == 'Name it "Do bai"@en.'
    assert suggestion["remove"] == []
    assert add(writer, home, faulty + "".join(suggestion["add"])).status_code == 201
    turtle = add(writer, home, PLACE.format(name="cat").replace(', "Do cat"@en .', " ."), Accept="text/turtle")
    assert "dash:GraphUpdate" in turtle.text


def test_warnings_refuse_a_change_on_request(home: str, writer: requests.Session) -> None:
    zone = """@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
    @prefix skos: <http://www.w3.org/2004/02/skos/core#> .
    @prefix id: <https://w3id.org/hpez/id/> .
    <https://w3id.org/hpez/id/zone/warned> a <https://w3id.org/hpez/ontology#Zone> ;
      rdfs:label "Khu"@vi, "Zone"@en ; skos:prefLabel "Khu"@vi, "Zone"@en ;
      <http://purl.org/dc/terms/type> <https://w3id.org/hpez/id/zone-type/industrial-park> ;
      <https://schema.org/containedInPlace> <https://w3id.org/hpez/id/place/hai-phong> ."""
    strict = add(writer, home, zone, "?severity=warning")
    assert strict.status_code == 422, strict.text
    assert strict.json()["counts"]["violation"] == 0
    lenient = add(writer, home, zone)
    assert lenient.status_code == 201, lenient.text
    assert lenient.json()["report"]["counts"]["warning"] >= 1
    problem = add(writer, home, zone, "?severity=fatal")
    assert problem.status_code == 400


def test_rules_follow_a_change(home: str, writer: requests.Session) -> None:
    """Removing a claim removes its derived statement, and the revert restores both."""
    statement = (
        "<https://w3id.org/hpez/id/place/hai-phong> <https://w3id.org/hpez/ontology#competesWith> "
        "<https://w3id.org/hpez/id/place/quang-ninh>"
    )
    assert ask(home, statement)
    removed = update(
        writer,
        home,
        "PREFIX rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> PREFIX hpez: <https://w3id.org/hpez/ontology#> "
        "DELETE { GRAPH ?g { ?claim ?p ?o . ?x ?y ?claim } } WHERE { GRAPH ?g { "
        "?claim rdf:predicate hpez:competesWith } GRAPH ?g { { ?claim ?p ?o } UNION { ?x ?y ?claim } } }",
        Prefer="return=representation",
    )
    assert removed.status_code == 200, removed.text
    assert not ask(home, statement)
    number = removed.json()["commit"]["number"]
    reverted = writer.post(f"{home}/commits/{number}/revert", timeout=30)
    assert reverted.status_code == 201, reverted.text
    assert ask(home, statement)
    again = writer.post(f"{home}/commits/{number}/revert", timeout=30)
    assert again.status_code == 409


@pytest.mark.parametrize(
    ("sent", "payload", "status"),
    [
        ("POST /facts", (TURTLE, "<urn:a> <urn:b>"), 400),
        ("POST /facts", ({"Content-Type": "application/n-quads"}, "<urn:a> <urn:b> <urn:c> _:g ."), 400),
        ("POST /facts?graph=no+iri", (TURTLE, "<urn:a> <urn:b> 1 ."), 400),
        ("POST /facts?graph=urn:a&graph=urn:b", (TURTLE, "<urn:a> <urn:b> 1 ."), 400),
        ("POST /facts", ({"Content-Type": "text/plain"}, "x"), 415),
        ("POST /facts", (TURTLE, "<urn:a> <https://w3id.org/hpez/ontology#nonsense> 1 ."), 422),
        ("POST /sparql", (UPDATE, "LOAD <http://127.0.0.1:9/>"), 400),
        ("POST /sparql", (UPDATE, "INSERT DATA { <urn:a> <urn:b>"), 400),
        ("POST /sparql", (UPDATE, "DELETE WHERE { GRAPH <https://w3id.org/hpez/graph/asserted> { ?s ?p ?o } }"), 403),
        ("POST /sparql", (UPDATE, "DROP GRAPH <urn:nowhere>"), 400),
        ("POST /sparql", (UPDATE, "{" * 5000), 400),
        ("POST /sparql?using-graph-uri=urn:a", (UPDATE, "WITH <urn:b> DELETE { ?s ?p ?o } WHERE { ?s ?p ?o }"), 400),
        ("POST /sparql?default-graph-uri=urn:a", (UPDATE, "CLEAR DEFAULT"), 400),
        ("DELETE /data?graph=urn:nowhere", ({}, ""), 404),
        ("PUT /data?graph=urn:a&default", (TURTLE, ""), 400),
        ("POST /commits/9999/revert", ({}, ""), 404),
        ("POST /commits/1/revert", ({"If-Match": '"nothing"'}, ""), 412),
    ],
)
def test_bad_input_changes_nothing(
    home: str, writer: requests.Session, sent: str, payload: tuple[dict[str, str], str], status: int
) -> None:
    (method, path), (headers, data) = sent.split(" ", 1), payload
    before = generation(home)
    answer = writer.request(method, home + path, headers=headers, data=data, timeout=30)
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "Traceback" not in answer.text
    assert generation(home) == before


def test_a_syntax_error_in_a_large_body_changes_nothing(home: str, writer: requests.Session) -> None:
    lines = [f"<urn:broken:{number}> <urn:b> {number} ." for number in range(20_000)]
    lines[12_345] = "<urn:broken> oops ."
    found = add(writer, home, "\n".join(lines))
    assert found.status_code == 400
    assert found.json()["line"] == 12_346
    assert not ask(home, "<urn:broken:1> ?p ?o")


@pytest.mark.usefixtures("writer")
def test_writing_needs_a_valid_token_for_the_graph(home: str, folder: Path, problem: Problem) -> None:
    anonymous = requests.post(f"{home}/facts", data="<urn:a> <urn:b> 1 .", headers=TURTLE, timeout=30)
    problem(anonymous, 401, "unauthorized")
    assert anonymous.headers["WWW-Authenticate"].lower().startswith("bearer")
    text = CredentialStore(folder / "data").create("narrow", graphs=[NEW])
    with requests.Session() as narrow:
        narrow.headers["Authorization"] = f"Bearer {text}"
        problem(add(narrow, home, "<urn:a> <urn:b> 1 ."), 403, "scope")
        assert add(narrow, home, "<urn:a> <urn:b> 1 .", f"?graph={NEW}").status_code == 201
        CredentialStore(folder / "data").revoke("narrow")
        problem(add(narrow, home, "<urn:a> <urn:b> 2 .", f"?graph={NEW}"), 401, "unauthorized")
    assert text not in (folder / "data" / "tokens.json").read_text()


def test_only_an_admin_reverts_the_commits_of_others(
    home: str, folder: Path, writer: requests.Session, problem: Problem
) -> None:
    foreign = add(writer, home, "<urn:undo> <urn:b> 1 .", f"?graph={NEW}").headers["Location"]
    credentials = CredentialStore(folder / "data")
    with requests.Session() as other, requests.Session() as admin:
        other.headers["Authorization"] = f"Bearer {credentials.create('other')}"
        admin.headers["Authorization"] = f"Bearer {credentials.create('chief', 'admin')}"
        refused = problem(other.post(f"{home}{foreign}/revert", timeout=30), 403, "scope")
        assert "scope admin" in str(refused["detail"])
        assert ask(home, "<urn:undo> <urn:b> 1")
        own = add(other, home, "<urn:own> <urn:b> 1 .", f"?graph={NEW}").headers["Location"]
        assert other.post(f"{home}{own}/revert", timeout=30).status_code == 201
        assert admin.post(f"{home}{foreign}/revert", timeout=30).status_code == 201
    assert not ask(home, "<urn:undo> <urn:b> 1")


@pytest.mark.parametrize("number", ["9" * 20, "9" * 5000, "0", "-1", "x", "", "٣"])
@pytest.mark.parametrize("name", ["before", "limit"])
def test_parameters_of_the_list_of_commits(home: str, problem: Problem, name: str, number: str) -> None:
    answer = requests.get(f"{home}/commits", params={name: number}, timeout=30)
    problem(answer, 400, "bad-request")


@pytest.mark.parametrize("number", [0, 999_999, 2**63, 10**30])
def test_an_unknown_commit_is_not_found(home: str, writer: requests.Session, problem: Problem, number: int) -> None:
    for suffix in ("", ".rdfp"):
        problem(requests.get(f"{home}/commits/{number}{suffix}", timeout=30), 404, "not-found")
    problem(writer.post(f"{home}/commits/{number}/revert", timeout=30), 404, "not-found")


def test_only_an_admin_reads_the_audit(home: str, folder: Path, problem: Problem) -> None:
    created = hpkg("token", "create", "auditor", "--scope", "admin", "--data", str(folder / "data"))
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {created.stdout.strip()}"
        answer = session.get(f"{home}/audit", timeout=30)
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.json()["events"][-1]["text"] == "token 'auditor' was created, scope admin"
        listed = hpkg("log", "--audit", "--endpoint", home, "--token", created.stdout.strip()).stdout
        assert listed == hpkg("log", "--audit", "--data", str(folder / "data")).stdout
        session.headers["Authorization"] = f"Bearer {CredentialStore(folder / 'data').create('curious')}"
        problem(session.get(f"{home}/audit", timeout=30), 403, "scope")
    anonymous = requests.get(f"{home}/audit", timeout=30)
    problem(anonymous, 401, "unauthorized")
    assert hpkg("log", "--audit", "--endpoint", home).returncode == 1


def test_a_valid_token_works_after_many_invalid_ones(home: str, writer: requests.Session) -> None:
    for number in range(50):
        guess = {"Authorization": f"Bearer hpkg_{number}", **TURTLE}
        assert requests.post(f"{home}/facts", headers=guess, timeout=30).status_code == 401
    assert add(writer, home, "<urn:guessed> <urn:b> 1 .", f"?graph={NEW}").status_code == 201


def test_if_match(home: str, writer: requests.Session) -> None:
    tag = add(writer, home, "<urn:m> <urn:b> 1 .", f"?graph={NEW}").headers["ETag"]
    first = add(writer, home, "<urn:m> <urn:b> 2 .", f"?graph={NEW}", **{"If-Match": tag})
    second = add(writer, home, "<urn:m> <urn:b> 3 .", f"?graph={NEW}", **{"If-Match": tag})
    assert (first.status_code, second.status_code) == (201, 412)
    url = f"{home}/data?graph=urn:graph:etag"
    assert writer.put(url, data="<urn:a> <urn:b> 1 .", headers=TURTLE, timeout=30).status_code == 201
    etag = requests.get(url, headers={"Accept": "text/turtle", "Accept-Encoding": "identity"}, timeout=30).headers[
        "ETag"
    ]
    put = {**TURTLE, "If-Match": etag}
    assert writer.put(url, data="<urn:a> <urn:b> 2 .", headers=put, timeout=30).status_code == 204
    assert writer.put(url, data="<urn:a> <urn:b> 3 .", headers=put, timeout=30).status_code == 412


def test_idempotency_key(home: str, writer: requests.Session) -> None:
    key = {"Idempotency-Key": '"one"'}
    first = add(writer, home, "<urn:i> <urn:b> 1 .", f"?graph={NEW}", **key)
    again = add(writer, home, "<urn:i> <urn:b> 1 .", f"?graph={NEW}", **key)
    assert first.json()["commit"]["number"] == again.json()["commit"]["number"]
    assert again.json()["repeated"] is True
    other = add(writer, home, "<urn:i> <urn:b> 2 .", f"?graph={NEW}", **key)
    assert other.status_code == 400
    assert not ask(home, "<urn:i> <urn:b> 2")


def test_writers_and_readers_together(home: str, writer: requests.Session) -> None:
    """No update is lost, and no reader sees half of one: each commit adds two statements and increments a counter."""
    graph = "urn:graph:together"
    assert update(writer, home, f"INSERT DATA {{ GRAPH <{graph}> {{ <urn:c> <urn:n> 0 }} }}").status_code == 204
    stop, torn = threading.Event(), list[str]()

    def write(number: int) -> int:
        text = (
            f"WITH <{graph}> DELETE {{ <urn:c> <urn:n> ?n }} INSERT {{ <urn:c> <urn:n> ?m . "
            f"<urn:w{number}> <urn:l> 1 . <urn:w{number}> <urn:r> 1 }} "
            f"WHERE {{ <urn:c> <urn:n> ?n BIND (?n + 1 AS ?m) }}"
        )
        while (answer := update(writer, home, text)).status_code in {409, 503}:
            time.sleep(0.05)
        return answer.status_code

    def read(_: int) -> None:
        query = f"SELECT ?w {{ GRAPH <{graph}> {{ ?w <urn:l> 1 FILTER NOT EXISTS {{ ?w <urn:r> 1 }} }} }}"
        while not stop.is_set():
            answer = requests.get(f"{home}/sparql", {"query": query}, headers={"Accept": "text/csv"}, timeout=30)
            if answer.status_code == 200 and answer.text.strip() != "w":
                torn.append(answer.text)

    with ThreadPoolExecutor(70) as pool:
        readers = [pool.submit(read, number) for number in range(20)]
        statuses = set(pool.map(write, range(50)))
        stop.set()
        for reader in readers:
            reader.result()
    assert statuses == {204}
    assert torn == []
    assert ask(home, f"GRAPH <{graph}> {{ <urn:c> <urn:n> 50 }}")


def test_history_is_paged_and_verified(home: str, folder: Path) -> None:
    first = requests.get(f"{home}/commits?limit=2", headers={"Accept": "application/json"}, timeout=30)
    assert len(first.json()["commits"]) == 2
    following = requests.get(home + first.links["next"]["url"], headers={"Accept": "application/json"}, timeout=30)
    assert following.json()["commits"][0]["number"] == first.json()["commits"][1]["number"] - 1
    assert requests.get(f"{home}/commits", headers={"Accept": "text/html"}, timeout=30).status_code == 200
    assert requests.get(f"{home}/commits/100000", timeout=30).status_code == 404
    assert Journal(folder / "data").verify() == generation(home)


def hpkg(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("hpkg")), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_line_at_a_running_service(home: str, writer: requests.Session, tmp_path: Path) -> None:
    file = tmp_path / "place.ttl"
    file.write_text(PLACE.format(name="dong"))
    token = str(writer.headers["Authorization"]).removeprefix("Bearer ")
    added = hpkg("add", str(file), "--endpoint", home, "--token", token, "-m", "From afar")
    assert added.returncode == 0, added.stderr
    assert "From afar" in hpkg("log", "--endpoint", home).stdout
    file.write_text("<https://w3id.org/hpez/id/zone/z> a <https://w3id.org/hpez/ontology#Zone> .")
    refused = hpkg("add", str(file), "--endpoint", home, "--token", token)
    assert refused.returncode == 1
    assert "violation" in refused.stderr


def test_the_log_of_a_service_equals_that_of_its_folder(home: str, folder: Path, writer: requests.Session) -> None:
    made = add(writer, home, PLACE.format(name="undone")).json()["commit"]["number"]
    assert writer.post(f"{home}/commits/{made}/revert", timeout=30).status_code == 201
    of_service = hpkg("log", "--limit", "2", "--endpoint", home).stdout
    assert f"(undoes {made})" in of_service
    assert of_service == hpkg("log", "--limit", "2", "--data", str(folder / "data")).stdout


def test_graphs_are_loaded_into_a_running_service(home: str, writer: requests.Session, tmp_path: Path) -> None:
    """Replace one graph or several; a dump of the service changes nothing, even with blank nodes."""
    at = ("--endpoint", home, "--token", str(writer.headers["Authorization"]).removeprefix("Bearer "))
    file, dumped = tmp_path / "several.trig", tmp_path / "all.nq.gz"
    file.write_text("GRAPH <urn:load:1> { [] <urn:b> 1, 2 } GRAPH <urn:load:2> { [] <urn:b> [] }")
    assert "+3 −0" in hpkg("load", str(file), *at, "-m", "Two graphs").stdout
    assert hpkg("dump", "--endpoint", home, "--gzip", "--output", str(dumped)).returncode == 0
    again = hpkg("load", str(dumped), *at)
    assert (again.stdout, again.stderr.partition(":")[0]) == ("nothing to change\n", "left out")
    file.write_text("GRAPH <urn:load:1> { [] <urn:b> 1 }")
    assert "+1 −2" in hpkg("load", str(file), *at).stdout
    file.write_text("GRAPH <urn:load:1> { <urn:z> a <https://w3id.org/hpez/ontology#Zone> } GRAPH <urn:load:2> {}")
    refused = hpkg("load", str(file), *at)
    assert refused.returncode == 1
    assert "422" in refused.stderr
    assert hpkg("load", str(file), "--endpoint", home).returncode == 1


def test_quads_replace_the_graphs_that_they_name(home: str, writer: requests.Session, problem: Problem) -> None:
    quads = {"Content-Type": "application/n-quads"}
    everything = requests.get(f"{home}/graph.nq", timeout=30)
    same = writer.post(f"{home}/graph", data=everything.content, headers=quads, timeout=30)
    assert (same.status_code, same.json()["commit"]) == (200, None)
    made = writer.post(f"{home}/graph", data="<urn:a> <urn:b> <urn:c> <urn:posted> .", headers=quads, timeout=30)
    assert made.status_code == 201
    assert made.headers["Location"].startswith("/commits/")
    problem(requests.post(f"{home}/graph", data=everything.content, headers=quads, timeout=30), 401, "unauthorized")
    bad = "<urn:a> <urn:b> <urn:c> _:g ."
    problem(writer.post(f"{home}/graph", data=bad, headers=quads, timeout=30), 400, "bad-input")


def test_commands_read_a_service_like_a_folder(home: str, folder: Path, tmp_path: Path) -> None:
    file, of_folder, of_service = tmp_path / "zone.ttl", ("--data", str(folder / "data")), ("--endpoint", home)
    file.write_text("<https://w3id.org/hpez/id/zone/z> a <https://w3id.org/hpez/ontology#Zone> .")
    for command in (
        ["dump"],
        ["dump", "--graph", "source/dnhn-94474"],
        ["validate", str(file)],
        ["validate", str(file), "--alone", "--lang", "vi"],
    ):
        expected, found = hpkg(*command, *of_folder), hpkg(*command, *of_service)
        assert (found.stdout, found.returncode) == (expected.stdout, expected.returncode)
    unknown = hpkg("dump", "--graph", "no-such", *of_service)
    assert unknown.returncode == 2
    assert "There is no graph" in unknown.stderr


def test_the_command_line_beside_a_running_service(home: str, folder: Path) -> None:
    """A commit by another process is served soon after."""
    file = folder / "beside.ttl"
    file.write_text(PLACE.format(name="son"))
    done = hpkg("add", str(file), "--data", str(folder / "data"), "-m", "Beside")
    assert done.returncode == 0, done.stderr
    end = time.monotonic() + 10
    while not ask(home, "<https://w3id.org/hpez/id/place/son> a <https://schema.org/Place>"):
        assert time.monotonic() < end
        time.sleep(0.1)
