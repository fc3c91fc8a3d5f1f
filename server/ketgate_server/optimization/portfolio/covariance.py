"""Covariances, dense and in factor form, behind one small face: what solvers and figures ask of
them.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ketgate_server.cached import cached_property

Array = NDArray[np.float64]


class Covariance(Protocol):
    """A symmetric positive semidefinite matrix C of n names."""

    @property
    def size(self) -> int: ...

    def times(self, weights: Array) -> Array:
        """C w, shape (n,); or C W for W of shape (n, m)."""

    def diagonal(self) -> Array:
        """Variances of the names, shape (n,)."""

    def dense(self) -> Array:
        """C itself, shape (n, n)."""

    @property
    def nbytes(self) -> int:
        """Bytes that it holds."""


def variance(covariance: Covariance, weights: Array) -> float:
    """w'Cw, never below 0: rounding of a singular C could say otherwise."""
    return max(0.0, float(weights @ covariance.times(weights)))


@dataclass(frozen=True, eq=False)
class Dense:
    """A covariance given entry by entry."""

    matrix: Array
    """(n, n), exactly symmetric."""

    @property
    def size(self) -> int:
        return len(self.matrix)

    def times(self, weights: Array) -> Array:
        return np.asarray(self.matrix @ weights)

    def diagonal(self) -> Array:
        return np.diagonal(self.matrix)

    def dense(self) -> Array:
        return self.matrix

    @property
    def nbytes(self) -> int:
        return self.matrix.nbytes


@dataclass(frozen=True, eq=False)
class Factors:
    """F G F' + diag(D), never formed: C w costs O(n k)."""

    loadings: Array
    """F, shape (n, k)."""
    specific_variances: Array
    """D, shape (n,), not negative."""
    factor_covariance: Array | None = None
    """G, shape (k, k), positive semidefinite; None: the identity."""

    @property
    def size(self) -> int:
        return len(self.loadings)

    @cached_property
    def scaled_loadings(self) -> Array:
        """L of shape (n, k) with L L' = F G F'. From the eigenvectors of G, as G may be
        singular.
        """
        if self.factor_covariance is None:
            return self.loadings
        values, vectors = np.linalg.eigh(self.factor_covariance)
        return np.ascontiguousarray((self.loadings @ vectors) * np.sqrt(np.maximum(values, 0.0)))

    def times(self, weights: Array) -> Array:
        exposure = self.loadings.T @ weights
        if self.factor_covariance is not None:
            exposure = self.factor_covariance @ exposure
        specific = (
            self.specific_variances if weights.ndim == 1 else self.specific_variances[:, None]
        )
        return np.asarray(self.loadings @ exposure + specific * weights)

    def diagonal(self) -> Array:
        return np.asarray(
            np.einsum("ij,ij->i", self.scaled_loadings, self.scaled_loadings)
            + self.specific_variances
        )

    def dense(self) -> Array:
        scaled = self.scaled_loadings
        return np.asarray(scaled @ scaled.T + np.diag(self.specific_variances))

    @property
    def nbytes(self) -> int:
        return 2 * self.loadings.nbytes + self.specific_variances.nbytes
