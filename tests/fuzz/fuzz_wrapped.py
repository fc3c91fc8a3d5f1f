"""Fuzz wrapped keys: python tests/fuzz/fuzz_wrapped.py --seconds 10 [--seed N].

Blobs that were wrapped correctly are cut, turned, doubled and spliced, and so is what is in them. Whatever
comes, a blob opens to what was wrapped or is refused with the one message; what was in it is a key that is
used, and written to the same again, or is refused by its field, without a byte of it in the error; within a
bounded time. Keys are new in every run, so a finding shows its bytes.
"""

# ruff: noqa: E402 - imported from this checkout, whose folders are put into the path first

# ruff: noqa: PT017 - a finding is an assertion that fails, wherever it stands

import argparse
import os
import random
import sys
import time
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "server"), str(ROOT / "native")]

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.signing.algorithms import ALGORITHMS, Algorithm, Family, Purpose
from ketgate_server.signing.formats import spki
from ketgate_server.signing.formats.export import export_public_key, formats
from ketgate_server.signing.keys.material import (
    read_private,
    read_public,
    write_private,
)
from ketgate_server.signing.keys.wrapping import Wrapping, generate, unwrap, wrap
from ketgate_server.signing.provider import Providers
from ketgate_server.signing.providers.cryptography_provider import (
    CryptographyProvider,
)

FIELD = "wrapped.wrapped_key"
SLOW_S = 3.0
PROVIDERS = Providers([CryptographyProvider()])
USABLE = [a for a in ALGORITHMS.values() if a.generates and PROVIDERS.to_generate(a)]
PAIRS = {how: generate(how) for how in Wrapping}
TRIED: list[bytes] = []
"""What is being tried, for a finding."""
FRONT = {Wrapping.ML_KEM_768_AES_256_GCM: 1_088, Wrapping.RSA_OAEP_SHA256_AES_KWP: 384}


def _corpus() -> list[tuple[Algorithm, bytes, bytes]]:
    """For each algorithm: private keys as they are imported, and the public one."""
    found = []
    for algorithm in USABLE:
        provider = PROVIDERS.to_generate(algorithm)
        assert provider is not None
        material = provider.generate(algorithm)
        raw = provider.public_key(material)
        public = spki.write(algorithm, raw) if spki.exists(algorithm) else b""
        found.append((algorithm, write_private(material), public))
        if algorithm.private_bytes:
            found.append((algorithm, material.content, public))
    return found


def _strangers() -> list[bytes]:
    """Private and public keys of algorithms that nobody asked for, and of wrong parameters."""
    private = [
        ec.derive_private_key(5, ec.SECP521R1()),
        ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)),
        rsa.generate_private_key(65_537, 2_048),
    ]
    der, pkcs8 = serialization.Encoding.DER, serialization.PrivateFormat.PKCS8
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    plain = serialization.NoEncryption()
    locked = serialization.BestAvailableEncryption(b"x")
    return (
        [key.private_bytes(der, pkcs8, plain) for key in private]
        + [key.public_key().public_bytes(der, info) for key in private]
        + [private[0].private_bytes(der, serialization.PrivateFormat.TraditionalOpenSSL, plain)]
        + [private[1].private_bytes(der, pkcs8, locked)]
    )


CORPUS = _corpus()
STRANGERS = _strangers()


def mutated(rng: random.Random, content: bytes, edges: tuple[int, ...] = ()) -> bytes:
    """Content with some mistakes, more often at the edges of its parts and at its start."""
    parts = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 2, 4, 12])):
        near = rng.choice([*edges, 0, len(parts)]) if rng.random() < 0.5 else 0
        at = (
            near + rng.randrange(-4, 24)
            if near or rng.random() < 0.4
            else rng.randrange(len(parts) + 1)
        )
        at = max(0, min(len(parts) - 1, at))
        match rng.randrange(7):
            case 0 | 1 if parts:
                parts[at] ^= 1 << rng.randrange(8)
            case 2 if parts:
                parts[at] = rng.choice([0, 1, 0x30, 0x7F, 0x80, 0x81, 0x84, 0xFF])
            case 3:
                del parts[at : at + rng.choice([1, 8, 16, 400])]
            case 4:
                parts[at:at] = rng.randbytes(rng.choice([1, 8, 16, 400]))
            case 5:
                parts[at:at] = parts[at : at + rng.choice([1, 8, 32])]
            case _:
                del parts[at:]
    return bytes(parts)


def check_blob(rng: random.Random) -> str:
    """One blob. Raises AssertionError for a finding."""
    how = rng.choice(list(Wrapping))
    _, content, _ = rng.choice(CORPUS)
    blob = wrap(how, PAIRS[how].public_key, content, FIELD)
    hostile = blob if rng.random() < 0.05 else mutated(rng, blob, (FRONT[how], FRONT[how] + 12))
    if rng.random() < 0.05:
        hostile = rng.randbytes(rng.choice([0, 1, FRONT[how], len(blob)]))
    TRIED[:] = [PAIRS[how].private, hostile]
    try:
        found = unwrap(how, PAIRS[how].private, hostile, FIELD)
    except KetgateError as error:
        assert hostile != blob
        assert error.reason is Reason.CIPHERTEXT_INVALID, error.reason
        assert error.field == FIELD
        assert error.message == _message(how), error.message
        return "not opened"
    assert found == content
    assert hostile == blob, "a changed blob opened"
    return "opened"


_MESSAGES: dict[Wrapping, str] = {}


def _message(how: Wrapping) -> str:
    if how not in _MESSAGES:
        try:
            unwrap(how, PAIRS[how].private, b"", FIELD)
        except KetgateError as error:
            _MESSAGES[how] = error.message
    return _MESSAGES[how]


def check_private(rng: random.Random) -> str:
    """What a blob held."""
    algorithm, content, _ = rng.choice(CORPUS)
    given = content if rng.random() < 0.05 else mutated(rng, content)
    if rng.random() < 0.1:
        given = rng.choice([*STRANGERS, rng.choice(CORPUS)[1]])
    TRIED[:] = [algorithm.id.encode(), given]
    try:
        fresh = read_private(PROVIDERS, algorithm, given, FIELD)
    except KetgateError as error:
        _check_refusal(error, FIELD, given)
        return "no private key"
    again = read_private(PROVIDERS, algorithm, write_private(fresh.material), FIELD)
    assert again == fresh, algorithm
    assert fresh.material.algorithm == algorithm
    assert fresh.material.form in _forms(algorithm)
    return "private key"


def check_public(rng: random.Random) -> str:
    """A public key to verify with."""
    algorithm, _, content = rng.choice(CORPUS)
    given = mutated(rng, content) if content else rng.choice(STRANGERS)
    if rng.random() < 0.1:
        given = rng.choice(STRANGERS)
    TRIED[:] = [algorithm.id.encode(), given]
    try:
        raw, fingerprint, _ = read_public(PROVIDERS, algorithm, given, "public_key")
    except KetgateError as error:
        _check_refusal(error, "public_key", b"")
        return "no public key"
    for form in formats(algorithm):
        written = export_public_key(algorithm, raw, form)
        assert read_public(PROVIDERS, algorithm, written, "public_key")[0] == raw or (
            algorithm.family is Family.RSA_PSS  # whose SubjectPublicKeyInfo has two forms
        )
    assert len(fingerprint) == 64
    assert algorithm.purpose is not Purpose.MAC
    return "public key"


def _forms(algorithm: Algorithm) -> frozenset[object]:
    provider = PROVIDERS.of(algorithm)[0]
    return frozenset(provider.abilities()[algorithm.id].forms)


def _check_refusal(error: KetgateError, field: str, secret: bytes) -> None:
    assert error.reason in (Reason.FIELD_INVALID, Reason.PART_NOT_INSTALLED), error.reason
    assert error.message.isprintable(), error.message
    assert len(error.message) < 600, error.message
    if error.reason is Reason.FIELD_INVALID:
        assert error.field == field, error.field
    for start in range(0, len(secret) - 8, 4):
        piece = secret[start : start + 8]
        assert piece.hex() not in error.message.lower(), "the error shows the key"
        assert repr(piece)[2:-1] not in error.message, "the error shows the key"


def check(rng: random.Random) -> str:
    """What came of it, as a word."""
    one = rng.choices([check_blob, check_private, check_public], [2, 3, 1])[0]
    started_s = time.thread_time()  # the machine may be busy
    outcome = one(rng)
    taken_s = time.thread_time() - started_s
    assert taken_s < SLOW_S, f"{taken_s:.1f} s"
    return outcome


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "little"))
    arguments = parser.parse_args()
    end_s = time.monotonic() + arguments.seconds
    counts: dict[str, int] = {}
    number = 0
    while time.monotonic() < end_s:
        number += 1
        try:
            outcome = check(random.Random(f"{arguments.seed}.{number}"))
        except Exception as error:
            print(f"FINDING with --seed {arguments.seed}: {type(error).__name__}: {error}")
            print([tried.hex() for tried in TRIED])
            raise
        counts[outcome] = counts.get(outcome, 0) + 1
    print(f"seed {arguments.seed}: {number} keys, {counts}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
