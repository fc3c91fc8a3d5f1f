"""ML-DSA private keys in the standard's own encoding, from their seeds: KeyGen_internal of FIPS 204, section 6.1.

For libraries that generate from no seed of the caller's. Polynomials are rows of 256 coefficients modulo q, all
of a vector or matrix at once. Arrays that held secrets are overwritten; what NumPy makes in between is not.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ketgate_server.signing.kek.wiping import wipe, wiped
from ketgate_server.signing.provider import KeyInvalid

Polynomials = NDArray[np.int64]

SEED_BYTES = 32
_Q = 8_380_417
_N = 256
_D = 13  # bits that Power2Round takes off t
_ROOT = 1753  # of unity, the 512th
_RHO_BYTES, _K_BYTES, _TR_BYTES = 32, 32, 64


@dataclass(frozen=True)
class Parameters:
    """Of table 1 of FIPS 204."""

    k: int
    l: int  # noqa: E741 - the standard's name
    eta: int

    @property
    def eta_bits(self) -> int:
        return (2 * self.eta).bit_length()

    @property
    def private_bytes(self) -> int:
        small = (self.k + self.l) * _N * self.eta_bits // 8
        return _RHO_BYTES + _K_BYTES + _TR_BYTES + small + self.k * _N * _D // 8


PARAMETERS = {
    "ML_DSA_44": Parameters(4, 4, 2),
    "ML_DSA_65": Parameters(6, 5, 4),
    "ML_DSA_87": Parameters(8, 7, 2),
}
"""By Algorithm.id."""


def expand(parameters: Parameters, seed: bytes) -> tuple[bytes, bytearray]:
    """The public key, and the private key as skEncode writes it. Raises KeyInvalid for a seed that is not 32
    bytes."""
    if len(seed) != SEED_BYTES:
        raise KeyInvalid(f"a seed of ML-DSA has {SEED_BYTES} bytes; given {len(seed)}")
    k, l = parameters.k, parameters.l  # noqa: E741
    with wiped(bytearray(hashlib.shake_256(seed + bytes((k, l))).digest(128))) as drawn:
        rho, rho_prime, big_k = bytes(drawn[:32]), bytes(drawn[32:96]), drawn[96:]
        small = _expand_s(rho_prime, parameters)
        t1, t0 = _power_2_round(_t(rho, small, parameters))
        public = _public_key(rho, t1)
        private = bytearray(rho)
        private += big_k
        private += hashlib.shake_256(public).digest(_TR_BYTES)
        private += _pack(parameters.eta - small, parameters.eta_bits)
        private += _pack((1 << (_D - 1)) - t0, _D)
        for secret in (small, t0):
            secret.fill(0)
        wipe(big_k)
        return public, private


def public_key(parameters: Parameters, private: bytes) -> bytes:
    """The public key that belongs to an encoded private key. Raises KeyInvalid for one whose parts do not
    belong together."""
    if len(private) != parameters.private_bytes:
        raise KeyInvalid(
            f"an expanded private key has {parameters.private_bytes} bytes; given {len(private)}"
        )
    k, l, eta = parameters.k, parameters.l, parameters.eta  # noqa: E741
    rho, tr = private[:32], private[64:128]
    middle = 128 + (k + l) * _N * parameters.eta_bits // 8
    small = eta - _unpack(private[128:middle], parameters.eta_bits)
    given_t0 = (1 << (_D - 1)) - _unpack(private[middle:], _D)
    if int(small.min()) < -eta:
        raise KeyInvalid(f"an expanded private key has coefficients of s from -{eta} to {eta}")
    t1, t0 = _power_2_round(_t(rho, small, parameters))
    public = _public_key(rho, t1)
    belongs = bool((t0 == given_t0).all())
    for secret in (small, t0, given_t0):
        secret.fill(0)
    if not belongs or hashlib.shake_256(public).digest(_TR_BYTES) != tr:
        raise KeyInvalid("the parts of an expanded private key do not belong together")
    return public


def _t(rho: bytes, small: Polynomials, parameters: Parameters) -> Polynomials:
    """t = A s1 + s2, (k, 256), from s1 and s2 one below the other."""
    s1, s2 = small[: parameters.l], small[parameters.l :]
    product = (_expand_a(rho, parameters) * _ntt(s1 % _Q)[None]) % _Q
    return (_inverse_ntt(product.sum(axis=1) % _Q) + s2) % _Q


def _power_2_round(t: Polynomials) -> tuple[Polynomials, Polynomials]:
    """t1 and t0 with t = t1 2^13 + t0, t0 in (-2^12, 2^12]: algorithm 35."""
    t0 = t % (1 << _D)
    t0[t0 > 1 << (_D - 1)] -= 1 << _D
    return (t - t0) >> _D, t0


def _public_key(rho: bytes, t1: Polynomials) -> bytes:
    return rho + bytes(_pack(t1, 23 - _D))


def _expand_a(rho: bytes, parameters: Parameters) -> Polynomials:
    """The matrix in the domain of the NTT, (k, l, 256): algorithms 32 and 30."""
    rows = range(parameters.k)
    return np.stack(
        [np.stack([_uniform(rho + bytes((s, r))) for s in range(parameters.l)]) for r in rows]
    )


def _uniform(seed: bytes) -> Polynomials:
    """256 coefficients below q, by rejection."""
    size = 6 * 168  # blocks of SHAKE128: enough but once in 10^100
    while True:
        stream = np.frombuffer(hashlib.shake_128(seed).digest(size), dtype=np.uint8)
        triple = stream.reshape(-1, 3).astype(np.int64)
        drawn = triple[:, 0] | triple[:, 1] << 8 | (triple[:, 2] & 0x7F) << 16
        taken = drawn[drawn < _Q]
        if len(taken) >= _N:
            return taken[:_N]
        size *= 2


def _expand_s(seed: bytes, parameters: Parameters) -> Polynomials:
    """s1 and s2, (l + k, 256): algorithms 33 and 31."""
    count = parameters.l + parameters.k
    return np.stack([_bounded(seed + bytes((r, 0)), parameters.eta) for r in range(count)])


def _bounded(seed: bytes, eta: int) -> Polynomials:
    """256 coefficients from -eta to eta, by rejection of half bytes."""
    size = 4 * 136
    while True:
        stream = np.frombuffer(hashlib.shake_256(seed).digest(size), dtype=np.uint8)
        halves = np.stack([stream & 15, stream >> 4], axis=1).ravel().astype(np.int64)
        drawn = 2 - halves[halves < 15] % 5 if eta == 2 else 4 - halves[halves < 9]
        if len(drawn) >= _N:
            return drawn[:_N]
        size *= 2


def _zetas() -> Polynomials:
    """Powers of the root in the order of the NTT's layers: appendix B."""
    reversed_bits = [int(f"{i:08b}"[::-1], 2) for i in range(_N)]
    return np.array([pow(_ROOT, power, _Q) for power in reversed_bits], dtype=np.int64)


_ZETAS = _zetas()


def _ntt(rows: Polynomials) -> Polynomials:
    """Algorithm 41, for each row."""
    values = rows.copy()
    for layer in range(8):
        blocks = 1 << layer
        halves = values.reshape(-1, blocks, 2, _N // (2 * blocks))
        turned = _ZETAS[blocks : 2 * blocks, None] * halves[:, :, 1] % _Q
        values = np.stack([halves[:, :, 0] + turned, halves[:, :, 0] - turned], axis=2) % _Q
    return values.reshape(-1, _N)


def _inverse_ntt(rows: Polynomials) -> Polynomials:
    """Algorithm 42, for each row."""
    values = rows.copy()
    for layer in reversed(range(8)):
        blocks = 1 << layer
        halves = values.reshape(-1, blocks, 2, _N // (2 * blocks))
        # The layer's powers from the last to the first, negated: what undoes the layer of the NTT.
        turned = (_Q - _ZETAS[blocks : 2 * blocks][::-1, None]) * (
            halves[:, :, 0] - halves[:, :, 1]
        )
        values = np.stack([halves[:, :, 0] + halves[:, :, 1], turned], axis=2) % _Q
    return values.reshape(-1, _N) * pow(_N, -1, _Q) % _Q


def _pack(rows: Polynomials, bits: int) -> bytearray:
    """Coefficients of so many bits, the lowest bit first: algorithm 16."""
    spread = (rows.reshape(-1, 1) >> np.arange(bits) & 1).astype(np.uint8)
    return bytearray(np.packbits(spread.ravel(), bitorder="little"))


def _unpack(content: bytes, bits: int) -> Polynomials:
    spread = np.unpackbits(np.frombuffer(content, dtype=np.uint8), bitorder="little")
    values: Polynomials = spread.reshape(-1, bits).astype(np.int64) @ (1 << np.arange(bits))
    return values.reshape(-1, _N)
