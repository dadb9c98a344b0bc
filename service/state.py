"""What an app keeps while it runs: the engine, the settings, and the judge of new facts once somebody needs it."""

import threading
from typing import Final

from flask import Flask, current_app

from kg.build import open_or_build, own_shapes
from kg.engine.protocol import Engine
from kg.facts import Judge
from service.settings import Settings

_KEY: Final = "kg"


class KnowledgeGraph:
    """The graph that an app serves, shared by its threads."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.engine = engine
        self.settings = settings
        self._judge: Judge | None = None
        self._analysing = threading.Lock()

    @property
    def judge(self) -> Judge:
        """The judge of new facts, whose shapes are analysed by the first request that needs it."""
        with self._analysing:
            if self._judge is None:
                self._judge = Judge(self.engine, own_shapes())
            return self._judge


def attach(app: Flask, settings: Settings) -> None:
    """Open the graph of the settings' data folder for an app; raises ConfigurationError."""
    app.extensions[_KEY] = KnowledgeGraph(open_or_build(settings.data), settings)


def knowledge_graph() -> KnowledgeGraph:
    """The graph of the app that answers the current request."""
    found = current_app.extensions[_KEY]
    if not isinstance(found, KnowledgeGraph):
        raise TypeError("app.extensions['kg'] holds something else")
    return found
