"""The reference parser takes what is taken here, and refuses what is no OpenQASM at all."""

import random
import warnings

import pytest

pytest.importorskip("openqasm3.parser", reason="openqasm3[parser] is not installed")

import openqasm3
from ketgate_server.errors import KetgateError
from ketgate_server.quantum.openqasm.read import read
from ketgate_server.quantum.openqasm.write import write3

from .programs import HEAD, PROGRAMS


def _reference_takes(text: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            openqasm3.parse(text)
        except Exception:  # its errors have no common class but this
            return False
    return True


def _we_take(text: str) -> bool:
    try:
        read(text)
    except KetgateError:
        return False
    return True


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_the_corpus_and_what_is_written_of_it(name: str) -> None:
    text = HEAD + PROGRAMS[name]
    assert _reference_takes(text)
    assert _reference_takes(write3(read(text)))


@pytest.mark.parametrize(
    "body",
    [
        "qubit q", "h q[0]", "qubit[2 q;", "qubit q; rx(1 q;", "gate g a { x a;", "if true { }",
        "for i in [0:3] { }", "for int i in { }", "qubit q; ctrl x q;", "qubit q; ctrl @x q;",
        "int 3 = 4;", "let a == b;", "qubit[2] q; cx q[0] q[1];", "measure -> c;", "bit b b;",
        "qubit q; pow @ x q;", "const int n;", "switch (1) { x $0; }", "def f { }", "x $q;",
        'include stdgates.inc;', "return = 3;", "qubit q; x q; }", "else { }", "int n = ;",
        "qubit q; rx(0.3,,0.1) q;", "h @ q;", "input float;", "a++;", "rx(1..2) $0;", "x ?;",
    ],
)  # fmt: skip
def test_what_is_no_openqasm(body: str) -> None:
    assert not _reference_takes(HEAD + body)
    assert not _we_take(HEAD + body)


def test_a_token_less_or_twice() -> None:
    """Nothing that the reference refuses is taken here. (The other way round there is meaning.)"""
    rng = random.Random(11)
    taken = 0
    for name in sorted(PROGRAMS):
        words = PROGRAMS[name].split(" ")
        for _ in range(6):
            k = rng.randrange(len(words))
            changed = words[:k] + rng.choice([[], [words[k]] * 2, [";"], ["q"]]) + words[k + 1 :]
            text = HEAD + " ".join(changed)
            if _we_take(text):
                taken += 1
                assert _reference_takes(text), text
    assert taken > 5
