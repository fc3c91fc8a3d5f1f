"""python -m tests.reliability.simulation --seeds 10000 [--first N] [--seed N]: play histories, and
print those that break. The same seed is the same history."""

import argparse
import sys
import time
import traceback

from .history import run
from .world import World


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="only this one, with all it has to tell")
    arguments = parser.parse_args()
    if arguments.seed is not None:
        world = run(arguments.seed)
        tell(arguments.seed, world)
        return world.failure is not None
    failed = 0
    start_s = time.monotonic()
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        world = run(seed)
        if world.failure is not None:
            failed += 1
            tell(seed, world)
    print(f"{arguments.seeds} histories in {time.monotonic() - start_s:.1f} s, {failed} broken")
    return failed > 0


def tell(seed: int, world: World) -> None:
    print("\n".join(world.trace))
    if world.failure is not None:
        traceback.print_exception(world.failure)
        print(f"BROKEN with --seed {seed}: {world.failure!r}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
