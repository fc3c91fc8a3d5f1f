"""Two signatures that tell whether a library verifies ML-DSA as FIPS 204 says.

pq-crystals' code for AVX2, which liboqs has until 0.14, did not: it took a z that is too long (algorithm 8, line 13)
and read hints wrongly where the low part is 0 (algorithm 40). Both were found in 2026, and nothing in the library's
version tells whether a distribution has the fixes.

Under a public key of zeros, t is 0, so that w = A z whatever the challenge: anyone can sign.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from ketgate_server.signing import messages
from ketgate_server.signing.algorithms import Algorithm

MESSAGE = b""


@dataclass(frozen=True)
class Parameters:
    """Of tables 1 and 2 of FIPS 204."""

    k: int
    l: int  # noqa: E741 - the standard's name
    omega: int
    z_bits: int
    """Of a coefficient of z, as gamma1 - z."""
    w1_bits: int
    w1_highest: int
    too_long: str
    """Challenge of a z of zeros but for its first coefficient, gamma1 - 1: of H(mu, HighBits(A z))."""

    @property
    def challenge_bytes(self) -> int:
        return len(self.too_long) // 2


PARAMETERS = {
    "ML_DSA_44": Parameters(
        4, 4, 80, 18, 6, 43, "33bfc2f25fbff3e846af2a67faf04bf74d89797ce1dc288f38921edce53e46da"
    ),
    "ML_DSA_65": Parameters(
        6,
        5,
        55,
        20,
        4,
        15,
        "25fbd7085a7c32a9e1172161d1087a180ebceee797c8168e6c2ffe44e7346b13"
        "0bc83a0d67a27261ce1948e11169d12b",
    ),
    "ML_DSA_87": Parameters(
        8,
        7,
        75,
        20,
        4,
        15,
        "6fbcf2f42b1151e137555d05dde2383c586ac6a16ba0308b23e50f293eba632a"
        "a5e8206ec5de1c1561d21a4ac91a0d781eccbb393ef28ba1215f21cf93ec2a6b",
    ),
}
"""By Algorithm.id."""


def verifies(algorithm: Algorithm, verify: Callable[[bytes, bytes, bytes], bool]) -> bool:
    """Whether verify(public_key, signature, message) answers both as the standard does."""
    public_key = bytes(algorithm.public_key_bytes)
    return not verify(public_key, too_long(algorithm), MESSAGE) and verify(
        public_key, hinted_at_zero(algorithm), MESSAGE
    )


def too_long(algorithm: Algorithm) -> bytes:
    """A signature that holds but for the length of its z."""
    of = PARAMETERS[algorithm.id]
    return bytes.fromhex(of.too_long) + _z(of, first=1) + bytes(of.omega + of.k)


def hinted_at_zero(algorithm: Algorithm) -> bytes:
    """A signature that holds: z = 0, and a hint for the first coefficient of w, which is 0."""
    of = PARAMETERS[algorithm.id]
    # UseHint(1, 0) is one below the high part 0, so the highest.
    w1 = of.w1_highest.to_bytes(of.k * 32 * of.w1_bits, "little")
    mu = messages.mu(bytes(algorithm.public_key_bytes), b"", MESSAGE)
    challenge = hashlib.shake_256(mu + w1).digest(of.challenge_bytes)
    return challenge + _z(of, first=None) + bytes(of.omega) + b"\x01" * of.k


def _z(of: Parameters, first: int | None) -> bytes:
    """gamma1 for each coefficient, which is how 0 is written; first: as it is written, in place of the first."""
    gamma1 = 1 << (of.z_bits - 1)
    count = of.l * 256
    packed = sum(gamma1 << of.z_bits * i for i in range(count))
    if first is not None:
        packed += first - gamma1
    return packed.to_bytes(count * of.z_bits // 8, "little")
