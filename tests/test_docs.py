"""The examples of the README and of docs/ are run against a real server, and their output is compared.

`console` blocks: bash runs each `$ ` line, and the lines after it must be its output. `python` blocks are run; `sparql`
blocks are queries of the graph. Their result must equal the `text` or `csv` block after them, if there is one.
A line `…` stands for any lines.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
import requests

from docs import cli_reference
from kg.changes import data_folder
from kg.changes.data_folder import BuiltGraph
from kg.rdf.namespaces import ONTOLOGY, compact
from service import create_app
from service.settings import Settings

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
ADDRESS = "http://127.0.0.1:8000"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OUTPUTS = {"text", "csv"}


@dataclass(frozen=True)
class Block:
    document: Path
    line: int
    language: str
    content: str
    output: str | None

    def __str__(self) -> str:
        return f"{self.document.name}:{self.line}"


def blocks() -> Iterator[Block]:
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        found = list(FENCE.finditer(text))
        for match, following in pairwise((*found, None)):
            if match is None:
                continue
            output = following[2] if following is not None and following[1] in OUTPUTS else None
            yield Block(document, text[: match.start()].count("\n") + 1, match[1], match[2], output)


BLOCKS = list(blocks())


def of(language: str) -> list[Block]:
    return [block for block in BLOCKS if block.language == language]


def assert_shows(actual: str, documented: str) -> None:
    """The documented output is the actual one, with `…` lines standing for any lines."""
    wanted = re.escape(documented.strip()).replace("…", ".*").replace(r"\…", ".*")
    assert re.fullmatch(wanted, actual.strip(), re.DOTALL), f"documented:\n{documented}\nactual:\n{actual}"


def run(command: list[str], url: str, data: Path) -> str:
    environment = os.environ | {
        "HPKG_DATA": str(data / "data"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "120",
    }
    done = subprocess.run(
        [part.replace(ADDRESS, url) for part in command],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return (done.stdout + done.stderr).replace(url, ADDRESS)


def test_there_are_examples_of_each_kind() -> None:
    assert len(of("console")) >= 5
    assert len(of("python")) >= 2
    assert len(of("sparql")) >= 5


def test_every_block_has_a_known_language() -> None:
    known = {"console", "python", "sparql", "turtle", "json", "http", "mermaid", "sh", "ini", "nginx"} | OUTPUTS
    assert [str(block) for block in BLOCKS if block.language not in known] == []


def console_steps() -> Iterator[tuple[Block, str, str]]:
    for block in of("console"):
        for step in re.split(r"^\$ ", block.content, flags=re.MULTILINE)[1:]:
            lines = step.split("\n")
            end = next((i for i, line in enumerate(lines) if not line.endswith("\\")), 0) + 1
            yield block, "\n".join(lines[:end]), "\n".join(lines[end:]).strip()


@pytest.mark.parametrize(("command", "output"), [pytest.param(*step[1:], id=str(step[0])) for step in console_steps()])
def test_console(command: str, output: str, server: str, served_folder: Path) -> None:
    if command.startswith("make "):
        targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert command.split()[1] in targets
        return
    actual = run(["bash", "-c", command], server, served_folder)
    assert_shows(actual, output or "…")


@pytest.mark.parametrize("block", of("python"), ids=str)
def test_python(block: Block, server: str, served_folder: Path) -> None:
    assert_shows(run([sys.executable, "-W", "error", "-c", block.content], server, served_folder), block.output or "…")


@pytest.mark.parametrize("block", of("sparql"), ids=str)
def test_sparql(block: Block, server: str) -> None:
    answer = requests.post(
        f"{server}/sparql", data={"query": block.content}, headers={"Accept": "text/csv"}, timeout=20
    )
    assert answer.status_code == 200, answer.text
    assert len(answer.text.splitlines()) > 1, "the example finds nothing"
    if block.output is not None:
        assert_shows(answer.content.decode("utf-8").replace("\r\n", "\n"), block.output)


def test_the_documented_commands_equal_the_help_texts() -> None:
    assert documented("docs/cli.md") == cli_reference.reference(), "run `make docs`"


def documented(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_every_own_term_is_documented(built: BuiltGraph) -> None:
    rows = built.engine.select(
        f"SELECT DISTINCT ?term {{ ?term <http://www.w3.org/2000/01/rdf-schema#isDefinedBy> <{ONTOLOGY}> }}"
    )
    text = documented("docs/model.md")
    assert rows
    assert [row["term"].value for row in rows if row["term"].value.partition("#")[2] not in text] == []


def test_every_shape_is_documented(built: BuiltGraph) -> None:
    rows = built.engine.select(
        """PREFIX sh: <http://www.w3.org/ns/shacl#> SELECT DISTINCT ?shape {
           ?shape a sh:NodeShape ; sh:targetClass|sh:targetSubjectsOf|sh:targetObjectsOf|sh:target ?target }"""
    )
    text = documented("docs/shapes.md")
    assert rows
    assert [row["shape"].value for row in rows if f"`{compact(row['shape'].value)}`" not in text] == []


def test_every_route_is_documented(built: BuiltGraph, tmp_path: Path) -> None:
    data_folder.save(built, tmp_path)
    routes = {rule.rule.split("<")[0] for rule in create_app(Settings(data=tmp_path)).url_map.iter_rules()}
    text = documented("docs/http.md")
    assert [route for route in routes if route != "/static/" and f"`{route.rstrip('.')}" not in text] == []


def test_every_setting_is_documented() -> None:
    code = "".join(
        path.read_text(encoding="utf-8") for package in ("kg", "service") for path in (ROOT / package).rglob("*.py")
    )
    settings = set(re.findall(r"HPKG_[A-Z_]+", code))
    text = documented("docs/cli.md") + documented("docs/operations.md")
    assert len(settings) > 15
    assert [name for name in sorted(settings) if f"`{name}`" not in text] == []


def test_the_readme_is_short() -> None:
    assert len(documented("README.md").splitlines()) <= 250


def test_every_room_is_described() -> None:
    rooms = sorted(
        path.parent
        for package in ("kg", "service")
        for path in (ROOT / package).rglob("__init__.py")
        if path.parent.name != "kg"
    )
    text = documented("docs/architecture.md")
    assert [room for room in rooms if f"`{room.relative_to(ROOT)}/`" not in text] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_resolve(document: Path) -> None:
    text = FENCE.sub("", document.read_text(encoding="utf-8"))
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    broken = []
    for target in targets:
        path, _, anchor = target.partition("#")
        file = document.parent / path if path else document
        if not file.exists() or (anchor and anchor not in _anchors(file)):
            broken.append(target)
    assert broken == []


def _anchors(file: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
