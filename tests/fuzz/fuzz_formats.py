"""Fuzz the readers of keys, requests and signatures: python tests/fuzz/fuzz_formats.py --seconds 10 [--seed N].

Correct bytes are cut, doubled, flipped and spliced, as bytes and as trees of DER. Whatever comes, a reader returns
or raises what it says it raises, at once, with a short message; what it accepts is written back to the same; and a
signature that is read is verified with an answer.
"""

# ruff: noqa: E402 - imported from this checkout, whose folders are put into the path first

import argparse
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "server"), str(ROOT / "native")]

from ketgate_server.signing.algorithms import ALGORITHMS, RSA_PSS, Algorithm
from ketgate_server.signing.certificates import create_signing_request
from ketgate_server.signing.formats import (
    cbor,
    cose_key,
    der,
    jwk,
    jws,
    pem,
    pkcs8,
    public_keys,
    requests,
    sign1,
    spki,
)
from ketgate_server.signing.formats.malformed import Malformed
from ketgate_server.signing.provider import KeyInvalid, Options, VerifyingKey

from tests.unit.signing.formats.pairs import IN_JOSE, PROVIDER, SIGNS, Pair, pair

SLOW_S = 1.0
MESSAGE_CHARACTERS_MAX = 500
NAMES = ["a.example", "192.0.2.1", "https://a.example/b", "a@b.example"]
HEADERS = [b"", b"{}", b'{"alg":"EdDSA"}', b'{"alg":"EdDSA","crit":[]}', b"[[[[", b'{"alg":1e999}']

Reader = Callable[[bytes], None]


def read_public(content: bytes) -> None:
    """What is accepted comes back; compressed points and PEM come back in their other form."""
    algorithm, raw = public_keys.read(content)
    written = spki.write(algorithm, raw)
    assert spki.read(written, algorithm) == (algorithm, raw)
    if algorithm == RSA_PSS:
        spki.rsa_numbers(raw)
    spki.fingerprint(algorithm, raw)
    spki.key_bits(algorithm, raw)


def read_private(algorithm: Algorithm, content: bytes) -> None:
    material = pkcs8.read_private(content, algorithm)
    written = pkcs8.write_private(material)
    assert pkcs8.read_private(written, algorithm) == material


def read_request(content: bytes) -> None:
    request = requests.read(content)
    try:
        key = PROVIDER.open_public(request.algorithm, request.public_key)
    except (KeyInvalid, KeyError):  # KeyError: an algorithm that this provider has not
        return
    answer = cast("VerifyingKey", key).verify(request.signature, request.signed, Options())
    assert isinstance(answer, bool)


def read_signed(module: Any, own: Pair, content: bytes) -> None:
    parsed = module.parse(content, own.algorithm)
    holds = own.verify(parsed.signature, parsed.signed)
    # Nothing but what was signed verifies, however it is wrapped.
    assert not holds or parsed.payload == b"payload", parsed


def read_signature(own: Pair, content: bytes) -> None:
    assert own.verify(content, b"payload") in (True, False)


def read_cbor(content: bytes) -> None:
    value = cbor.read(content)
    try:
        assert cbor.write(value) == content or "{" in repr(value)  # keys may have come unsorted
    except TypeError:
        assert "." in repr(value) or "inf" in repr(value) or "nan" in repr(value)  # a float


def targets() -> list[tuple[str, Reader, list[bytes]]]:
    """(name, reader, correct bytes)."""
    public, signing, found = [], [], []
    for name in SIGNS:
        own = pair(name)
        algorithm = own.algorithm
        written = spki.write(algorithm, own.public_key)
        public += [written, pem.write(pem.PUBLIC_KEY, written).encode()]
        for form in (jwk, cose_key) if name in IN_JOSE else ():
            public.append(form.write(algorithm, own.public_key, "kid"))
        private = pkcs8.write(own.material)
        seeds = [private, pem.write(pem.PRIVATE_KEY, private).encode()]
        found.append((f"pkcs8 {name}", partial(read_private, algorithm), seeds))
        found.append((f"signature {name}", partial(read_signature, own), [own.sign(b"payload")]))
        request = create_signing_request(own.signer(), "CN=a,O=b", NAMES)
        signing += [request, pem.write(pem.CERTIFICATE_REQUEST, request).encode()]
        for module in (jws, sign1) if name in IN_JOSE else ():
            signature = own.sign(module.prepare(algorithm, b"payload", "kid"))
            wrapped = module.assemble(algorithm, b"payload", "kid", signature)
            label = f"{module.__name__.rpartition('.')[2]} {name}"
            found.append((label, partial(read_signed, module, own), [wrapped]))
    found += [("public key", read_public, public), ("request", read_request, signing)] * 4
    kinds = cbor.write({1: [b"a", "b", None, True], "c": cbor.Tagged(18, {b"d": -1}), -7: 1 << 40})
    found.append(("cbor", read_cbor, [kinds, b"\xa1\x01\xfb\x3f\xf1\x99\x99\x99\x99\x99\x9a"]))
    for name in ("ML_KEM_512", "HPKE_MLKEM768_X25519", "HMAC_SHA256", "FALCON_512"):
        raw = bytes(ALGORITHMS[name].private_bytes)
        found.append((f"raw {name}", partial(read_private, ALGORITHMS[name]), [raw]))
    return found


def mutated(rng: random.Random, seeds: list[bytes]) -> bytes:
    content = bytearray(rng.choice(seeds))
    if content[:1] == b"\x30" and rng.random() < 0.6:
        content = bytearray(reshaped(rng, bytes(content), bytes(rng.choice(seeds)), 0))
    for _ in range(rng.choice((0, 1, 1, 2, 5))):
        at = rng.randrange(len(content) + 1)
        match rng.randrange(8):
            case 0 if content:
                content[at % len(content)] ^= 1 << rng.randrange(8)
            case 1 if content:
                content[at % len(content)] = rng.choice((0, 1, 0x30, 0x7F, 0x80, 0x84, 0xFF))
            case 2:
                del content[at:]
            case 3:
                del content[at : at + rng.randrange(1, 9)]
            case 4:
                content[at:at] = rng.randbytes(rng.randrange(1, 9))
            case 5:
                other = rng.choice(seeds)
                start = rng.randrange(len(other) + 1)
                content[at:] = other[start:]
            case 6 if b"." in content:
                parts = bytes(content).split(b".")
                parts[rng.randrange(len(parts))] = rng.choice((b"", b"e30", jws_header(rng)))
                content = bytearray(b".".join(parts))
            case _:
                content += content[at : at + 64]
    return bytes(content)


def jws_header(rng: random.Random) -> bytes:
    from ketgate_server.signing.formats import base64url

    return base64url.write(rng.choice(HEADERS)).encode()


def reshaped(rng: random.Random, content: bytes, other: bytes, depth: int) -> bytes:
    """A tree of DER with one of its branches changed, and right lengths around it."""
    nodes = list(elements(content))
    if not nodes:
        return content
    chosen = rng.randrange(len(nodes))
    tag, inner = nodes[chosen]
    if tag in (der.SEQUENCE, der.SET, 0xA0) and depth < 6 and rng.random() < 0.8:
        nodes[chosen] = (tag, reshaped(rng, inner, other, depth + 1))
    else:
        match rng.randrange(6):
            case 0:
                del nodes[chosen]
            case 1:
                nodes.insert(chosen, nodes[rng.randrange(len(nodes))])
            case 2:
                tags = (
                    der.INTEGER,
                    der.OCTET_STRING,
                    der.NULL,
                    der.SEQUENCE,
                    0xA0,
                    0x80,
                    0x82,
                    0x9F,
                )
                nodes[chosen] = (rng.choice(tags), inner)
            case 3:
                nodes[chosen] = (tag, rng.choice((b"", inner[:-1], inner + b"\0", b"\0" + inner)))
            case 4:
                nodes[chosen] = (tag, der.element(tag, inner) * rng.choice((1, 2, 40, 400)))
            case _:
                nodes[chosen] = rng.choice(list(elements(other)) or nodes)
    return b"".join(der.element(tag, inner) for tag, inner in nodes)


def elements(content: bytes) -> Iterator[tuple[int, bytes]]:
    """(tag, content) of elements one after the other, as far as they can be read."""
    reader = der.Reader(content)
    try:
        while not reader.at_end():
            tag = content[len(content) - reader.left()]
            yield tag, reader.read(tag)
    except Malformed:
        return


def check(name: str, reader: Reader, content: bytes) -> str:
    """What came of it. Raises AssertionError for a finding."""
    started_s = time.thread_time()  # the machine may be busy
    try:
        reader(content)
    except (Malformed, KeyInvalid) as error:
        said = str(error)
        assert len(said) < MESSAGE_CHARACTERS_MAX, said
        assert said.isprintable(), said
        return "refused"
    finally:
        taken_s = time.thread_time() - started_s
        assert taken_s < SLOW_S, f"{name}: {taken_s:.1f} s"
    return "read"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "little"))
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    found = targets()
    end_s = time.monotonic() + arguments.seconds
    counts: dict[str, int] = {}
    for name, reader, seeds in found:
        for content in seeds:
            assert check(name, reader, content) == "read", name
    while time.monotonic() < end_s:
        name, reader, seeds = rng.choice(found)
        content = mutated(rng, seeds)
        try:
            outcome = check(name, reader, content)
        except Exception as error:
            print(f"FINDING with --seed {arguments.seed}: {name}: {type(error).__name__}: {error}")
            print(content.hex())
            raise
        counts[outcome] = counts.get(outcome, 0) + 1
    print(f"seed {arguments.seed}: {sum(counts.values())} inputs, {counts}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
