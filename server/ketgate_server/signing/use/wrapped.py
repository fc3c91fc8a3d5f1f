"""Signatures that travel with what they are over: JWS and COSE_Sign1. RAW is the signature alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ketgate_server.signing.algorithms import Algorithm
from ketgate_server.signing.formats import jws, sign1
from ketgate_server.signing.formats.malformed import Malformed
from ketgate_server.signing.keys.record import VersionRecord
from ketgate_server.signing.use.options import Format
from ketgate_server.signing.use.verdicts import Failure, Found


@dataclass(frozen=True, slots=True)
class Wrapping:
    """What to sign, and what becomes of the raw signature."""

    to_sign: bytes
    finish: Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Read:
    """A signature that was read."""

    signature: bytes
    """Raw."""
    signed: bytes
    """What it is over."""
    version: str = ""
    """The version that it says made it, if it does: a hint, which anybody can write."""


def of(form: Format, algorithm: Algorithm, version: VersionRecord, content: bytes) -> Wrapping:
    """Raises FieldError where the algorithm has no such format."""
    if form is Format.RAW:
        return Wrapping(content, _same)
    module = jws if form is Format.JWS else sign1
    to_sign = module.prepare(algorithm, content, version.name)
    return Wrapping(
        to_sign, lambda signature: module.assemble(algorithm, content, version.name, signature)
    )


def read(form: Format, algorithm: Algorithm, signature: bytes, content: bytes) -> Read | Found:
    """A signature apart from what it came in; what is none is MALFORMED. content: what it must be over; empty:
    whatever it brings along."""
    if form is Format.RAW:
        return Read(signature, content)
    try:
        parsed = (jws if form is Format.JWS else sign1).parse(signature, algorithm, content)
    except Malformed as error:
        return Found(Failure.MALFORMED, algorithm, said=str(error))
    if content and parsed.payload != content:
        return Found(Failure.MISMATCH, algorithm, said="it brings another message along")
    return Read(parsed.signature, parsed.signed, parsed.kid)


def _same(signature: bytes) -> bytes:
    return signature
