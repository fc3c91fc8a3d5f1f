"""The thread that removes what is old."""

import threading
from typing import Any

import pytest
from ketgate_server.jobs import retainer as module
from ketgate_server.jobs.policy import Retention
from ketgate_server.jobs.retainer import Retainer

from .conftest import Bench


def test_a_store_that_hangs_does_not_hold_up_the_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "INTERVAL_S", 0.0)
    entered, go, over = threading.Event(), threading.Event(), threading.Event()

    def hang(*_: Any) -> bool:
        entered.set()
        go.wait(30)
        over.set()
        return False

    monkeypatch.setattr(bench.jobs, "retain", hang)
    retainer = Retainer(bench.jobs, Retention())
    retainer.start()
    assert entered.wait(30)
    retainer.close(0.0)
    assert not over.is_set()
    go.set()
    retainer.close(30.0)
    assert over.is_set()
