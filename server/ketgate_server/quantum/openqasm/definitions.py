"""Texts of the library's gates that an include may lack.

They use only what stdgates.inc and the published qelib1.inc share, so that every reader of either
language understands them, and have the library's matrices, phase included (a test holds that).
"""

from __future__ import annotations

from collections.abc import Iterable

from ketgate_server.quantum.circuit import Circuit, Gate

_SX_B, _SXDG_B = "h b; s b; h b;", "h b; sdg b; h b;"
_SX_A, _SXDG_A = "h a; s a; h a;", "h a; sdg a; h a;"

DEFINITIONS: dict[str, str] = {
    "sx": "gate sx a { h a; s a; h a; }",
    "sxdg": "gate sxdg a { h a; sdg a; h a; }",
    "csx": "gate csx a, b { h b; t a; cx a, b; tdg b; cx a, b; t b; h b; }",
    "swap": "gate swap a, b { cx a, b; cx b, a; cx a, b; }",
    "cswap": "gate cswap a, b, c { cx c, b; ccx a, b, c; cx c, b; }",
    "crx": "gate crx(theta) a, b { h b; crz(theta) a, b; h b; }",
    "cry": "gate cry(theta) a, b { ry(theta/2) b; cx a, b; ry(-theta/2) b; cx a, b; }",
    "cu": (
        "gate cu(theta, phi, lambda, gamma) a, b { u1(gamma) a; cu3(theta, phi, lambda) a, b; }"
    ),
    "iswap": "gate iswap a, b { s a; s b; h a; cx a, b; cx b, a; h b; }",
    "ecr": (
        "gate ecr a, b { h b; cx a, b; rz(pi/4) b; cx a, b; h b; x a;"
        " h b; cx a, b; rz(-pi/4) b; cx a, b; h b; }"
    ),
    "rxx": "gate rxx(theta) a, b { h a; h b; cx a, b; rz(theta) b; cx a, b; h a; h b; }",
    "ryy": (
        "gate ryy(theta) a, b { rx(pi/2) a; rx(pi/2) b; cx a, b; rz(theta) b; cx a, b;"
        " rx(-pi/2) a; rx(-pi/2) b; }"
    ),
    "rzz": "gate rzz(theta) a, b { cx a, b; rz(theta) b; cx a, b; }",
    "rzx": "gate rzx(theta) a, b { h b; cx a, b; rz(theta) b; cx a, b; h b; }",
    "xx_plus_yy": (
        f"gate xx_plus_yy(theta, beta) a, b {{ rz(beta) a; rz(-pi/2) b; {_SX_B} rz(pi/2) b; s a;"
        " cx b, a; ry(-theta/2) b; ry(-theta/2) a; cx b, a;"
        f" sdg a; rz(-pi/2) b; {_SXDG_B} rz(pi/2) b; rz(-beta) a; }}"
    ),
    "xx_minus_yy": (
        f"gate xx_minus_yy(theta, beta) a, b {{ rz(-beta) b; rz(-pi/2) a; {_SX_A} rz(pi/2) a; s b;"
        " cx a, b; ry(theta/2) a; ry(-theta/2) b; cx a, b;"
        f" sdg b; rz(-pi/2) a; {_SXDG_A} rz(pi/2) a; rz(beta) b; }}"
    ),
    "ccz": "gate ccz a, b, c { h c; ccx a, b, c; h c; }",
}


def needed(circuit: Circuit, known: Iterable[str]) -> list[str]:
    """Names of the circuit's gates that have to be defined, where these are known already; in the
    order of the table, whose texts build on nothing but what both includes have."""
    used = {operation.name for operation in circuit.walk() if isinstance(operation, Gate)}
    used.difference_update(known)
    return [name for name in DEFINITIONS if name in used]
