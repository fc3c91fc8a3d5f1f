"""Signatures of ECDSA as two numbers: the contract's RAW is DER, or r || s || recovery id on secp256k1."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from ketgate_server.signing.algorithms import SECP256K1, Algorithm
from ketgate_server.signing.formats import der
from ketgate_server.signing.formats.malformed import Malformed

SECP256K1_ORDER: Final = ec.SECP256K1().group_order


def numbers(algorithm: Algorithm, signature: bytes) -> tuple[int, int]:
    """(r, s) of a RAW signature that a provider made."""
    if algorithm == SECP256K1:
        return int.from_bytes(signature[:32]), int.from_bytes(signature[32:64])
    return read(signature)


def raw(algorithm: Algorithm, r: int, s: int) -> bytes:
    """RAW of two numbers. On secp256k1 without a recovery id, which only chains write, and with the lower s:
    whatever one of the two signs, so does the other. Raises Malformed where they are too large for that."""
    if algorithm != SECP256K1:
        return write(r, s)
    if not (0 < r < SECP256K1_ORDER and 0 < s < SECP256K1_ORDER):
        raise Malformed("the numbers of an ECDSA signature are not below the order of its curve")
    return r.to_bytes(32) + min(s, SECP256K1_ORDER - s).to_bytes(32)


def write(r: int, s: int) -> bytes:
    """Ecdsa-Sig-Value (RFC 3279), DER."""
    return der.sequence(der.integer(r), der.integer(s))


def read(signature: bytes) -> tuple[int, int]:
    """Of an Ecdsa-Sig-Value. Raises Malformed."""
    reader = der.Reader(signature)
    pair = reader.enter()
    reader.end("the ECDSA signature")
    r, s = pair.integer(), pair.integer()
    pair.end("the ECDSA signature")
    return r, s
