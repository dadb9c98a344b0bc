"""What an app keeps while it runs: the engine, the settings, and the judge of new facts once somebody needs it."""

import threading
from collections.abc import Callable
from typing import Final

from flask import Flask, current_app

from kg.changes.commit import CommitPipeline, ReplicaProposer
from kg.changes.credentials import CredentialStore
from kg.changes.data_folder import open_or_build, read_project_shapes
from kg.changes.fact_validation import EngineFactValidator, FactValidator
from kg.changes.journal import Journal, replay
from kg.engine.protocol import Engine
from kg.sources.source_texts import SourceTexts
from kg.validation.incremental import IncrementalValidator
from kg.views import name_index_builder
from kg.views.name_search import NameSearch
from kg.views.statistics_cache import StatisticsCache
from kg.workers.pool_engine import PoolEngine
from kg.workers.remote_validation import PoolFactValidator, PoolProposer
from service.settings import Settings

ABANDONED_KEY: Final = "hpkg.abandoned"
"""The WSGI environ's key of a callable that returns whether the client has disconnected; absent if unknown."""

PENDING_RESULT_KEY: Final = "hpkg.begun"
"""The WSGI environ's key of the request's query if the fast path has already sent it to a worker."""

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
    """Open the graph for an app: through the dispatcher if the settings name its folder, else in this process.

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
    engine.services, engine.planning = frozenset(settings.services), settings.planning

    def made() -> tuple[FactValidator, CommitPipeline]:
        journal = Journal(settings.data)
        proposer = ReplicaProposer(engine, IncrementalValidator(read_project_shapes()), journal)
        return EngineFactValidator(engine, read_project_shapes(), proposer), CommitPipeline(
            proposer, journal, lambda: replay(engine, journal)
        )

    names = NameSearch(settings.data, lambda: name_index_builder.ensure_index(engine, settings.data))
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
