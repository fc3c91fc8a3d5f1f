"""A process that sends calls: `python -m ketgate._load.worker`, started by the coordinator alone.

It reads its assignment, says that it is ready, reads when to start, and answers with its tally:
JSON lines. The end of its standard input stops it, so that it never outlives the coordinator.
"""

import gc
import json
import sys
import threading
import time
from typing import Any

import grpc

from ketgate._load.assignment import Assignment
from ketgate._load.loops import ClosedLoop, OpenLoop
from ketgate._load.tally import Tally
from ketgate._load.target import Target

SWITCH_INTERVAL_S = 0.0005
"""A thread that waits for its turn in Python for the usual 5 ms would show as latency."""


def main() -> None:
    """Do what the coordinator says."""
    assignment = Assignment.from_line(sys.stdin.readline())
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    target = Target(assignment, Tally())
    loop = (OpenLoop if assignment.rate else ClosedLoop)(assignment, target)
    try:
        target.connect()
    except grpc.FutureTimeoutError:
        _say({"error": f"no connection to {assignment.address} in time"})
        return
    _say({"ready": True})
    told = sys.stdin.readline()
    if not told:
        return
    stop = threading.Event()
    threading.Thread(target=_watch, args=(stop,), daemon=True).start()
    gc.collect()
    gc.freeze()
    _say(_run(loop, assignment, target, json.loads(told)["start_ns"], stop))


def _run(
    loop: OpenLoop | ClosedLoop,
    assignment: Assignment,
    target: Target,
    start_ns: int,
    stop: threading.Event,
) -> dict[str, Any]:
    from_ns = start_ns + int(assignment.warm_up_s * 1e9)
    target.measure(from_ns, from_ns + int(assignment.duration_s * 1e9))
    cpu_s, wall_s = time.process_time(), time.monotonic()
    loop.run(start_ns, stop)
    cpu_share = (time.process_time() - cpu_s) / (time.monotonic() - wall_s)
    target.close()
    return {"tally": target.tally.to_json(), "cpu_share": cpu_share}


def _watch(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
