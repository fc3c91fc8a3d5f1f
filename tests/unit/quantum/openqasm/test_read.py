"""What programs mean."""

import math
import pickle

import pytest
from ketgate_server.quantum.circuit import Barrier, Circuit, Condition, Gate, If, Measure
from ketgate_server.quantum.expression import Expression, parameter
from ketgate_server.quantum.openqasm.read import read

from .programs import PROGRAMS, bare, read2, read3, short


def test_a_bell_circuit_with_places_and_registers() -> None:
    circuit = read3("qubit[2] q;\nbit[2] c;\nh q[0];\n  cx q[0], q[1];\nc = measure q;\n")
    assert (circuit.num_qubits, circuit.num_bits) == (2, 2)
    assert short(circuit) == ["h 0", "cx 0 1", "Measure", "Measure"]
    assert [(o.place.line, o.place.column) for o in circuit.operations] == [
        (5, 1),
        (6, 3),
        (7, 1),
        (7, 1),
    ]
    assert circuit.measures_at_end


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_every_program_of_the_corpus_is_read_and_pickled(name: str) -> None:
    circuit = read3(PROGRAMS[name])
    assert circuit.operations
    assert pickle.loads(pickle.dumps(circuit)) == circuit
    assert circuit.source_digest


def _simulated(circuit: Circuit) -> int:
    """Bits after classical gates only."""
    state = memory = 0
    for operation in circuit.operations:
        if isinstance(operation, Measure):
            memory |= (state >> operation.qubit & 1) << operation.bit
        elif isinstance(operation, Gate):
            assert operation.name in ("x", "cx", "ccx")
            *controls, target = operation.qubits
            if all(state >> q & 1 for q in controls):
                state ^= 1 << target
    return memory


def test_the_adder_adds() -> None:
    assert _simulated(read3(PROGRAMS["adder"])) == 16


def test_loops_are_written_out() -> None:
    assert short(read3(PROGRAMS["qft"])) == [
        "x 0", "x 2", "h 0", "cp(1.571) 1 0", "cp(0.7854) 2 0", "cp(0.3927) 3 0", "h 1",
        "cp(1.571) 2 1", "cp(0.7854) 3 1", "h 2", "cp(1.571) 3 2", "h 3", *["Measure"] * 4,
    ]  # fmt: skip


def test_modifiers_become_one_form() -> None:
    assert short(read3(PROGRAMS["modifiers"])) == [
        "cx 0 1", "ccn@x 0 1 2 3", "sdg 0", "t^2 1", "x^0.5 2", "c@h^-3 0 3",
        "cx 0 1", "rx(-0.3) 0", "crx(3.142) 2 0", "ccx 2 0 1",
        "cx 3 1", "rx(-1) 3", "cx 3 1", "rx(-1) 3", "n@gphase(0.7854) 0", "gphase(-0.3927)",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ctrl @ ctrl @ x q[0], q[1], q[2];", "ccx 0 1 2"),
        ("ctrl @ ccx q[0], q[1], q[2], q[3];", "ccc@x 0 1 2 3"),
        ("negctrl @ cx q[0], q[1], q[2];", "nc@x 0 1 2"),
        ("ctrl @ U(1, 2, 3) q[0], q[1];", "cu(1,2,3,0) 0 1"),
        ("ctrl @ cu(1, 2, 3, 0) q[0], q[1], q[2];", "cc@u(1,2,3) 0 1 2"),
        ("ctrl @ gphase(0.5) q[2];", "p(0.5) 2"),
        ("ctrl(2) @ gphase(0.5) q[2], q[0];", "cp(0.5) 2 0"),
        ("ctrl @ swap q[0], q[1], q[2];", "cswap 0 1 2"),
        ("inv @ U(1, 2, 3) q[0];", "u(-1,-3,-2) 0"),
        ("inv @ inv @ t q[0];", "t 0"),
        ("pow(3) @ rx(0.5) q[0];", "rx(1.5) 0"),
        ("pow(0.5) @ rx(0.5) q[0];", "rx^0.5(0.5) 0"),
        ("pow(2) @ pow(0.25) @ x q[0];", "x^0.5 0"),
        ("pow(4) @ pow(1.25) @ rx(0.5) q[0];", "rx(2.5) 0"),
        ("pow(4) @ pow(1.25) @ crx(0.5) q[0], q[1];", "crx(2.5) 0 1"),
        ("pow(0) @ pow(1.25) @ rx(0.5) q[0];", "rx(0) 0"),
        ("pow(-4) @ pow(0.25) @ s q[0];", "sdg 0"),
        ("inv @ iswap q[0], q[1];", "iswap^-1 0 1"),
        ("inv @ csx q[0], q[1];", "c@sxdg 0 1"),
        ("ctrl @ inv @ sx q[0], q[1];", "c@sxdg 0 1"),
        ("ctrl @ pow(3) @ h q[0], q[1];", "c@h^3 0 1"),
        ("pow(3) @ ctrl @ h q[0], q[1];", "c@h^3 0 1"),
        ("pow(2) @ pow(0.5) @ cx q[0], q[1];", "cx 0 1"),
        ("u2(0.1, 0.2) q[0];", "u(1.571,0.1,0.2) 0"),
        ("cphase(0.1) q[0], q[1];", "cp(0.1) 0 1"),
    ],
)
def test_a_modifier(text: str, expected: str) -> None:
    assert short(read3("qubit[4] q; " + text)) == [expected]


def test_a_subroutine_measures_into_the_bits_of_its_caller() -> None:
    circuit = read3(PROGRAMS["qec"])
    assert circuit.num_bits == 5
    assert [r.name for r in circuit.bit_registers] == ["c", "syn"]
    measures = [op for op in circuit.operations if isinstance(op, Measure)]
    assert [(m.qubit, m.bit) for m in measures[:2]] == [(3, 3), (4, 4)]
    conditions = [op.condition for op in circuit.operations if isinstance(op, If)]
    assert conditions == [
        Condition((3, 4), "==", 1),
        Condition((3, 4), "==", 2),
        Condition((3, 4), "==", 3),
    ]


def test_aliases_name_parts() -> None:
    assert short(read3(PROGRAMS["aliases"]))[:6] == ["h 0", "h 3", "h 4", "x 2", "cx 2 3", "cx 1 4"]


def test_parameters_stay_formulas() -> None:
    circuit = read3(PROGRAMS["inputs"])
    assert circuit.parameters == ("alpha", "beta")
    first = circuit.operations[0]
    assert isinstance(first, Gate)
    assert first.parameters == (Expression("*", (0.5, parameter("alpha"))),)
    bound = circuit.bind({"alpha": 0.3, "beta": 0.9})
    second = bound.operations[1]
    assert isinstance(second, Gate)
    assert second.parameters[0] == pytest.approx(-0.3 + math.sin(0.3) ** 2)


def test_a_switch_on_measured_bits_becomes_ifs() -> None:
    *_, branch = read3(PROGRAMS["switch"]).operations
    names = []
    for memory in range(4):
        operation = branch
        while isinstance(operation, If):
            (operation, *_) = (
                operation.then if operation.condition.holds(memory) else operation.otherwise
            )
        assert isinstance(operation, Gate)
        names.append(operation.name)
    assert names == ["h", "x", "z", "z"]


@pytest.mark.parametrize(
    "text",
    [
        "c == 5", "c != 2", "c < 3", "c <= 3", "3 > c", "c > 6", "c >= 1", "6 <= c",
        "c[0]", "!c[0]", "c[0] && c[1]", "c[0] || c[2]", "c[0] == 1", "c[1] != true",
        "c[0] && (c[1] || !c[2])", "!(c[0] && c < 5) || c == 7", "c[0] ^ c[1]", "c[0] == c[2]",
        "c[0:1] == 2", 'c == "110"', "c[{2, 0}] == 1", "bool(c)", "uint(c) > 4", "int(c) == -1",
        "int[3](c) == -3", "c[0] & c[1] | c[2]", "true && c[1]", "c[1] && 1 < 2", "c == 9", "c < 8",
        "c[0] != c[1] && c[2] != c[1]", "bool(c[0:1]) && !bool(c[2])",
    ],
)  # fmt: skip
def test_a_condition_holds_where_it_should(text: str) -> None:
    circuit = read3(f"qubit[3] q; bit[3] c; c = measure q; if ({text}) x q[0]; else z q[0];")
    for memory in range(8):
        bits = [memory >> k & 1 for k in range(3)]
        assert _taken(circuit.operations[3], memory) == ("x" if _oracle(text, bits) else "z"), (
            memory
        )


def _oracle(text: str, bits: list[int]) -> bool:
    """The condition by Python, on plain numbers."""

    class C(int):
        def __getitem__(self, key: object) -> int:
            if isinstance(key, slice):
                return bits[key.start] | bits[key.stop] << 1
            if isinstance(key, tuple):
                return sum(bits[place] << k for k, place in enumerate(key))
            assert isinstance(key, int)
            return bits[key]

    number = sum(bit << k for k, bit in enumerate(bits))
    signed = number - 8 if number >= 4 else number
    for old, new in (
        ("int[3](c)", str(signed)), ("uint(c)", str(number)), ("int(c)", str(number)),
        ('"110"', "6"), ("&&", " and "), ("||", " or "), ("!=", "~"), ("!", " not "), ("~", "!="),
        ("true", "1"), ("{2, 0}", "2, 0"),
    ):  # fmt: skip
        text = text.replace(old, new)
    return bool(eval(text, {"c": C(number)}))


def _taken(operation: object, memory: int) -> str:
    while isinstance(operation, If):
        (operation,) = operation.then if operation.condition.holds(memory) else operation.otherwise
    assert isinstance(operation, Gate)
    return operation.name


def test_known_classical_values() -> None:
    assert short(read3(PROGRAMS["classical"])) == [
        "x 0", "x 2", "rz(6.283) 0", "rz(2.094) 2", "rx(3) 0", "rx(5) 1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 / 2", 0), ("-7 / 2", -3), ("1 / 2.0", 0.5), ("2 ** 3 ** 2", 512), ("-2 ** 2", -4),
        ("-7 % 3", -1), ("7 % -3", 1), ("-6 % 3", 0), ("-7.5 % 2", -1.5),
        ("7 % 4", 3), ("1 << 4 | 3", 19), ("0x1F & 0b1111", 15), ("1_000.5e-1", 100.05),
        ("2 + 3 * 4 - 1", 13), ("(2 + 3) * 4", 20), ("arctan(1) * 4", math.pi),
        ("sqrt(2.0)", math.sqrt(2)), ("ceiling(2.1)", 3), ("pow(2, 0.5)", math.sqrt(2)),
        ("int(2.9)", 2), ("float(3) / 2", 1.5), ("uint[4](17)", 1), ("popcount(\"1011\")", 3),
        ("exp(log(2.5))", 2.5), ("true + 1", 2), ("3 > 2 == true", 1), ("euler", math.e),
    ],
)  # fmt: skip
def test_arithmetic(text: str, value: float) -> None:
    (gate,) = read3(f"qubit q; rx({text}) q;").operations
    assert isinstance(gate, Gate)
    assert gate.parameters == (pytest.approx(value),)


def test_openqasm_2() -> None:
    circuit = read2(
        "qreg q[3]; creg c[2]; opaque unknown a;\n"
        "gate g(a) x1, y1 { U(a/2, 0, -a^2) x1; barrier x1; CX x1, y1; }\n"
        "u2(0, pi) q; g(1/2) q[0], q[1]; cu3(1, 2, 3) q[0], q[1]; u0(1) q[2]; cu1(sin(0)) q[0], q[2];"
        "measure q[0] -> c[0]; if (c == 1) x q; reset q[1]; barrier q;"
    )
    assert short(circuit)[:8] == [
        "u(1.571,0,3.142) 0", "u(1.571,0,3.142) 1", "u(1.571,0,3.142) 2", "u(0.25,0,-0.25) 0",
        "Barrier", "cx 0 1", "cu(1,2,3,0) 0 1", "id 2",
    ]  # fmt: skip
    branch = next(op for op in circuit.operations if isinstance(op, If))
    assert branch.condition == Condition((0, 1), "==", 1)
    assert len(branch.then) == 3


def test_a_definition_that_says_what_the_library_says_is_its_gate() -> None:
    text = "gate rzz(t0) a, b { cx a, b; rz(t0) b; cx a, b; } qubit[2] q; rzz(0.3) q[0], q[1];"
    assert short(read3(text)) == ["rzz(0.3) 0 1"]
    assert short(read3(text.replace("rz(", "p("))) == ["cx 0 1", "p(0.3) 1", "cx 0 1"]
    own = "gate h a { U(pi/2, 0, pi) a; } qubit q; h q;"
    assert short(read("OPENQASM 3;" + own)) == ["h 0"]


def test_a_barrier_without_operands_is_of_all() -> None:
    assert bare(read3("qubit[2] a; qubit b; barrier;").operations) == (Barrier((0, 1, 2)),)


def test_the_same_text_is_read_once_for_each_label() -> None:
    text = "OPENQASM 3.0; qubit q; U(0.123, 0, 0) q;"
    assert read(text, label="a") is read(text, label="a")
    assert read(text, label="b").label == "b"
