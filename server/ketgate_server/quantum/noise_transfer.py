"""Pauli transfer matrices: maps on k qubits as real matrices R_ij = Tr(P_i map(P_j)) / 2^k.

Index i = sum of 4^j times the letter on the map's qubit j (0 I, 1 X, 2 Y, 3 Z). To compose maps is
to multiply matrices, and what comes out tells whether it is a mixture of Paulis.
"""

import itertools
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from ketgate_server.quantum.noise import Channel
from ketgate_server.quantum.noise_channels import pauli_matrix

Transfer = NDArray[np.float64]
Operators = NDArray[np.complex128]
NOTHING = 1e-14
"""Weights below it are rounding."""


@cache
def pauli_matrices(num_qubits: int) -> Operators:
    """(4^k, 2^k, 2^k) by index."""
    words = itertools.product("IXYZ", repeat=num_qubits)
    out = np.array([pauli_matrix("".join(reversed(word))) for word in words])
    out.setflags(write=False)
    return out


def transfer_of_kraus(kraus: Operators) -> Transfer:
    """Of the map rho -> sum K rho K^dagger; kraus: (m, 2^k, 2^k)."""
    size = kraus.shape[-1].bit_length() - 1
    paulis = pauli_matrices(size)
    flat = paulis.conj().reshape(len(paulis), -1)
    out = np.zeros((len(paulis), len(paulis)))
    for operator in kraus:
        moved = operator @ paulis @ operator.conj().T
        out += (flat @ moved.reshape(len(paulis), -1).T).real
    return np.asarray(out / kraus.shape[-1])


def transfer_of_unitary(unitary: Operators) -> Transfer:
    return transfer_of_kraus(unitary[None])


def kraus_of_transfer(transfer: Transfer) -> Operators:
    """The fewest Kraus operators of a map, the weightiest first; (m, 2^k, 2^k)."""
    paulis = pauli_matrices((len(transfer).bit_length() - 1) // 2)
    dim = paulis.shape[-1]
    # Choi: sum_ij |i><j| (x) map(|i><j|) = sum_ab R_ab P_b^T (x) P_a / dim
    images = np.tensordot(transfer, paulis, axes=(0, 0))
    choi = np.einsum("bji,bkl->ikjl", paulis, images).reshape(dim * dim, dim * dim) / dim
    values, vectors = np.linalg.eigh(choi)
    kept = [k for k in range(len(values) - 1, -1, -1) if values[k] > NOTHING]
    return np.array([np.sqrt(values[k]) * vectors[:, k].reshape(dim, dim).T for k in kept])


@cache
def _signs(num_qubits: int) -> Transfer:
    """(-1) where Pauli i and Pauli j do not commute."""
    one = np.array([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]], dtype=float)
    out = np.ones((1, 1))
    for _ in range(num_qubits):
        out = np.kron(one, out)
    return out


def pauli_probabilities(transfer: Transfer) -> NDArray[np.float64] | None:
    """Probability of each Pauli, where the map is a mixture of them; else None."""
    diagonal = np.diagonal(transfer)
    if np.abs(transfer - np.diag(diagonal)).max() > 1e-13:
        return None
    shares = _signs((len(transfer).bit_length() - 1) // 2) @ diagonal / len(transfer)
    if shares.min() < -1e-12:
        return None
    return np.asarray(np.maximum(shares, 0.0))


def embedded(transfer: Transfer, places: tuple[int, ...], num_qubits: int) -> Transfer:
    """A map on some places of num_qubits qubits as a map on all of them."""
    if places == tuple(range(num_qubits)):
        return transfer
    index = np.arange(4**num_qubits)
    part, rest = np.zeros_like(index), index.copy()
    for k, place in enumerate(places):
        digit = (index >> (2 * place)) & 3
        part |= digit << (2 * k)
        rest ^= digit << (2 * place)
    out: Transfer = transfer[np.ix_(part, part)]
    out[rest[:, None] != rest[None, :]] = 0.0
    return out


@lru_cache(maxsize=8192)
def transfer_of_channels(channels: tuple[Channel, ...], num_qubits: int) -> Transfer:
    """What follows a gate of num_qubits, the first channel first. Cached by the channels' identity,
    so a noise model pays for each of its gates once."""
    out = np.eye(4**num_qubits)
    for channel in channels:
        out = embedded(transfer_of_kraus(channel.kraus), channel.qubits, num_qubits) @ out
    out.setflags(write=False)
    return out
