"""A quadratic function of two-valued variables, evaluated from the caller's own numbers."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ketgate_server.cached import cached_property
from ketgate_server.type.sparse import Sparse

TERMS_AT_ONCE = 1 << 20
"""Terms multiplied out at once: bounds the memory of an evaluation."""
EXACT_MAX = 2.0**53
FINEST = 2.0**20


class Alphabet(StrEnum):
    """The two values of a variable."""

    SPIN = "spin"
    """-1 and +1, int8."""
    BINARY = "binary"
    """0 and 1, uint8."""


@dataclass(frozen=True)
class QuadraticFunction:
    """offset + sum linear[i] v_i + sum value[k] v_row[k] v_column[k]."""

    alphabet: Alphabet
    linear: NDArray[np.float64]
    """(n,)"""
    quadratic: Sparse
    offset: float

    @property
    def size(self) -> int:
        return len(self.linear)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.int8 if self.alphabet is Alphabet.SPIN else np.uint8)

    @cached_property
    def magnitude(self) -> float:
        """No value of the function is larger than this."""
        with np.errstate(over="ignore"):
            parts = (
                np.abs(self.linear).sum(),
                np.abs(self.quadratic.value).sum(),
                abs(self.offset),
            )
            return float(sum(float(part) for part in parts))

    @cached_property
    def exact(self) -> bool:
        """Whether every sum of coefficients is exact: all are whole multiples of 2^-20, and small."""
        parts = (self.linear, self.quadratic.value, np.array([self.offset]))
        scaled = [part * FINEST for part in parts]
        whole = all(bool((part == np.rint(part)).all()) for part in scaled)
        return whole and 8.0 * self.magnitude * FINEST < EXACT_MAX

    def holds(self, values: NDArray[Any]) -> bool:
        """Whether these are values of the variables at all."""
        if values.shape != (self.size,) or not self.size:
            return False
        if self.alphabet is Alphabet.SPIN:
            return bool(((values == 1) | (values == -1)).all())
        return bool(((values == 0) | (values == 1)).all())

    def __call__(self, values: NDArray[Any]) -> float:
        """The value in float64: pairwise sums of at most 2^20 terms, added exactly."""
        small = values.astype(np.int8, copy=False)
        parts = [self.offset, float((self.linear * small).sum())]
        terms = self.quadratic
        for start in range(0, terms.entries, TERMS_AT_ONCE):
            piece = slice(start, start + TERMS_AT_ONCE)
            product = small[terms.row[piece]] * small[terms.column[piece]]
            parts.append(float((terms.value[piece] * product).sum()))
        return math.fsum(parts)

    def snap(self, values: NDArray[Any]) -> NDArray[Any]:
        """The nearest values of the alphabet, in its dtype."""
        if values.dtype == self.dtype:
            return values
        if self.alphabet is Alphabet.SPIN:
            return np.where(values > 0, 1, -1).astype(np.int8)
        return (np.asarray(values) > 0.5).astype(np.uint8)

    def from_spins(self, spins: NDArray[np.int8]) -> NDArray[Any]:
        """What a kernel that works on spins found, in the caller's form; s = 2 x - 1."""
        if self.alphabet is Alphabet.SPIN:
            return spins
        return (spins > 0).astype(np.uint8)

    def from_binaries(self, binaries: NDArray[np.uint8]) -> NDArray[Any]:
        """The caller's form of what a kernel that works on binaries found."""
        if self.alphabet is Alphabet.BINARY:
            return binaries
        return (2 * binaries.astype(np.int8) - 1).astype(np.int8)

    def to_spins(self, values: NDArray[Any]) -> NDArray[np.int8]:
        signed = values.astype(np.int8)
        return signed if self.alphabet is Alphabet.SPIN else (2 * signed - 1).astype(np.int8)

    def as_binary(self) -> "QuadraticFunction":
        """The same function of x = (s + 1) / 2."""
        if self.alphabet is Alphabet.BINARY:
            return self
        q = self.quadratic
        linear = 2.0 * self.linear
        np.subtract.at(linear, q.row, 2.0 * q.value)
        np.subtract.at(linear, q.column, 2.0 * q.value)
        offset = math.fsum([self.offset, -float(self.linear.sum()), float(q.value.sum())])
        return QuadraticFunction(
            Alphabet.BINARY, linear, Sparse(q.row, q.column, 4.0 * q.value), offset
        )
