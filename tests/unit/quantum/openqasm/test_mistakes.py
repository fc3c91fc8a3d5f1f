"""What is wrong is refused where it stands, with what was expected and what to do."""

import pytest
from ketgate_server.errors import KetgateError, LimitError, Reason
from ketgate_server.quantum.openqasm.read import ReadLimits, read

from .programs import HEAD, HEAD_2, read3

# (what follows the two lines of the head, line, column, a part of the message)
MISTAKES = [
    ("qubit q; hh q;", 3, 10, "the gate `hh` is unknown at `hh q;`; did you mean `h`?"),
    ("qubit q; h qq;", 3, 12, "`qq` is unknown at `qq;`; did you mean `q`?"),
    ("qubit q; h q", 3, 13, "expected `;`, found the end of the program"),
    ("qubit q\nh q;", 4, 1, "expected `;`, found `h`"),
    ("qubit[2] q; cx q[0], q[0];", 3, 22, "given the same qubit twice"),
    ("qubit[2] q; cx q[0];", 3, 13, "acts on 2 qubits, 1 is given"),
    ("qubit[2] q; x q[0], q[1];", 3, 13, "acts on 1 qubit, 2 are given"),
    ("qubit q; rx q;", 3, 10, "takes 1 parameter, 0 are given"),
    ("qubit q; h(1) q;", 3, 10, "takes 0 parameters, 1 is given"),
    ("qubit[2] q; h q[2];", 3, 15, "index 2 is beyond `q`, which has 2 parts"),
    ("qubit[2] q; h q[-3];", 3, 15, "index -3 is beyond `q`"),
    ("qubit q; h q[0];", 3, 12, "`q` is a qubit and has no parts"),
    ("qubit[2] q; h q[0.5];", 3, 17, "an index is to be a known integer, not the number 0.5"),
    ("qubit[2] a; qubit[3] b; cx a, b;", 3, 25, "the registers have different sizes: 2 and 3"),
    ("qubit q; qubit q;", 3, 16, "`q` is a qubit already"),
    ("qubit x;", 3, 7, "`x` is a gate already"),
    ("qubit[0] q;", 3, 7, "the size of `q` is 0"),
    ("qubit[2] q; bit c; c = measure q;", 3, 20, "2 qubits cannot be measured into 1 bit"),
    ("qubit q; measure q;", 3, 19, "expected `->`, found `;`"),
    ("qubit q; int n; n = measure q;", 3, 17, "only bits can take the result of a measurement"),
    ("qubit q; rx(1 / 0) q;", 3, 15, "division by zero"),
    ("qubit q; rx(sqrt(-1)) q;", 3, 13, "sqrt(-1) is no real number"),
    ("qubit q; rx(2 ** 100) q;", 3, 15, "the result is too large"),
    ("qubit q; rx(q) q;", 3, 13, "the parameter of a gate is to be a number, not a qubit"),
    ("qubit q; bit b; rx(b) q;", 3, 20, "not a measured bit"),
    ("input float a; qubit q; if (a > 0) x q;", 3, 31, "cannot be decided for a value"),
    ("input float a; for int i in [0:a] { }", 3, 32, "depends on an input parameter"),
    ("input int n;", 3, 1, "an input of type int is not supported"),
    ("output float f;", 3, 1, "an output of type float is not supported"),
    ("const int n;", 3, 12, "the constant n lacks its value"),
    ("const int n = 2; n = 3;", 3, 18, "`n` is a constant and cannot be assigned to"),
    ("int n; qubit q; rx(n) q;", 3, 20, "`n` has no value yet"),
    ("int[4] n = 100;", 3, 1, "100 does not fit into int[4]"),
    ("bit[2] c; c = 3;", 3, 11, "bits are written by measurements only"),
    ("bit a; bit b; a = b;", 3, 15, "a bit cannot be computed from a measured bit"),
    ("qubit q; bit b; int n = 0; if (b) { n = 1; }", 3, 37, "would depend on a measurement"),
    ("bit b; while (b) { }", 3, 15, "a loop that depends on measured bits"),
    ("for int i in [0:9] { bit b; if (b) break; }", 3, 36, "`break` that depends on measured bits"),
    ("break;", 3, 1, "`break` stands outside of a loop"),
    ("bit b; rx(b && true) b;", 3, 13, "a condition on measured bits can only be decided by `if`"),
    ("bit[2] c; if (c + 1 == 2) { }", 3, 17, "numbers cannot be computed from measured bits"),
    ('bit[2] c; if (c == "101") { }', 3, 17, "2 measured bits are compared with 3 bits"),
    ("gate g a { h b; }", 3, 14, "the name `b` is unknown"),
    ("gate g a, a { }", 3, 11, "`a` is there twice"),
    ("gate g a { reset a; }", 3, 12, "only gates and barriers can be part of a gate"),
    ("gate g a { g a; }", 3, 12, "the gate `g` is unknown"),
    ("gate g { }", 3, 8, "the gate g has no qubits"),
    ("gate h a { }", 3, 1, "`h` is a gate already"),
    ("qubit q; ctrl @ x q;", 3, 10, "acts on 1 qubit and 1 control, 1 is given"),
    ("qubit q; ctrl @x q;", 3, 15, "a modifier needs a space after its @"),
    ("qubit q; pow @ x q;", 3, 14, "pow lacks its exponent"),
    ("input float a; qubit q; pow(a) @ x q;", 3, 29, "the exponent of pow depends on a parameter"),
    ("qubit q; pow(0.5) @ pow(0.5) @ x q;", 3, 10, "has several meanings"),
    ("gate g a { h a; x a; } qubit q; pow(0.5) @ g q;", 3, 33, "is to be a known integer"),
    ("qubit q; delay[10ns] q;", 3, 10, "timing (`delay`) is not supported"),
    ("qubit q; box { x q; }", 3, 10, "timing (`box`) is not supported"),
    ("duration d = 10ns;", 3, 1, "durations (`duration`) are not supported"),
    ("defcal x $0 { }", 3, 1, "pulses (`defcal`)"),
    ("extern f(int) -> int;", 3, 1, "functions from outside (`extern`)"),
    ("array[int, 3] a = {1, 2, 3};", 3, 1, "arrays (`array`) are not supported"),
    ("complex[float] z = 1im;", 3, 1, "complex numbers (`complex`) are not supported"),
    ("#pragma braket noise bit_flip(0.1) q", 3, 1, "a pragma may change what the program means"),
    ('include "other.inc";', 3, 1, 'other files are not read at `include "other.inc";`'),
    ('include "qelib1.inc";', 3, 1, "`qelib1.inc` belongs to OpenQASM 2"),
    ("qubit q; x q; }", 3, 15, "expected a statement, found `}`"),
    ("qubit q; if (true) { x q;", 3, 20, "the block is not closed"),
    ("/* never closed", 3, 1, "a comment is not closed"),
    ("qubit q; rx(0.1 q;", 3, 12, "the bracket is not closed"),
    ("qubit é?;", 3, 8, "the character '?' has no meaning"),
    ("rx(99999999999999999999999) $0;", 3, 4, "the number is too large"),
    ("rx(1e999) $0;", 3, 4, "the number is too large"),
    ("let a = 3;", 3, 1, "`let` names qubits or bits"),
    ("qubit[2] q; let a = q ++ q[0];", 3, 13, "a qubit is there twice"),
    ("def f(qubit a) { x a; } qubit[2] q; f(q);", 3, 39, "the argument `a` is qubit, a register"),
    ("def f(int a) { } f(1, 2);", 3, 18, "`f` takes 1 arguments, 2 are given"),
    ("int n = 1; def f() { int m = n; } f();", 3, 30, "the name `n` is unknown"),
    ("def f() { f(); } f();", 3, 11, "nested more than"),
    ("qubit q; f(q);", 3, 10, "the function `f` is unknown"),
    ("if (true) { qubit q; }", 3, 13, "qubits can only be declared outside of blocks"),
    ("switch (1) { default { } case 1 { } }", 3, 26, "expected `}`, found `case`"),
    ("x $0; qubit q;", 1, 1, "names hardware qubits ($0) and declares qubits"),
    ("qubit if;", 3, 7, "expected a name, found the keyword `if`"),
    ("qubit pi;", 3, 7, "`pi` is a name of the language"),
    ("qubit q; bit b = 1;", 3, 10, "bits are written by measurements only"),
    ("bit a; return a;", 3, 8, "`return` stands outside of a subroutine"),
    ("if (true) { return; }", 3, 13, "`return` stands outside of a subroutine"),
    ('x "a\x1fb";', 3, 3, 'found `"a\N{REPLACEMENT CHARACTER}b"`'),
    ("3 + 4;", 3, 1, "expected a statement, found `3`"),
    ("qubit q; pow(1e300) @ rz(1e300) q;", 3, 10, "an angle of rz, times the exponent, is too"),
    ("qubit q; pow(1e300) @ pow(1e300) @ x q;", 3, 10, "the product of the exponents is too"),
    (
        "def f(bit a, qubit q) -> bit { bit b; b = measure q; if (a) x q; return b; } "
        "qubit q; bit c; c = measure q; c = f(c, q);",
        3, 113, "the result is written into bits that are also an argument",
    ),
    (
        "def f(qubit q) -> bit { x q; } qubit q; bit c; c = f(q);",
        3, 52, "`f` ends without returning a value",
    ),
]  # fmt: skip

MISTAKES_2 = [
    ("qubit q;", 3, 1, "`qubit` is OpenQASM 3"),
    ("qreg q;", 3, 7, "the register q lacks its size"),
    ("qreg q[1]; opaque g a; g q[0];", 3, 24, "the gate `g` is opaque"),
    ("qreg q[1]; creg c[1]; if (c > 0) x q[0];", 3, 29, "expected `)`, found `>`"),
    ("qreg q[1]; ctrl @ x q[0];", 3, 12, "`ctrl` is OpenQASM 3"),
    ("qreg q[1]; phase(1) q[0];", 3, 12, "the gate `phase` is unknown"),
]


@pytest.mark.parametrize(("body", "line", "column", "problem"), MISTAKES, ids=lambda v: str(v)[:40])
def test_a_mistake(body: str, line: int, column: int, problem: str) -> None:
    _refused(HEAD + body, line, column, problem)


@pytest.mark.parametrize(("body", "line", "column", "problem"), MISTAKES_2)
def test_a_mistake_in_openqasm_2(body: str, line: int, column: int, problem: str) -> None:
    _refused(HEAD_2 + body, line, column, problem)


def _refused(text: str, line: int, column: int, problem: str) -> None:
    with pytest.raises(KetgateError) as caught:
        read(text, field="circuits[0].openqasm")
    error = caught.value
    assert error.reason is Reason.PROGRAM_INVALID
    assert error.field == "circuits[0].openqasm"
    assert problem in error.message
    assert error.metadata == {"line": str(line), "column": str(column)}
    assert error.message.startswith(f"circuits[0].openqasm, line {line}, column {column}: ")
    assert len(error.message) < 400


@pytest.mark.parametrize(
    ("text", "line", "column", "problem"),
    [
        ("", 1, 1, ""),
        ("OPENQASM 4.0; qubit q;", 1, 10, "expected the version 3.0 or 2.0, found `4.0`"),
        ("OPENQASM 3.0 qubit q;", 1, 14, "expected `;`"),
        ("OPENQASM 3.0; qubit q; h q;", 1, 24, 'add the line include "stdgates.inc";'),
        ("OPENQASM 2.0; qreg q[1]; h q[0];", 1, 26, "the gate `h` is unknown"),
    ],
)
def test_the_head(text: str, line: int, column: int, problem: str) -> None:
    if not problem:
        assert read(text).num_qubits == 0
        return
    with pytest.raises(KetgateError) as caught:
        read(text)
    assert caught.value.metadata == {"line": str(line), "column": str(column)}
    assert problem in caught.value.message


SMALL = ReadLimits(program_bytes_max=2_000, operations_max=100, qubits_max=50)


@pytest.mark.parametrize(
    ("body", "limit"),
    [
        ("x" * 2_000, "quantum.program_bytes_max"),
        ("qubit[51] q;", "quantum.program_qubits_max"),
        ("qubit[30] q; qubit[30] r;", "quantum.program_qubits_max"),
        ("bit[51] c;", "quantum.program_qubits_max"),
        ("x $50;", "quantum.program_qubits_max"),
        ("qubit q; for int i in [0:100] { x q; }", "quantum.operations_max"),
        ("qubit q; for int i in [0:1000000000] { }", "quantum.operations_max"),
        ("while (true) { }", "quantum.operations_max"),
        ("qubit[50] q; x q; x q; x q;", "quantum.operations_max"),
        ("gate g a { h a; x a; } qubit q; pow(1000000000) @ g q;", "quantum.operations_max"),
        (
            "gate g0 a { } "
            + "".join(f"gate g{k + 1} a {{ g{k} a; g{k} a; }} " for k in range(30))
            + "qubit q; g30 q;",
            "quantum.operations_max",
        ),
        (
            "bit b; qubit q; " + "if (b) { " * 5 + "for int i in [0:30] x q; " * 5 + "}" * 5,
            "quantum.operations_max",
        ),
    ],
)
def test_limits(body: str, limit: str) -> None:
    with pytest.raises(LimitError) as caught:
        read(HEAD + body, limits=SMALL)
    assert caught.value.limit == limit
    assert caught.value.field == "openqasm"


@pytest.mark.parametrize(
    "body",
    [
        "qubit q; rx(" + "(" * 10_000 + "1" + ")" * 10_000 + ") q;",
        "qubit q; rx(" + "-" * 10_000 + "1) q;",
        "qubit q; rx(1" + "+1" * 10_000 + ") q;",
        "x[" * 10_000,
        "qubit q; rx(" + "1**" * 10_000 + "1) q;",
        "qubit q; rx(" + "sin(" * 10_000 + "1) q;",
        "if (true) " * 10_000 + "{ }",
        "if (true) {" * 10_000,
        "qubit q; " + "inv @ " * 10_000 + "x q;",
        "bit b; qubit q;" + " if (b) x q; else" * 1_000 + " x q;",
        "qubit q; x q" + "[0]" * 10_000 + ";",
        "input float a; qubit q; float b = a;" + " b = b + b;" * 1_000 + " rx(b) q;",
        "bit b; if (b" + " ^ b" * 200 + ") { }",
        "gate g0(t0) a { rx(t0) a; } "
        + "".join(f"gate g{k + 1}(t0) a {{ g{k}(t0 * t0 + t0) a; }} " for k in range(47))
        + "input float v; qubit q; g47(v) q;",
    ],
    ids=range(14),
)
def test_what_is_deep_is_refused_and_harms_nothing(body: str) -> None:
    with pytest.raises(KetgateError) as caught:
        read3(body)
    assert caught.value.reason is Reason.PROGRAM_INVALID
    assert "nested too deeply" not in caught.value.message  # each has a limit of its own
