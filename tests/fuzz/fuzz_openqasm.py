"""Fuzz the OpenQASM reader and writers: python tests/fuzz/fuzz_openqasm.py --seconds 20 [--seed N].

Correct programs are cut, doubled and spliced, character by character and token by token, and others
are made from the grammar. Whatever comes, the answer is a circuit or an error with a place that
exists in the text, within a bounded time; and a circuit that is written reads back to the same.
"""

# ruff: noqa: E402 - imported from this checkout, whose folders are put into the path first

# ruff: noqa: PT017 - a finding is an assertion that fails, wherever it stands

import argparse
import os
import random
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "server"), str(ROOT / "native")]

from ketgate_server.errors import CATALOGUE, KetgateError, Reason
from ketgate_server.quantum.circuit import Circuit
from ketgate_server.quantum.openqasm.read import ReadLimits, read
from ketgate_server.quantum.openqasm.write import write2, write3

from tests.unit.quantum.openqasm.programs import HEAD, HEAD_2, PROGRAMS, bare

LIMITS = ReadLimits(program_bytes_max=20_000, operations_max=2_000, qubits_max=64)
SLOW_S = 3.0
OLD = """
qreg q[3]; creg c[2]; gate g(a) x, y { u1(a/2) x; cx x, y; } u2(0, pi) q; g(1/2) q[0], q[1];
c3x q[0],q[1],q[2],q[0]; rccx q[0], q[1], q[2]; measure q[0] -> c[0]; if (c == 1) x q; barrier q;
"""
CORPUS = [HEAD + body for body in PROGRAMS.values()] + [HEAD_2 + OLD]
TOKEN = re.compile(r"\w+|\s+|.", re.DOTALL)
WORDS = [
    "OPENQASM",
    "3.0",
    "2.0",
    "include",
    '"stdgates.inc"',
    "qubit",
    "bit",
    "int",
    "uint",
    "float",
    "angle",
    "bool",
    "const",
    "input",
    "output",
    "let",
    "gate",
    "def",
    "return",
    "if",
    "else",
    "for",
    "in",
    "while",
    "switch",
    "case",
    "default",
    "break",
    "continue",
    "end",
    "ctrl",
    "negctrl",
    "inv",
    "pow",
    "@",
    "gphase",
    "U",
    "h",
    "x",
    "cx",
    "rx",
    "ccx",
    "reset",
    "measure",
    "barrier",
    "->",
    "=",
    "==",
    "!=",
    "<",
    ">",
    "<=",
    ">=",
    "&&",
    "||",
    "!",
    "~",
    "+",
    "-",
    "*",
    "/",
    "%",
    "**",
    "++",
    "<<",
    ">>",
    "&",
    "|",
    "^",
    "+=",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ";",
    ":",
    "0",
    "1",
    "2",
    "3",
    "-1",
    "7",
    "0.5",
    "1e3",
    "1e999",
    "0x1F",
    "99999999999999999999",
    '"0101"',
    "pi",
    "$0",
    "$63",
    "$64",
    "q",
    "c",
    "n",
    "i",
    "true",
    "false",
    "sin",
    "sizeof",
    "popcount",
    "10ns",
    "1im",
    "delay",
    "box",
    "duration",
    "#pragma",
    "@note",
    "//",
    "/*",
    "*/",
    "\\",
    "'",
    '"',
    "é",
    "\x00",
]


def mutated(rng: random.Random) -> str:
    """A correct program with some mistakes."""
    text = rng.choice(CORPUS)
    parts = TOKEN.findall(text) if rng.random() < 0.8 else list(text)
    for _ in range(rng.choice([1, 1, 1, 2, 3, 8])):
        k = rng.randrange(len(parts))
        match rng.randrange(6):
            case 0:
                del parts[k]
            case 1:
                parts.insert(k, rng.choice(WORDS) + " ")
            case 2:
                parts[k] = rng.choice(WORDS)
            case 3:
                end = min(len(parts), k + rng.randrange(1, 30))
                parts[k:k] = parts[k:end] * rng.choice([1, 1, 2, 20])
            case 4:
                other = TOKEN.findall(rng.choice(CORPUS))
                start = rng.randrange(len(other))
                parts[k:k] = other[start : start + rng.randrange(1, 40)]
            case _:
                parts[k] = parts[rng.randrange(len(parts))]
        if not parts:
            break
    return "".join(parts)


def made(rng: random.Random) -> str:
    """A program from the grammar, with names that mostly exist."""
    head = "qubit[4] q; qubit r; bit[4] c; bit d; const int k = 3; int n = 1; input float v;\n"
    return HEAD + head + "\n".join(_statement(rng, 0) for _ in range(rng.randrange(1, 12)))


def _statement(rng: random.Random, depth: int) -> str:
    def block() -> str:
        return "{ " + " ".join(_statement(rng, depth + 1) for _ in range(rng.randrange(3))) + " }"

    choice = rng.randrange(14 if depth < 4 else 7)
    match choice:
        case 0 | 1 | 2:
            modifiers = "".join(
                rng.choice(["inv @ ", "ctrl @ ", "negctrl @ ", f"pow({_value(rng, 1)}) @ "])
                for _ in range(rng.choice([0, 0, 0, 1, 2]))
            )
            a, b = _value(rng), _value(rng)
            gates = ["h {}", "x {}", "cx {}, {}", "swap {}, {}", "ccx {}, {}, {}"]
            gates += [f"rx({a}) {{}}", f"U({b}, 0, v) {{}}", f"rzz({a}) {{}}, {{}}"]
            gate = rng.choice(gates)
            controls = ", ".join(_qubits(rng) for _ in range(modifiers.count("ctrl")))
            name, _, operands = gate.format(*[_qubits(rng) for _ in range(3)]).partition(" q")
            return f"{modifiers}{name} {controls}{', ' * bool(controls)}q{operands};"
        case 3:
            return f"{_bits(rng)} = measure {_qubits(rng)};"
        case 4:
            return f"reset {_qubits(rng)};"
        case 5:
            return f"n = {_value(rng)};"
        case 6:
            return f"barrier {_qubits(rng)}, {_qubits(rng)};"
        case 7 | 8:
            return f"if ({_condition(rng)}) {block()}" + f" else {block()}" * rng.randrange(2)
        case 9:
            return f"for int i in [{_value(rng)}:{_value(rng)}] {block()}"
        case 10:
            return f"switch (int({_bits(rng)})) {{ case 0, {_value(rng)} {block()} default {block()} }}"
        case 11:
            return f"while ({_value(rng)} < 0) {block()}"
        case 12:
            return f"gate g{rng.randrange(99)}(t0) a, b {{ rx(t0 * {_value(rng)}) a; cx a, b; }}"
        case _:
            return f"let a{rng.randrange(99)} = {_qubits(rng)} ++ {_qubits(rng)};"


def _qubits(rng: random.Random) -> str:
    if rng.random() < 0.8:
        return f"q[{rng.randrange(4)}]"
    return rng.choice(["q", "q[n]", "q[0:2]", "q[{1, 3}]", "q[-1]"])


def _bits(rng: random.Random) -> str:
    return rng.choice(["c[0]", "c[3]", "c", "d", "c[1:2]", "c[{0, 3}]"])


def _value(rng: random.Random, depth: int = 0) -> str:
    if depth > 3 or rng.random() < 0.7:
        return rng.choice(
            ["0", "1", "2", "3", "k", "n", "pi", "0.5", "v", "-3", "1e9", "sizeof(q)"]
        )
    a, b = _value(rng, depth + 1), _value(rng, depth + 1)
    return rng.choice(
        [f"({a} + {b})", f"{a} * {b}", f"{a} / {b}", f"-({a})", f"sin({a})", f"{a} ** {b}"]
    )


def _condition(rng: random.Random, depth: int = 0) -> str:
    if depth > 3 or rng.random() < 0.5:
        sign = rng.choice(["==", "!=", "<", ">="])
        return rng.choice([f"{_bits(rng)} {sign} {_value(rng, 3)}", "d", "!c[1]", "n == 1", "true"])
    a, b = _condition(rng, depth + 1), _condition(rng, depth + 1)
    return rng.choice([f"({a} && {b})", f"({a} || {b})", f"!({a})", f"({a}) ^ ({b})"])


def check(text: str) -> str:
    """What came of it, as a word. Raises AssertionError for a finding."""
    started_s = time.thread_time()  # the machine may be busy
    try:
        circuit = read(text, limits=LIMITS, field="circuits[0].openqasm")
    except KetgateError as error:
        assert error.reason in CATALOGUE
        assert error.reason in (Reason.PROGRAM_INVALID, Reason.LIMIT_EXCEEDED), error.reason
        assert error.field == "circuits[0].openqasm"
        assert len(error.message) < 1_000, len(error.message)
        assert error.message.isprintable(), error.message
        if error.reason is Reason.PROGRAM_INVALID:
            lines = text.split("\n")
            line, column = int(error.metadata["line"]), int(error.metadata["column"])
            assert 1 <= line <= len(lines), error.metadata
            assert 1 <= column <= len(lines[line - 1]) + 1, error.metadata
        return error.reason.value
    finally:
        taken_s = time.thread_time() - started_s
        assert taken_s < SLOW_S, f"{taken_s:.1f} s"
    check_writing(circuit)
    return "circuit"


def check_writing(circuit: Circuit) -> None:
    """What is written is read to the same operations."""
    try:
        text = write3(circuit)
        back = read(text, limits=replace(LIMITS, program_bytes_max=1 << 22))
    except KetgateError as error:
        # An angle that overflowed, or a formula that is longer when written out.
        assert "cannot be written" in error.message or "more than" in error.message, error.message
        return
    renamed = {name: k for k, name in enumerate(back.parameters)}
    if tuple(renamed) == circuit.parameters:
        assert bare(back.operations) == bare(circuit.operations), text
    try:
        old = write2(circuit)
    except KetgateError as error:
        assert error.field == "format", error.message
        return
    read(old, limits=replace(LIMITS, program_bytes_max=1 << 22, operations_max=1 << 16))


def programs(rng: random.Random) -> Iterator[str]:
    yield from CORPUS
    while True:
        yield made(rng) if rng.random() < 0.4 else mutated(rng)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "little"))
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    end_s = time.monotonic() + arguments.seconds
    counts: dict[str, int] = {}
    for text in programs(rng):
        if time.monotonic() >= end_s:
            break
        try:
            outcome = check(text)
        except Exception as error:
            print(f"FINDING with --seed {arguments.seed}: {type(error).__name__}: {error}")
            print(text)
            raise
        counts[outcome] = counts.get(outcome, 0) + 1
    print(f"seed {arguments.seed}: {sum(counts.values())} programs, {counts}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
