"""Open the write path and the validator of a data folder in this process."""

from functools import partial
from pathlib import Path

from kg.changes import data_folder
from kg.changes.commit import CommitPipeline, propose
from kg.changes.fact_validation import EngineFactValidator
from kg.changes.journal import Journal, replay
from kg.validation.incremental import IncrementalValidator


def open_commit_pipeline(data: Path) -> CommitPipeline:
    """Open the write path of a data folder."""
    engine, journal = data_folder.open_or_build(data), Journal(data)
    proposer = partial(propose, engine, IncrementalValidator(data_folder.read_project_shapes()))
    return CommitPipeline(proposer, journal, lambda: replay(engine, journal))


def open_fact_validator(data: Path) -> EngineFactValidator:
    """Open the validator of new facts for a data folder."""
    engine, shapes = data_folder.open_or_build(data), data_folder.read_project_shapes()
    return EngineFactValidator(engine, shapes, partial(propose, engine, IncrementalValidator(shapes)))
