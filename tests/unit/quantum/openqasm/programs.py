"""Short ways to say programs in tests, and a corpus of correct ones."""

from dataclasses import replace

from ketgate_server.quantum.circuit import NOWHERE, Circuit, Gate, If, Operation
from ketgate_server.quantum.openqasm.read import read

HEAD = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'
HEAD_2 = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'


def read3(body: str) -> Circuit:
    return read(HEAD + body)


def read2(body: str) -> Circuit:
    return read(HEAD_2 + body)


def bare(operations: tuple[Operation, ...]) -> tuple[Operation, ...]:
    """Without places."""
    out: list[Operation] = []
    for operation in operations:
        bared = replace(operation, place=NOWHERE)
        if isinstance(bared, If):
            bared = replace(bared, then=bare(bared.then), otherwise=bare(bared.otherwise))
        out.append(bared)
    return tuple(out)


def short(circuit: Circuit) -> list[str]:
    """Gates as "name qubits", everything else by its type."""
    out = []
    for operation in circuit.operations:
        if isinstance(operation, Gate):
            angles = ",".join(f"{a:.4g}" for a in operation.parameters)  # type: ignore[str-format]
            name = "".join("c" if value else "n" for value in operation.controls)
            power = f"^{operation.power:g}" if operation.power != 1.0 else ""
            shown = f"{name and name + '@'}{operation.name}{power}" + (
                f"({angles})" if angles else ""
            )
            out.append(f"{shown} {' '.join(map(str, operation.qubits))}".strip())
        else:
            out.append(type(operation).__name__)
    return out


PROGRAMS = {
    "bell": "qubit[2] q; bit[2] c; h q[0]; cx q[0], q[1]; c = measure q;",
    "teleport": """
        qubit[3] q; bit c0; bit c1;
        U(0.3, 0.2, 0.1) q[0]; h q[1]; cx q[1], q[2]; barrier q; cx q[0], q[1]; h q[0];
        c0 = measure q[0]; c1 = measure q[1];
        if (c0 == 1) z q[2];
        if (c1 == 1) { x q[2]; }
    """,
    "qft": """
        const int n = 4; qubit[n] q; bit[n] c; x q[0]; x q[2];
        for int i in [0:n - 1] {
          h q[i];
          for int j in [1:n - 1 - i] { cp(pi / 2 ** j) q[i + j], q[i]; }
        }
        measure q -> c;
    """,
    "adder": """
        gate majority a, b, c { cx c, b; cx c, a; ccx a, b, c; }
        gate unmaj a, b, c { ccx a, b, c; cx c, a; cx a, b; }
        qubit[1] cin; qubit[4] a; qubit[4] b; qubit[1] cout; bit[5] ans;
        uint[4] a_in = 1; uint[4] b_in = 15;
        reset cin; reset a; reset b; reset cout;
        for uint i in [0:3] {
          if (bool(a_in[i])) x a[i];
          if (bool(b_in[i])) x b[i];
        }
        majority cin[0], b[0], a[0];
        for uint i in [0:2] { majority a[i], b[i + 1], a[i + 1]; }
        cx a[3], cout[0];
        for uint i in [2:-1:0] { unmaj a[i], b[i + 1], a[i + 1]; }
        unmaj cin[0], b[0], a[0];
        ans[0:3] = measure b[0:3];
        ans[4] = measure cout[0];
    """,
    "qec": """
        def syndrome(qubit[3] d, qubit[2] a) -> bit[2] {
          bit[2] b;
          cx d[0], a[0]; cx d[1], a[0]; cx d[1], a[1]; cx d[2], a[1];
          b = measure a;
          return b;
        }
        qubit[3] q; qubit[2] a; bit[3] c; bit[2] syn;
        reset q; reset a; x q[0];
        syn = syndrome(q, a);
        if (int[3](syn) == 1) x q[0];
        if (syn == "10") x q[2];
        if (syn == 3) x q[1];
        c = measure q;
    """,
    "modifiers": """
        qubit[4] q;
        ctrl @ x q[0], q[1];
        ctrl(2) @ negctrl @ x q[0], q[1], q[2], q[3];
        inv @ s q[0]; pow(2) @ t q[1]; pow(1 / 2.0) @ x q[2]; inv @ pow(3) @ ctrl @ h q[0], q[3];
        gate two(a) x1, y1 { rx(a) x1; cx x1, y1; }
        inv @ two(0.3) q[0], q[1]; ctrl @ two(pi) q[2], q[0], q[1]; pow(-2) @ two(1) q[3], q[1];
        negctrl @ gphase(pi / 4) q[0]; gphase(-pi / 8);
    """,
    "aliases": """
        qubit[3] a; qubit[2] b; bit[3] c;
        let all = a ++ b; let some = all[{0, 3, 4}]; let last = a[-1]; let back = a[2:-1:0];
        h some; x last; cx back, a[{1, 0, 2}] ;
        c[0:1] = measure b;
    """.replace("cx back, a[{1, 0, 2}] ;", "cx back[0:1], b;"),
    "inputs": """
        input float alpha; input angle[32] beta; qubit[2] q;
        const float half = 0.5;
        rx(half * alpha) q[0]; rz(-beta / 3 + sin(alpha) ** 2) q[1]; cu(alpha, beta, 0, 1) q[0], q[1];
    """,
    "switch": """
        qubit[2] q; bit[2] c; c = measure q;
        switch (int(c)) {
          case 1 { x q[0]; }
          case 2, 3 { z q[0]; }
          default { h q; }
        }
    """,
    "classical": """
        int n = 0; qubit[3] q; bool flag = true; const bit[3] k = "101"; float x1 = 2 * pi;
        while (n < 3) { if (k[n] == 1 && flag) { x q[n]; } n += 1; }
        for int i in {0, 2} { rz(x1 / (i + 1)) q[i]; if (i == 0) { continue; } break; }
        int m = popcount(k) + sizeof(q) * 2 % 5; rx(m) q[0]; rx(mod(7, 4) + floor(2.5)) q[1];
    """,
    "hardware": "bit c; h $0; cx $0, $3; c = measure $3;",
    "conditions": """
        qubit[2] q; bit[3] c; bit d; c[0:1] = measure q; d = measure q[0];
        if (c[0] && !d) { x q[0]; } else { y q[0]; }
        if (c >= 2 || d) { reset q[1]; }
        if ((c[0] ^ c[1]) == true) z q[1];
        if (c[1:2] != 2) { if (d != 1) h q; } else if (c[0]) { s q[0]; }
        if (bool(c)) t q[0];
    """,
    "annotated": """
        /* a comment
           of two lines */
        @reversible
        gate mine q { x q; } // at the end
        qubit π1; mine π1; rz(π + τ - ℇ) π1; end; x π1;
    """,
}
"""Correct OpenQASM 3, without its first lines."""
