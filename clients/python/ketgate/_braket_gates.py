"""Braket's gates in OpenQASM: Braket's dialect has them built in, the language does not.

Source of the meanings: the matrices of braket.circuits.gates, phases included; the tests compare.
"""

import re

_DEFINITIONS = {
    "i": "gate i a { id a; }",
    "si": "gate si a { sdg a; }",
    "ti": "gate ti a { tdg a; }",
    "v": "gate v a { sx a; }",
    "vi": "gate vi a { inv @ sx a; }",
    "cnot": "gate cnot a, b { cx a, b; }",
    "ccnot": "gate ccnot a, b, c { ccx a, b, c; }",
    "cv": "gate cv a, b { ctrl @ sx a, b; }",
    "u": "gate u(t, f, l) a { U(t, f, l) a; }",
    "phaseshift": "gate phaseshift(f) a { p(f) a; }",
    "cphaseshift": "gate cphaseshift(f) a, b { cp(f) a, b; }",
    "cphaseshift00": "gate cphaseshift00(f) a, b { x a; x b; cp(f) a, b; x a; x b; }",
    "cphaseshift01": "gate cphaseshift01(f) a, b { x a; cp(f) a, b; x a; }",
    "cphaseshift10": "gate cphaseshift10(f) a, b { x b; cp(f) a, b; x b; }",
    "pswap": "gate pswap(f) a, b { swap a, b; cx a, b; p(f) b; cx a, b; }",
    "iswap": "gate iswap a, b { swap a, b; cx a, b; p(pi/2) b; cx a, b; }",
    "xx": "gate xx(t) a, b { h a; h b; cx a, b; rz(t) b; cx a, b; h a; h b; }",
    "yy": (
        "gate yy(t) a, b { rx(pi/2) a; rx(pi/2) b; cx a, b; rz(t) b; cx a, b; "
        "rx(-pi/2) a; rx(-pi/2) b; }"
    ),
    "zz": "gate zz(t) a, b { cx a, b; rz(t) b; cx a, b; }",
    "xy": "gate xy(t) a, b { xx(-t/2) a, b; yy(-t/2) a, b; }",
    "ecr": "gate ecr a, b { h b; zz(pi/4) a, b; h b; x a; h b; zz(-pi/4) a, b; h b; }",
    "gpi": "gate gpi(f) a { x a; rz(2*f) a; }",
    "gpi2": "gate gpi2(f) a { rz(-f) a; rx(pi/2) a; rz(f) a; }",
    "prx": "gate prx(t, f) a { rz(-f) a; rx(t) a; rz(f) a; }",
    "ms": ("gate ms(f, g, t) a, b { rz(-f) a; rz(-g) b; xx(t) a, b; rz(f) a; rz(g) b; }"),
}
_NEEDS = {"xy": ("xx", "yy"), "ecr": ("zz",), "ms": ("xx",)}
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def defined(text: str) -> str:
    """A program of Braket's exporter with the standard library, and with a definition of each gate
    that is Braket's own.
    """
    header, _, rest = text.partition("\n")
    used = set(_WORD.findall(rest)) & _DEFINITIONS.keys()
    used |= {needed for name in used for needed in _NEEDS.get(name, ())}
    definitions = [line for name, line in _DEFINITIONS.items() if name in used]
    return "\n".join([header, 'include "stdgates.inc";', *definitions, rest])
