"""The end of a server: who asked for it, and the drain."""

import signal
import threading
import time

from ketgate_server.rpc.edge import Edge
from ketgate_server.rpc.health import Health

STOP_MARGIN_S = 1.0
"""Before the end of a drain, calls are told to stop, so that they can still answer with the best
they have."""

LAST_ANSWER_S = 0.1
"""For the last answer to be out before the port closes, and with it what comes in that moment."""

NOTICE_S = 0.25
"""Even an idle server answers DRAINING for this long before its port closes: who calls in that time
is told why, and so is a client that comes back to see."""


class StopRequest:
    """Whether somebody asked the server to stop, and whether they insist."""

    def __init__(self) -> None:
        self.requested = threading.Event()
        self.insisted = threading.Event()

    def __call__(self, *_: object) -> None:
        (self.insisted if self.requested.is_set() else self.requested).set()

    def handle_signals(self) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self)
            signal.signal(signal.SIGINT, self)


def drain(edge: Edge, health: Health, limit_s: float, stop: StopRequest) -> bool:
    """Refuse new calls, wait for the running ones, then tell them to stop. Whether all ended."""
    begin_s = time.monotonic()
    health.set_serving(False)
    edge.begin_drain()
    was_idle = edge.wait_idle(0)
    patience_s = limit_s - min(STOP_MARGIN_S, limit_s / 2)
    idle = edge.wait_idle(patience_s, stop.insisted.is_set)
    if idle:
        stop.insisted.wait(max(0.0, begin_s + min(NOTICE_S, limit_s) - time.monotonic()))
    edge.cancel_calls()  # health watches too
    idle = idle or edge.wait_idle(max(0.0, begin_s + limit_s - time.monotonic()))
    if idle and not was_idle:
        time.sleep(LAST_ANSWER_S)
    return idle
