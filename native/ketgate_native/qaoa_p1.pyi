from typing import NamedTuple

from numpy.typing import ArrayLike

from ketgate_native.monitor import Monitor

SPINS_MAX: int

class Terms(NamedTuple):
    """At given gamma, <C> - offset = single sin(2 beta) + mixed sin(4 beta) + pair sin(2 beta)^2."""

    single: float
    mixed: float
    pair: float

class Value(NamedTuple):
    """The expectation and its derivatives."""

    expectation: float
    by_gamma: float
    by_beta: float

class ClosedForm:
    """<C> in the state exp(-i beta sum X) exp(-i gamma C)|+> of C = offset + sum h_i s_i + sum J_ij s_i s_j.

    linear: (n,) fields. row, col, weight: (m,) couplings; repeated pairs are summed. Thousands of spins: a coupling
    costs the degrees of its two. Source: Ozaeta, van Dam and McMahon, Quantum Sci. Technol. 7, 045036 (2022). Raises
    ValueError, naming the argument.

    >>> round(ClosedForm([0.0, 0.0], [0], [1], [1.0]).value(0.7853981633974483, -0.39269908169872414).expectation, 12)
    -1.0
    """

    def __init__(
        self, linear: ArrayLike, row: ArrayLike, col: ArrayLike, weight: ArrayLike, offset: float = 0.0
    ) -> None: ...
    def terms(self, gamma: float, *, monitor: Monitor | None = None) -> Terms:
        """What remains a function of beta. Raises monitor.Stopped."""
    def value(self, gamma: float, beta: float, *, monitor: Monitor | None = None) -> Value:
        """Raises monitor.Stopped."""
    @property
    def offset(self) -> float: ...
