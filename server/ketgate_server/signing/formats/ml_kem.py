"""ML-KEM's key generation from its seed (FIPS 203, algorithms 13 and 16), in plain Python: no library here writes a
decapsulation key out. For imports only, where a seed and an expanded key come together; 10 to 30 ms."""

from __future__ import annotations

import hashlib

from ketgate_server.signing.algorithms import Algorithm

Q = 3329
N = 256
_RANKS = {"ML_KEM_512": (2, 3), "ML_KEM_768": (3, 2), "ML_KEM_1024": (4, 2)}
"""k and eta_1."""

Polynomial = list[int]


def _bit_reversed(number: int) -> int:
    return int(f"{number:07b}"[::-1], 2)


_ZETAS = [pow(17, _bit_reversed(i), Q) for i in range(128)]
_GAMMAS = [pow(17, 2 * _bit_reversed(i) + 1, Q) for i in range(128)]


def expand(algorithm: Algorithm, seed: bytes) -> bytes:
    """The decapsulation key dk of a seed d || z, 64 bytes: the private part, the encapsulation key, its hash, z."""
    rank, eta = _RANKS[algorithm.id]
    d, z = seed[:32], seed[32:]
    derived = hashlib.sha3_512(d + bytes((rank,))).digest()
    rho, sigma = derived[:32], derived[32:]
    secret = [_ntt(_sample_binomial(sigma, n, eta)) for n in range(rank)]
    errors = [_ntt(_sample_binomial(sigma, rank + n, eta)) for n in range(rank)]
    public = b""
    for row in range(rank):
        total = errors[row]
        for column in range(rank):
            product = _multiply(_sample_uniform(rho, column, row), secret[column])
            total = [(a + b) % Q for a, b in zip(total, product, strict=True)]
        public += _encode(total)
    public += rho
    private = b"".join(_encode(polynomial) for polynomial in secret)
    return private + public + hashlib.sha3_256(public).digest() + z


def _sample_uniform(rho: bytes, column: int, row: int) -> Polynomial:
    """SampleNTT: numbers below q out of 12 bits each."""
    size = 168 * 5
    while True:
        stream = hashlib.shake_128(rho + bytes((column, row))).digest(size)
        numbers = []
        for a, b, c in zip(stream[::3], stream[1::3], stream[2::3], strict=True):
            numbers += [n for n in (a | (b & 0x0F) << 8, b >> 4 | c << 4) if n < Q]
        if len(numbers) >= N:
            return numbers[:N]
        size += 168


def _sample_binomial(sigma: bytes, n: int, eta: int) -> Polynomial:
    """SamplePolyCBD of PRF: the difference of two sums of eta bits."""
    stream = int.from_bytes(hashlib.shake_256(sigma + bytes((n,))).digest(64 * eta), "little")
    mask = (1 << eta) - 1
    polynomial = []
    for i in range(N):
        pair = stream >> 2 * eta * i
        polynomial.append(((pair & mask).bit_count() - (pair >> eta & mask).bit_count()) % Q)
    return polynomial


def _ntt(polynomial: Polynomial) -> Polynomial:
    values = list(polynomial)
    i = 1
    length = 128
    while length >= 2:
        for start in range(0, N, 2 * length):
            zeta = _ZETAS[i]
            i += 1
            for j in range(start, start + length):
                t = zeta * values[j + length] % Q
                values[j + length] = (values[j] - t) % Q
                values[j] = (values[j] + t) % Q
        length //= 2
    return values


def _multiply(f: Polynomial, g: Polynomial) -> Polynomial:
    """MultiplyNTTs: 128 products modulo X^2 - gamma."""
    product = []
    for i, gamma in enumerate(_GAMMAS):
        a0, a1, b0, b1 = f[2 * i], f[2 * i + 1], g[2 * i], g[2 * i + 1]
        product += [(a0 * b0 + a1 * b1 % Q * gamma) % Q, (a0 * b1 + a1 * b0) % Q]
    return product


def _encode(polynomial: Polynomial) -> bytes:
    """ByteEncode of 12 bits."""
    packed = sum(number << 12 * i for i, number in enumerate(polynomial))
    return packed.to_bytes(384, "little")
