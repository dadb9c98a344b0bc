"""Aggregates over many triples: engine and columns return the same, current result."""

from pathlib import Path

import requests

from kg.changes.credentials import CredentialStore
from tests.service.running_service import RunningService, run_service

E = "https://example.org/"
NUMBER = 2600
"""Enough figures for columns to be used."""
SUMS = f"""
SELECT ?z (COUNT(*) AS ?n) (SUM(?v) AS ?sum) {{ ?f <{E}about> ?z ; <{E}value> ?v }}
GROUP BY ?z ORDER BY DESC(?n)"""


def test_groups_stay_the_same_until_the_data_change(tmp_path: Path) -> None:
    figures = "".join(f"<{E}f{i}> <{E}about> <{E}z{i % 4}> ; <{E}value> {i} .\n" for i in range(NUMBER))
    (tmp_path / "data").mkdir()
    session = requests.Session()
    token = CredentialStore(tmp_path / "data").create("writer")
    session.headers.update({"Authorization": f"Bearer {token}", "Content-Type": "text/turtle"})
    graph = f"/data?graph={E}graph"

    def sums(served: RunningService, number: int, limits: str = "") -> list[str]:
        sent = {"query": f"# {number}{SUMS}{limits}"}
        answer = requests.post(f"{served.url}/sparql", sent, headers={"Accept": "text/csv"}, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.text.splitlines()[1:]

    with session, run_service(tmp_path) as served:
        assert session.put(served.url + graph, figures, timeout=120).status_code == 201
        by_engine = sums(served, 0)
    assert by_engine == [f"{E}z{z},{NUMBER // 4},{sum(range(z, NUMBER, 4))}" for z in range(4)]
    with session, run_service(tmp_path) as served:
        assert all(sums(served, number) == by_engine for number in range(12))
        assert [sums(served, 20 + at, f" LIMIT 1 OFFSET {at}") for at in range(4)] == [[row] for row in by_engine]
        assert session.post(served.url + graph, f"<{E}f0> <{E}value> 0.25 .", timeout=120).status_code in {200, 204}
        changed = f"{E}z0,{NUMBER // 4 + 1},{sum(range(0, NUMBER, 4))}.25"
        assert all(sums(served, number)[0] == changed for number in range(40, 52))
