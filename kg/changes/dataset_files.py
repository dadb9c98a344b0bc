"""Datasets in a data folder: N-Quads files, each with a JSON manifest that holds its digest and its statistics."""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from kg.changes.atomic_files import write_atomically
from kg.changes.journal import BASE_MANIFEST
from kg.engine.embedded import EmbeddedEngine
from kg.engine.optimizer import default_optimizer
from kg.engine.statistics import DatasetStatistics, statistics_from_json
from kg.errors import ConfigurationError
from kg.rdf.formats import NQUADS
from kg.rdf.io import parse_stream

DATASET_FILE: Final = "dataset.nq"
MANIFEST_FILE: Final = BASE_MANIFEST

_DIGEST_LENGTH: Final = 16
"""Hexadecimal digits of the base dataset's digest by which an engine identifies its dataset."""

Manifest = dict[str, Any]


def read_manifest(path: Path) -> Manifest | None:
    """Return a manifest, or None if it is missing or damaged."""
    try:
        manifest = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) and isinstance(manifest.get("sha256"), str) else None


def write_json(path: Path, content: object, indent: int | None = None) -> None:
    """Replace a JSON file atomically. Raises OSError."""
    write_atomically(path, (json.dumps(content, indent=indent, ensure_ascii=False) + "\n").encode())


@contextlib.contextmanager
def translate_write_errors(folder: Path) -> Iterator[None]:
    """Raise ConfigurationError that names the data folder instead of OSError."""
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"The data folder {folder} cannot be written: {error.strerror}") from error


def load_dataset(path: Path, manifest: Manifest, base_digest: str) -> EmbeddedEngine | None:
    """Load a dataset file, or return None if it is not the file that the manifest describes.

    `base_digest` is the digest of the dataset before the first commit.
    """
    try:
        with path.open("rb") as dataset:
            if manifest["sha256"] != hashlib.file_digest(dataset, "sha256").hexdigest():
                return None
            dataset.seek(0)
            quads = parse_stream(dataset, NQUADS)
            return EmbeddedEngine(
                quads, base_digest[:_DIGEST_LENGTH], _read_statistics(manifest), optimizer=default_optimizer()
            )
    except (OSError, ValueError):
        return None


def _read_statistics(manifest: Manifest) -> DatasetStatistics | None:
    """Return the statistics of a manifest; None if they are missing or unreadable, so that the engine counts anew."""
    try:
        return statistics_from_json(manifest["counts"])
    except (KeyError, TypeError, AttributeError):
        return None
