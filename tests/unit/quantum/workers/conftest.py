"""Pools of worker processes that can import this folder."""

import os
import sys
from pathlib import Path

import pytest
from ketgate_server.quantum.workers import process
from ketgate_server.quantum.workers.pool import Workers, WorkerSettings

FOLDER = str(Path(__file__).parent)


@pytest.fixture(autouse=True)
def calls_can_be_imported(monkeypatch):
    """Here, and in processes that are started from here."""
    before = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([FOLDER, *([before] if before else [])]))
    monkeypatch.syspath_prepend(FOLDER)
    yield
    sys.modules.pop("worker_calls", None)


@pytest.fixture
def open_pool():
    """open_pool(**settings): a pool that is closed at the end."""
    opened = []

    def open_one(**settings):
        opened.append(Workers(WorkerSettings(**settings)))
        return opened[-1]

    yield open_one
    for pool in opened:
        pool.close()


@pytest.fixture
def patient(monkeypatch):
    """Workers that are told to stop may take their time, as they must on a busy machine: for tests
    in which they live on. A test calls it when none is to be killed any more."""
    return lambda: monkeypatch.setattr(process, "STOP_TIMEOUT_S", 100.0)


@pytest.fixture
def pool(open_pool):
    return open_pool(workers_max=2)
