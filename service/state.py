"""What an app keeps while it runs: the engine, the settings, and the judge of new facts once somebody needs it."""

import threading
from collections.abc import Callable
from typing import Final

from flask import Flask, current_app

from kg.build import load_report, open_or_build, own_shapes
from kg.catalog import Census
from kg.engine.cells import CellsEngine
from kg.engine.protocol import Engine
from kg.facts import FactJudge, Judge
from kg.host import HostedJudge
from service.settings import Settings

ABANDONED: Final = "hpkg.abandoned"
"""The WSGI environ's key of a callable that says whether the client has gone, where the server can tell."""

BEGUN: Final = "hpkg.begun"
"""The WSGI environ's key of an evaluation of the request's query that was begun before the app saw the request."""

_KEY: Final = "kg"


class KnowledgeGraph:
    """The graph that an app serves, shared by its threads."""

    def __init__(self, engine: Engine, settings: Settings, make_judge: Callable[[], FactJudge]) -> None:
        self.engine = engine
        self.settings = settings
        self.census = Census(engine)
        self._make_judge = make_judge
        self._judge: FactJudge | None = None
        self._making = threading.Lock()

    @property
    def judge(self) -> FactJudge:
        """The judge of new facts, made by the first request that needs it."""
        with self._making:
            if self._judge is None:
                self._judge = self._make_judge()
            return self._judge


def attach(app: Flask, settings: Settings) -> None:
    """Reach the graph for an app: through the keeper where there is one, else in this process.

    Raises ConfigurationError when the data folder cannot be used.
    """
    app.extensions[_KEY] = _hosted(settings) if settings.keeper else _in_process(settings)


def _hosted(settings: Settings) -> KnowledgeGraph:
    engine = CellsEngine(settings.keeper or settings.data, settings.timeout)
    return KnowledgeGraph(engine, settings, lambda: HostedJudge(engine))


def _in_process(settings: Settings) -> KnowledgeGraph:
    engine = open_or_build(settings.data)
    engine.services = frozenset(settings.services)
    return KnowledgeGraph(engine, settings, lambda: Judge(engine, own_shapes(), load_report(settings.data)))


def knowledge_graph() -> KnowledgeGraph:
    """The graph of the app that answers the current request."""
    return served_by(current_app)


def served_by(app: Flask) -> KnowledgeGraph:
    """The graph of an app."""
    found = app.extensions[_KEY]
    if not isinstance(found, KnowledgeGraph):
        raise TypeError("app.extensions['kg'] holds something else")
    return found
