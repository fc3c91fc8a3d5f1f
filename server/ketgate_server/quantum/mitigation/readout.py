"""Correction of errors of readout that are known by bit: P(read 1 | 0) and P(read 0 | 1).

Expectations: each bit is weighed such that its mean is that of the true Z, so that a product of bits
is unbiased; no matrix is inverted. Counts: the inverse of the product of the bits' matrices, whole
for few bits; for more on the outcomes that were read (the way of Nation et al., PRX Quantum 2,
040326, 2021), since all others would be 2^n. Our own, as mthree would bring Qiskit and a client of a
cloud into every server for these few lines; the tests compare with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, gmres

from ketgate_server.errors import KetgateError, Reason

Flips = tuple[float, float]
"""(P(read 1 | 0), P(read 0 | 1))."""
WHOLE_BITS_MAX = 10
DENSE_OUTCOMES_MAX = 2048
OUTCOMES_MAX = 8192
HOPELESS = 1e-3
"""1 - p10 - p01 below it: what was read says nothing of the state."""
_ROWS = 256


def check(flips: Mapping[int, Flips]) -> None:
    """Raises KetgateError for a bit whose reading cannot be corrected."""
    for bit, (p10, p01) in flips.items():
        if 1.0 - p10 - p01 < HOPELESS:
            raise KetgateError(
                Reason.BACKEND_UNSUITABLE,
                f"readout of bit {bit} cannot be corrected: with errors {p10:.3g} and {p01:.3g} "
                "what is read says nothing; choose other qubits, or leave readout mitigation out",
            )


def corrected_counts(counts: Mapping[int, int], flips: Mapping[int, Flips]) -> dict[int, float]:
    """Quasi-probabilities by outcome, 1 together; some may be below 0. flips: by bit; bits that
    are not there are read without error."""
    check(flips)
    total = sum(counts.values())
    bits = sorted(bit for bit, pair in flips.items() if any(pair))
    if not bits or not total:
        return {outcome: count / max(total, 1) for outcome, count in counts.items()}
    mask = sum(1 << bit for bit in bits)
    by_rest: dict[int, dict[int, float]] = {}
    for outcome, count in counts.items():
        part = sum(((outcome >> bit) & 1) << k for k, bit in enumerate(bits))
        group = by_rest.setdefault(outcome & ~mask, {})
        group[part] = group.get(part, 0.0) + count / total
    pairs = [flips[bit] for bit in bits]
    out: dict[int, float] = {}
    for rest, group in by_rest.items():
        solved = _whole(group, pairs) if len(bits) <= WHOLE_BITS_MAX else _observed(group, pairs)
        for part, share in solved.items():
            key = rest | sum(((part >> k) & 1) << bit for k, bit in enumerate(bits))
            out[key] = share
    return out


def _whole(shares: Mapping[int, float], flips: Sequence[Flips]) -> dict[int, float]:
    vector = np.zeros(1 << len(flips))
    for part, share in shares.items():
        vector[part] = share
    for k, (p10, p01) in enumerate(flips):
        pairs = vector.reshape(-1, 2, 1 << k)
        zero, one = pairs[:, 0], pairs[:, 1]
        scale = 1.0 - p10 - p01
        vector = np.stack(
            [((1.0 - p01) * zero - p01 * one) / scale, ((1.0 - p10) * one - p10 * zero) / scale],
            axis=1,
        ).reshape(-1)
    return {int(k): float(vector[k]) for k in np.flatnonzero(np.abs(vector) > 1e-12)}


def _observed(shares: Mapping[int, float], flips: Sequence[Flips]) -> dict[int, float]:
    """On the outcomes that were read, each column of the matrix made 1 together again."""
    if len(shares) > OUTCOMES_MAX:
        raise KetgateError(
            Reason.LIMIT_EXCEEDED,
            f"readout mitigation takes at most {OUTCOMES_MAX} different outcomes of more than "
            f"{WHOLE_BITS_MAX} bits, given {len(shares)}; measure fewer qubits or take fewer shots",
        )
    parts = list(shares)
    read = np.array([[(part >> k) & 1 for k in range(len(flips))] for part in parts], dtype=np.int8)
    right = np.array(list(shares.values()))
    # log P(read bit | true bit): a product over bits is a sum of matrix products.
    logs = np.log(np.maximum([[[1 - a, b], [a, 1 - b]] for a, b in flips], 1e-300))
    weights = np.concatenate(
        [logs[:, r, t][None, :] * (read == t) for r in (0, 1) for t in (0, 1)], axis=1
    ).reshape(len(parts), 4, len(flips))
    shown = np.stack([read == 0, read == 0, read == 1, read == 1], axis=1).astype(float)

    def rows(start: int) -> NDArray[np.float64]:
        stop = min(start + _ROWS, len(parts))
        exponent = np.einsum("rak,cak->rc", shown[start:stop], weights, optimize=True)
        return np.asarray(np.exp(exponent))

    starts = range(0, len(parts), _ROWS)
    columns = np.sum([rows(start).sum(axis=0) for start in starts], axis=0)
    if len(parts) <= DENSE_OUTCOMES_MAX:
        matrix = np.concatenate([rows(start) for start in starts]) / columns
        solved = np.linalg.solve(matrix, right)
    else:
        operator = LinearOperator(
            (len(parts), len(parts)),
            matvec=lambda x: np.concatenate([rows(start) @ (x / columns) for start in starts]),
            dtype=np.float64,
        )
        solved, failed = gmres(operator, right, x0=right, rtol=1e-6, maxiter=20)
        if failed:
            raise KetgateError(
                Reason.BACKEND_UNSUITABLE,
                "readout mitigation did not converge: errors are too large",
            )
    return {part: float(share) for part, share in zip(parts, solved, strict=True)}


def bit_weights(flips: Flips) -> tuple[float, float]:
    """What a read 0 and a read 1 count as in the mean of Z: its expectation is then exact."""
    p10, p01 = flips
    scale = 1.0 - p10 - p01
    return (1.0 + p10 - p01) / scale, -(1.0 - p10 + p01) / scale
