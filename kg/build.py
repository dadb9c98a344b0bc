"""Assemble the graph from the packaged files, judge it, and keep it in a data folder.

A data folder holds `dataset.nq`, the canonical N-Quads of everything, `report.json`, the verdict on it, and
`build.json`, which says from which files it was made and how much it holds: both count only if `build.json` names
the dataset's digest.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kg import gate, resources
from kg.counts import count, counts_from_json, counts_to_json
from kg.engine.embedded import EmbeddedEngine
from kg.engine.protocol import Counts
from kg.errors import ConfigurationError
from kg.formats import NQUADS
from kg.gate import SHAPES_GRAPH, Report, Shapes
from kg.materialise import expanded
from kg.rdf import canonical_nquads, read

DATASET: Final = "dataset.nq"
MANIFEST: Final = "build.json"
VERDICT: Final = "report.json"


@dataclass(frozen=True)
class Build:
    """An assembled graph with the verdict on it and what it holds."""

    engine: EmbeddedEngine
    report: Report
    counts: Counts

    @property
    def sizes(self) -> dict[str, int]:
        """The number of triples in each graph, by IRI."""
        return dict(self.counts.graphs)


def own_shapes() -> Shapes:
    """The project's shapes, read and analysed."""
    return gate.read_shapes(quad for quad in resources.curated_quads() if quad.graph_name == SHAPES_GRAPH)


def assemble() -> EmbeddedEngine:
    """Load the packaged files and materialise the rules, without judging the result."""
    return expanded(resources.curated_quads())


def build() -> Build:
    """Assemble the graph and judge all of it."""
    engine = assemble()
    report = gate.validate(engine.quads(), own_shapes())
    return Build(engine, report, count(engine))


def save(result: Build, folder: Path) -> Path:
    """Write a built graph into a data folder, atomically; returns the file of the dataset.

    Raises ConfigurationError when the folder cannot be written.
    """
    dataset = canonical_nquads(result.engine.quads())
    manifest = {
        "fingerprint": resources.fingerprint(),
        "sha256": hashlib.sha256(dataset).hexdigest(),
        "counts": counts_to_json(result.counts),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(folder / DATASET, dataset)
        _replace(folder / VERDICT, json.dumps(gate.report_to_json(result.report), ensure_ascii=False).encode())
        _replace(folder / MANIFEST, (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode())
    except OSError as error:
        raise ConfigurationError(f"The data folder {folder} cannot be written: {error.strerror}") from error
    return folder / DATASET


def _replace(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def load(folder: Path) -> EmbeddedEngine | None:
    """Read a built graph back; None if there is none, it is damaged, or other files made it."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        if manifest.get("fingerprint") != resources.fingerprint():
            return None
        with (folder / DATASET).open("rb") as dataset:
            if manifest.get("sha256") != hashlib.file_digest(dataset, "sha256").hexdigest():
                return None
            dataset.seek(0)
            return EmbeddedEngine(read(dataset, NQUADS), manifest["sha256"][:16], _counts_of(manifest))
    except (OSError, ValueError):
        return None


def _counts_of(manifest: dict[str, Any]) -> Counts | None:
    """What a manifest says that the dataset holds; None if it says nothing that can be read."""
    try:
        return counts_from_json(manifest["counts"])
    except (KeyError, TypeError, AttributeError):
        return None


def load_report(folder: Path) -> Report | None:
    """Read the verdict on the graph of a data folder back; None if there is none."""
    try:
        return gate.report_from_json(json.loads((folder / VERDICT).read_bytes()))
    except (OSError, ValueError, KeyError):
        return None


def open_or_build(folder: Path) -> EmbeddedEngine:
    """Open the graph of a data folder, building and judging it first where that is needed.

    Raises ConfigurationError if the packaged graph has violations: such a graph is not served.
    """
    engine = load(folder)
    if engine is not None:
        return engine
    result = build()
    if not result.report.admissible:
        raise ConfigurationError("The packaged graph violates its shapes; `hpkg build` lists the findings.")
    save(result, folder)
    return load(folder) or result.engine
