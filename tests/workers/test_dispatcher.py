"""The dispatcher's select timeout, without workers."""

import socket
import time
from pathlib import Path

import pytest

from kg.workers import dispatcher
from kg.workers.clients import Client, create_job
from kg.workers.dispatcher import Dispatcher
from kg.workers.dispatcher_folder import open_listener
from kg.workers.framing import Message, MessageReader
from tests.workers.dispatcher_process import OPERATIONS, POOL_CONFIG


def test_the_dispatcher_sleeps_while_a_fresh_job_keeps_it_from_warming_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The warm-up is due, but yields to fresh jobs: a timeout of 0 would make the dispatcher spin."""
    monkeypatch.setattr(dispatcher, "WARM_UP_DELAY", 0.0)
    monkeypatch.setattr(dispatcher, "CATCH_UP_INTERVAL", 60.0)
    near, far = socket.socketpair()
    with open_listener(tmp_path) as listener, near, far:
        idle = Dispatcher(listener, OPERATIONS, POOL_CONFIG, dict)
        time.sleep(0.001)
        assert idle._select_timeout() == 0
        idle._enqueue(create_job(Client(near, MessageReader(near)), Message({"op": "sleep", "timeout": 50})))
        assert idle._select_timeout() > 1
