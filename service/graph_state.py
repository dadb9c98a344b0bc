"""What an app keeps while it runs: the engine, the settings, and the judge of new facts once somebody needs it."""

import threading
from collections.abc import Callable
from typing import Final

from flask import Flask, current_app

from kg.changes.commit import ApartProposer, FactJudge, Facts, Judge
from kg.changes.credentials import Credentials, Throttle
from kg.changes.data_folder import open_or_build, own_shapes, replay
from kg.changes.journal import Journal
from kg.engine.protocol import Engine
from kg.sources.evidence import Texts
from kg.validation.incremental import Gate
from kg.views import name_index
from kg.views.dataset_description import Census
from kg.views.search import Names
from kg.workers.main import HostedJudge, HostedProposer
from kg.workers.pool_engine import CellsEngine
from service.settings import Settings

ABANDONED: Final = "hpkg.abandoned"
"""The WSGI environ's key of a callable that says whether the client has gone, where the server can tell."""

BEGUN: Final = "hpkg.begun"
"""The WSGI environ's key of an evaluation of the request's query that was begun before the app saw the request."""

FAILURES: Final = "failures.db"
"""The file in the keeper's folder by which the workers of a service know of each other's wrong tokens."""

_KEY: Final = "kg"


class KnowledgeGraph:
    """The graph that an app serves, shared by its threads; what few requests need is made by the first of them."""

    def __init__(
        self, engine: Engine, settings: Settings, names: Names, make: Callable[[], tuple[FactJudge, Facts]]
    ) -> None:
        self.engine = engine
        self.settings = settings
        self.names = names
        self.census = Census(engine)
        self.texts = Texts(settings.texts)
        self.credentials = Credentials(settings.data)
        self.throttle = Throttle(path=settings.keeper and settings.keeper / FAILURES)
        self._make = make
        self._made: tuple[FactJudge, Facts] | None = None
        self._making = threading.Lock()

    @property
    def judge(self) -> FactJudge:
        """The judge of new facts."""
        return self._parts()[0]

    @property
    def facts(self) -> Facts:
        """The facts as they may be changed."""
        return self._parts()[1]

    def _parts(self) -> tuple[FactJudge, Facts]:
        with self._making:
            if self._made is None:
                self._made = self._make()
            return self._made


def attach(app: Flask, settings: Settings) -> None:
    """Reach the graph for an app: through the keeper where there is one, else in this process.

    Raises ConfigurationError when the data folder cannot be used.
    """
    app.extensions[_KEY] = _hosted(settings) if settings.keeper else _in_process(settings)


def _hosted(settings: Settings) -> KnowledgeGraph:
    engine = CellsEngine(settings.keeper or settings.data, settings.timeout)

    def made() -> tuple[FactJudge, Facts]:
        proposer = HostedProposer(engine, settings.write_timeout)
        return HostedJudge(engine, settings.timeout), Facts(proposer, Journal(settings.data), engine.follow)

    return KnowledgeGraph(engine, settings, Names(settings.data), made)


def _in_process(settings: Settings) -> KnowledgeGraph:
    engine = open_or_build(settings.data)
    engine.services, engine.planning = frozenset(settings.services), settings.planning

    def made() -> tuple[FactJudge, Facts]:
        journal = Journal(settings.data)
        proposer = ApartProposer(engine, Gate(own_shapes()), journal)
        return Judge(engine, own_shapes(), proposer), Facts(proposer, journal, lambda: replay(engine, journal))

    names = Names(settings.data, lambda: name_index.ensure(engine, settings.data))
    return KnowledgeGraph(engine, settings, names, made)


def knowledge_graph() -> KnowledgeGraph:
    """The graph of the app that answers the current request."""
    return served_by(current_app)


def served_by(app: Flask) -> KnowledgeGraph:
    """The graph of an app."""
    found = app.extensions[_KEY]
    if not isinstance(found, KnowledgeGraph):
        raise TypeError("app.extensions['kg'] holds something else")
    return found
