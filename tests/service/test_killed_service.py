"""Kill the whole service at random instants while it is written to: answered commits survive, and none is partial.

`KILL_ROUNDS=200` sets the number of kills, and `pytest -s` prints the number of commits.
"""

import io
import itertools
import os
import random
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from kg.changes import data_folder
from kg.changes.commit import SUBMISSION_GRAPH
from kg.changes.credentials import CredentialStore
from kg.changes.journal import Journal
from kg.rdf.formats import NQUADS, TURTLE
from kg.rdf.io import parse, parse_stream, place_in_graph
from kg.rdf.namespaces import ID
from kg.rdf.terms import NamedNode, Quad
from tests.service.running_service import PLACE_TURTLE, RunningService, run_service

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the processes of the service are found in /proc")

ROUNDS = int(os.environ.get("KILL_ROUNDS", "8"))
WRITERS = 4
LONGEST = 0.6
"""The longest time in seconds from the first write to the kill."""
BUSY = {409, 503}
"""The statuses of a write that lost a race, or that was sent after the dispatcher had died."""


@dataclass
class Stream:
    """The places that writers sent, and the commits that the service answered: names of places by commit number."""

    served: RunningService
    token: str
    sent: set[str] = field(default_factory=set)
    answered: dict[int, str] = field(default_factory=dict)
    statuses: set[int] = field(default_factory=set)

    def write(self, writer: str, most: int | None = None) -> None:
        """Write one place after the other, until the service is gone or `most` places are written."""
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {self.token}"
            for name in (f"{writer}-{number}" for number in itertools.islice(itertools.count(), most)):
                self.sent.add(name)
                try:
                    answer = self.served.add_place(session, name)
                    number = answer.json()["commit"]["number"] if answer.status_code == 201 else None
                except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
                    return
                self.statuses.add(answer.status_code)
                if number is not None:
                    self.answered[number] = name


def killed(served: RunningService, token: str, turn: int, seconds: float) -> Stream:
    """Start writers, and kill the service some seconds later.

    The first write to a service takes long, since it prepares the gate; in every other round it is sent beforehand.
    """
    stream = Stream(served, token)
    stream.write(f"r{turn}", most=turn % 2)
    threads = [threading.Thread(target=stream.write, args=(f"r{turn}-w{number}",)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    served.kill()
    for thread in threads:
        thread.join(60)
    assert stream.statuses <= {201, *BUSY}
    return stream


def place(name: str) -> frozenset[Quad]:
    return frozenset(place_in_graph(parse(PLACE_TURTLE.format(name=name).encode(), TURTLE), SUBMISSION_GRAPH))


def recorded(data: Path, after: int) -> dict[int, str]:
    """The places by commit number after a number; each commit must have all triples of one place."""
    journal, found = Journal(data), {}
    assert journal.verify() == journal.last_number
    for commit in journal.commits_since(after):
        subjects = {quad.subject for quad in commit.delta.added}
        assert len(subjects) == 1
        node = subjects.pop()
        assert isinstance(node, NamedNode)
        found[commit.number] = node.value.removeprefix(f"{ID}place/")
        assert (commit.delta.added, commit.delta.removed) == (place(found[commit.number]), frozenset())
    journal.close()
    return found


def assert_durable(stream: Stream, found: dict[int, str], before: int) -> None:
    """Require every answered commit, and at most one unanswered commit of each writer."""
    assert stream.answered.items() <= found.items()
    assert set(found.values()) <= stream.sent
    assert len(set(found.values())) == len(found)
    assert sorted(found) == list(range(before + 1, before + 1 + len(found)))
    assert len(found) - len(stream.answered) <= WRITERS


def assert_served(served: RunningService, known: dict[int, str]) -> None:
    """Require that the service serves what the journal holds."""
    assert served.generation == max(known, default=0)
    query = f"SELECT ?place (COUNT(*) AS ?n) {{ GRAPH <{SUBMISSION_GRAPH.value}> {{ ?place ?p ?o }} }} GROUP BY ?place"
    rows = requests.get(f"{served.url}/sparql", {"query": query}, timeout=30).json()["results"]["bindings"]
    counts = {row["place"]["value"]: row["n"]["value"] for row in rows}
    assert counts == {f"{ID}place/{name}": "5" for name in known.values()}
    replayed = data_folder.load(served.data)
    assert replayed is not None
    dump = requests.get(f"{served.url}/graph.nq", timeout=60)
    assert frozenset(parse_stream(io.BytesIO(dump.content), NQUADS)) == frozenset(replayed.quads())


def test_a_killed_service_keeps_every_answered_commit_and_no_partial_one(tmp_path: Path) -> None:
    instants, known, answered = random.Random(94474), dict[int, str](), 0  # noqa: S311 - the same instants in every run
    token = CredentialStore(tmp_path / "data").create("writer")
    for turn in range(ROUNDS):
        with run_service(tmp_path) as served:
            assert_served(served, known)
            stream = killed(served, token, turn, instants.uniform(0, LONGEST))
        before = len(known)
        found = recorded(tmp_path / "data", before)
        assert_durable(stream, found, before)
        known, answered = known | found, answered + len(stream.answered)
    with run_service(tmp_path) as served:
        assert_served(served, known)
    assert answered > ROUNDS
    sys.stdout.write(f"{ROUNDS} kills, {answered} commits answered, {len(known)} in the journal\n")
