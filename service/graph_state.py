"""What an app keeps while it runs: the engine, the settings, and the judge of new facts once somebody needs it."""

import threading
from collections.abc import Callable
from typing import Final

from flask import Flask, current_app

from kg.changes.commit import CommitPipeline, EngineFactValidator, FactValidator, ReplicaProposer
from kg.changes.credentials import CredentialStore, Throttle
from kg.changes.data_folder import open_or_build, read_project_shapes, replay
from kg.changes.journal import Journal
from kg.engine.optimizer import default_optimizer
from kg.engine.protocol import Engine
from kg.sources.evidence import SourceTexts
from kg.validation.incremental import IncrementalValidator
from kg.views import name_index
from kg.views.dataset_description import StatisticsCache
from kg.views.search import NameSearch
from kg.workers.main import PoolFactValidator, PoolProposer
from kg.workers.pool_engine import PoolEngine
from service.settings import Settings

ABANDONED_KEY: Final = "hpkg.abandoned"
"""The WSGI environ's key of a callable that says whether the client has gone, where the server can tell."""

PENDING_RESULT_KEY: Final = "hpkg.begun"
"""The WSGI environ's key of an evaluation of the request's query that was begun before the app saw the request."""

FAILURES_FILE: Final = "failures.db"
"""The file in the keeper's folder by which the workers of a service know of each other's wrong tokens."""

_EXTENSION_KEY: Final = "kg"


class GraphState:
    """The graph that an app serves, shared by its threads; what few requests need is made by the first of them."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        names: NameSearch,
        make: Callable[[], tuple[FactValidator, CommitPipeline]],
    ) -> None:
        self.engine = engine
        self.settings = settings
        self.name_search = names
        self.statistics = StatisticsCache(engine)
        self.source_texts = SourceTexts(settings.source_texts)
        self.credentials = CredentialStore(settings.data)
        self.throttle = Throttle(path=settings.dispatcher_folder and settings.dispatcher_folder / FAILURES_FILE)
        self._make_write_path = make
        self._write_path: tuple[FactValidator, CommitPipeline] | None = None
        self._making = threading.Lock()

    @property
    def fact_validator(self) -> FactValidator:
        """The judge of new facts."""
        return self._get_write_path()[0]

    @property
    def commit_pipeline(self) -> CommitPipeline:
        """The facts as they may be changed."""
        return self._get_write_path()[1]

    def _get_write_path(self) -> tuple[FactValidator, CommitPipeline]:
        with self._making:
            if self._write_path is None:
                self._write_path = self._make_write_path()
            return self._write_path


def attach(app: Flask, settings: Settings) -> None:
    """Reach the graph for an app: through the keeper where there is one, else in this process.

    Raises ConfigurationError when the data folder cannot be used.
    """
    app.extensions[_EXTENSION_KEY] = (
        _pool_state(settings) if settings.dispatcher_folder else _in_process_state(settings)
    )


def _pool_state(settings: Settings) -> GraphState:
    engine = PoolEngine(settings.dispatcher_folder or settings.data, settings.timeout)

    def made() -> tuple[FactValidator, CommitPipeline]:
        proposer = PoolProposer(engine, settings.write_timeout)
        return PoolFactValidator(engine, settings.timeout), CommitPipeline(
            proposer, Journal(settings.data), engine.catch_up
        )

    return GraphState(engine, settings, NameSearch(settings.data), made)


def _in_process_state(settings: Settings) -> GraphState:
    engine = open_or_build(settings.data)
    engine.configure(
        services=settings.services,
        optimizer=default_optimizer(planning=settings.planning, columns=settings.columns),
    )

    def made() -> tuple[FactValidator, CommitPipeline]:
        journal = Journal(settings.data)
        proposer = ReplicaProposer(engine, IncrementalValidator(read_project_shapes()), journal)
        return EngineFactValidator(engine, read_project_shapes(), proposer), CommitPipeline(
            proposer, journal, lambda: replay(engine, journal)
        )

    names = NameSearch(settings.data, lambda: name_index.ensure_index(engine, settings.data))
    return GraphState(engine, settings, names, made)


def current_graph_state() -> GraphState:
    """The graph of the app that answers the current request."""
    return graph_state_of(current_app)


def graph_state_of(app: Flask) -> GraphState:
    """The graph of an app."""
    found = app.extensions[_EXTENSION_KEY]
    if not isinstance(found, GraphState):
        raise TypeError("app.extensions['kg'] holds something else")
    return found
