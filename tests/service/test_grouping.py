"""Groups over many triples: the same answer whoever counts them, the engine or columns, and never an old one."""

from pathlib import Path

import requests
from served import serving

from kg.credentials import Credentials

E = "https://example.org/"
NUMBER = 2600
"""Figures, enough for columns to be worth it."""
SUMS = f"""
SELECT ?z (COUNT(*) AS ?n) (SUM(?v) AS ?sum) {{ ?f <{E}about> ?z ; <{E}value> ?v }}
GROUP BY ?z ORDER BY DESC(?n)"""


def test_groups_stay_the_same_until_the_data_change(tmp_path: Path) -> None:
    figures = "".join(f"<{E}f{i}> <{E}about> <{E}z{i % 4}> ; <{E}value> {i} .\n" for i in range(NUMBER))
    (tmp_path / "data").mkdir()
    token = Credentials(tmp_path / "data").create("writer")
    with serving(tmp_path) as served, requests.Session() as session:
        session.headers.update({"Authorization": f"Bearer {token}", "Content-Type": "text/turtle"})
        graph = f"{served.url}/data?graph={E}graph"

        def sums(number: int, limits: str = "") -> list[str]:
            sent = {"query": f"# {number}{SUMS}{limits}"}
            answer = requests.post(f"{served.url}/sparql", sent, headers={"Accept": "text/csv"}, timeout=30)
            assert answer.status_code == 200, answer.text
            return answer.text.splitlines()[1:]

        assert session.put(graph, figures, timeout=120).status_code == 201
        asked = [sums(number) for number in range(12)]
        assert asked[0] == [f"{E}z{z},{NUMBER // 4},{sum(range(z, NUMBER, 4))}" for z in range(4)]
        assert all(rows == asked[0] for rows in asked)
        assert [sums(20 + place, f" LIMIT 1 OFFSET {place}") for place in range(4)] == [[row] for row in asked[0]]
        assert session.post(graph, f"<{E}f0> <{E}value> 0.25 .", timeout=120).status_code in {200, 204}
        changed = f"{E}z0,{NUMBER // 4 + 1},{sum(range(0, NUMBER, 4))}.25"
        assert all(sums(number)[0] == changed for number in range(40, 52))
