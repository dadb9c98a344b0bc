"""The state of an app: its engine and settings, and the write path, which is created at the first write."""

import threading
from collections.abc import Callable
from typing import Final

from flask import Flask, current_app

from kg.changes.commit import CommitPipeline, ReplicaProposer
from kg.changes.credentials import CredentialStore
from kg.changes.data_folder import open_or_build, read_project_shapes
from kg.changes.fact_validation import EngineFactValidator, FactValidator
from kg.changes.journal import Journal, replay
from kg.changes.wrong_tokens import WrongTokenAudit
from kg.engine.optimizer import default_optimizer
from kg.engine.protocol import Engine
from kg.sources.source_texts import SourceTexts
from kg.validation.incremental import IncrementalValidator
from kg.views import name_index_builder
from kg.views.name_search import NameSearch
from kg.views.statistics_cache import StatisticsCache
from kg.workers.pool_engine import PoolEngine
from kg.workers.remote_validation import PoolFactValidator, PoolProposer
from service.http.extensions import get_extension
from service.settings import Settings

ABANDONED_KEY: Final = "hpkg.abandoned"
"""The WSGI environ's key of a callable that returns whether the client has disconnected, if the server knows that."""

PENDING_RESULT_KEY: Final = "hpkg.begun"
"""The WSGI environ's key of a pending evaluation of the request's query, started before the app saw the request."""

_EXTENSION_KEY: Final = "kg"


class GraphState:
    """The graph that an app serves; shared by its threads. The write path is created when a request first needs it."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        names: NameSearch,
        create_write_path: Callable[[], tuple[FactValidator, CommitPipeline]],
    ) -> None:
        self.engine = engine
        self.settings = settings
        self.name_search = names
        self.statistics = StatisticsCache(engine)
        self.source_texts = SourceTexts(settings.source_texts)
        self.credentials = CredentialStore(settings.data)
        self.wrong_tokens = WrongTokenAudit(settings.data)
        self._create_write_path = create_write_path
        self._write_path: tuple[FactValidator, CommitPipeline] | None = None
        self._lock = threading.Lock()

    @property
    def fact_validator(self) -> FactValidator:
        """The validator of new facts."""
        return self._get_write_path()[0]

    @property
    def commit_pipeline(self) -> CommitPipeline:
        """The pipeline through which changes are committed."""
        return self._get_write_path()[1]

    def _get_write_path(self) -> tuple[FactValidator, CommitPipeline]:
        with self._lock:
            if self._write_path is None:
                self._write_path = self._create_write_path()
            return self._write_path


def attach(app: Flask, settings: Settings) -> None:
    """Connect an app to its graph: through the dispatcher if there is one, else in this process.

    Raises ConfigurationError if the data folder cannot be used.
    """
    app.extensions[_EXTENSION_KEY] = (
        _pool_state(settings) if settings.dispatcher_folder else _in_process_state(settings)
    )


def _pool_state(settings: Settings) -> GraphState:
    engine = PoolEngine(settings.dispatcher_folder or settings.data, settings.timeout)

    def create_write_path() -> tuple[FactValidator, CommitPipeline]:
        proposer = PoolProposer(engine, settings.write_timeout)
        return PoolFactValidator(engine, settings.timeout), CommitPipeline(
            proposer, Journal(settings.data), engine.catch_up
        )

    return GraphState(engine, settings, NameSearch(settings.data), create_write_path)


def _in_process_state(settings: Settings) -> GraphState:
    engine = open_or_build(settings.data)
    engine.configure(
        services=settings.services,
        optimizer=default_optimizer(planning=settings.planning, columns=settings.columns),
    )

    def create_write_path() -> tuple[FactValidator, CommitPipeline]:
        journal = Journal(settings.data)
        proposer = ReplicaProposer(engine, IncrementalValidator(read_project_shapes()), journal)
        return EngineFactValidator(engine, read_project_shapes(), proposer), CommitPipeline(
            proposer, journal, lambda: replay(engine, journal)
        )

    names = NameSearch(settings.data, lambda: name_index_builder.ensure_index(engine, settings.data))
    return GraphState(engine, settings, names, create_write_path)


def current_graph_state() -> GraphState:
    """Return the graph state of the app that handles the current request."""
    return graph_state_of(current_app)


def graph_state_of(app: Flask) -> GraphState:
    """Return the graph state of an app."""
    return get_extension(app, _EXTENSION_KEY, GraphState)
