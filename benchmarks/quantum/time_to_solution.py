"""Time to solution of QAOA, annealing, branch-and-cut and trying everything, on the same instances of growing size: how
each grows, with confidence, and where lines would meet.

    python benchmarks/quantum/time_to_solution.py [--instances 20] [--json FILE] [--again FILE]
        [--page docs/time-to-solution.md]

Time to solution: t ln(0.01) / ln(1 - success), and at least t. One thread, processor time. --json keeps what was
measured; --again takes it from such a file instead of measuring. --page writes the figures into that page, between its
marks, and the picture beside it.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from solution_page import draw, figures
from solution_runs import FAMILIES, Runs, annealed_only, solved

MARKS = ("<!-- figures: begin -->", "<!-- figures: end -->")


def measure(
    instances: int, sizes: Sequence[int], far_sizes: Sequence[int], search_to: int, highs_to: int
) -> list[Runs]:
    out = []
    for family in FAMILIES:
        for n in sizes:
            started = time.perf_counter()
            out += [
                solved(family, n, seed, search_to=search_to, highs_to=highs_to)
                for seed in range(instances)
            ]
            _progress(family, n, started)
        for n in far_sizes:
            started = time.perf_counter()
            out += [annealed_only(family, n, seed) for seed in range(instances)]
            _progress(family, n, started)
    return out


def _progress(family: str, n: int, started: float) -> None:
    print(f"{family} n {n}: {time.perf_counter() - started:.1f} s", file=sys.stderr, flush=True)


def read(path: Path) -> list[Runs]:
    return [
        Runs(**{name: _keyed(value) for name, value in row.items()})
        for row in json.loads(path.read_text())
    ]


def _keyed(value: Any) -> Any:
    """JSON has no keys but strings."""
    return {int(key): one for key, one in value.items()} if isinstance(value, dict) else value


def write_page(page: Path, text: str) -> None:
    before, _, rest = page.read_text().partition(MARKS[0])
    _, found, after = rest.partition(MARKS[1])
    if not found:
        raise SystemExit(f"{page} has no marks {MARKS[0]} and {MARKS[1]} to write between")
    page.write_text(f"{before}{MARKS[0]}\n\n{text}\n\n{MARKS[1]}{after}")


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--instances", type=int, default=20)
    parser.add_argument("--sizes", type=numbers, default=numbers("8,10,12,14,16,18,20"))
    parser.add_argument("--far-sizes", type=numbers, default=numbers("24,32,48"))
    parser.add_argument("--search-to", type=int, default=18, help="spins; angles by instance")
    parser.add_argument("--highs-to", type=int, default=18, help="spins; branch-and-cut")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--again", type=Path)
    parser.add_argument("--page", type=Path)
    arguments = parser.parse_args()
    if arguments.again:
        runs = read(arguments.again)
    else:
        runs = measure(
            arguments.instances,
            arguments.sizes,
            arguments.far_sizes,
            arguments.search_to,
            arguments.highs_to,
        )
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(one) for one in runs]))
    text = figures(runs)
    print(text)
    if arguments.page:
        write_page(arguments.page, text)
        draw(runs, arguments.page.with_suffix(".png"))


if __name__ == "__main__":
    main()
