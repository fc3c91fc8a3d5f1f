"""python -m tests.reliability.kill_loop [--seed N] [--rounds N] [--servers N] [--keep DIR]

As the test, for longer. --servers above 1: over a private PostgreSQL server.
"""

import argparse
import os
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from tests.postgres import PostgresServer, find_programs

from .fleet import Fleet
from .loop import run


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3)))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--servers", type=int, default=1)
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ketgate-kill-")))
        os.environ["XDG_STATE_HOME"] = str(folder / "state")
        url = None
        if arguments.servers > 1:
            programs = find_programs()
            if programs is None:
                parser.error("PostgreSQL is not installed")
            place = stack.enter_context(tempfile.TemporaryDirectory(prefix="ketgate-pg-"))
            database = PostgresServer(Path(place), programs)
            stack.callback(database.stop)
            url = database.new_database()
        fleet = Fleet(folder, arguments.servers, url)
        stack.callback(fleet.close)
        history, wrong = run(fleet, arguments.seed, arguments.rounds)
    calls = Counter(call.method for call in history.acknowledged)
    events = sum(len(some) for some in history.events.values())
    print(f"acknowledged {dict(calls)}, events {events}, heads {len(history.heads)}")
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
