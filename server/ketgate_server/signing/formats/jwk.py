"""Public keys as JSON Web Keys (RFC 7517): RFC 9964's AKP for ML-DSA, 8037's OKP for Ed25519, 7518's EC and RSA."""

from __future__ import annotations

import json
from typing import Any

from ketgate_server.signing.algorithms import RSA_PSS, Algorithm, Family
from ketgate_server.signing.formats import base64url, json_object, spki
from ketgate_server.signing.formats.jose import BY_CURVE, BY_JOSE, REGISTERED
from ketgate_server.signing.formats.malformed import Malformed

BYTES_MAX = 64 << 10
_FAMILIES = {"AKP": Family.ML_DSA, "OKP": Family.EDDSA, "EC": Family.ECDSA, "RSA": Family.RSA_PSS}
_PRIVATE = ("d", "priv", "p", "q", "dp", "dq", "qi", "oth", "k")


def write(algorithm: Algorithm, raw: bytes, kid: str = "") -> bytes:
    """UTF-8. algorithm: one that JOSE has. raw: as the contract's RAW; of RSA, SubjectPublicKeyInfo."""
    registered = REGISTERED[algorithm.id]
    members = {"kty": "AKP"}
    match algorithm.family:
        case Family.ML_DSA:
            members["pub"] = base64url.write(raw)
        case Family.EDDSA:
            members |= {"kty": "OKP", "crv": registered.curve, "x": base64url.write(raw)}
        case Family.ECDSA:
            x, y = spki.coordinates(raw)
            members |= {"kty": "EC", "crv": registered.curve}
            members |= {"x": base64url.write(x), "y": base64url.write(y)}
        case Family.RSA_PSS:
            modulus, exponent = spki.rsa_numbers(raw)
            members |= {"kty": "RSA", "n": base64url.write(modulus), "e": base64url.write(exponent)}
    members |= {"alg": registered.jose, "use": "sig"}
    if kid:
        members["kid"] = kid
    return json.dumps(members, separators=(",", ":")).encode()


def read(content: bytes) -> tuple[Algorithm, bytes]:
    """(algorithm, raw key) of a public key. Its key id says nothing that can be relied on. Raises Malformed and
    KeyInvalid."""
    members = json_object.read(content, "the JWK", BYTES_MAX)
    if any(name in members for name in _PRIVATE):
        raise Malformed("the JWK holds a private key; send the public part alone")
    algorithm = _algorithm(members)
    registered = REGISTERED[algorithm.id]
    names = (registered.jose, registered.jose_also or registered.jose)
    if members.get("alg", registered.jose) not in names:
        raise Malformed(f'the JWK\'s "alg" is not {registered.jose}')
    if members.get("use", "sig") != "sig":
        raise Malformed('the JWK\'s "use" is not "sig"')
    match algorithm.family:
        case Family.ML_DSA:
            return algorithm, spki.canonical(algorithm, _bytes(members, "pub"))
        case Family.EDDSA:
            return algorithm, spki.canonical(algorithm, _bytes(members, "x"))
        case Family.ECDSA:
            x, y = _bytes(members, "x"), _bytes(members, "y")
            if not len(x) == len(y) == registered.scalar_bytes:
                raise Malformed(
                    f"the JWK's coordinates do not have {registered.scalar_bytes} bytes"
                )
            return algorithm, spki.canonical(algorithm, b"\x04" + x + y)
        case _:
            return algorithm, spki.of_rsa_numbers(_bytes(members, "n"), _bytes(members, "e"))


def _algorithm(members: dict[str, Any]) -> Algorithm:
    family = _FAMILIES.get(_text(members, "kty"))
    if family is Family.RSA_PSS:
        return RSA_PSS
    by_name, name = (BY_JOSE, "alg") if family is Family.ML_DSA else (BY_CURVE, "crv")
    found = by_name.get(_text(members, name)) if family is not None else None
    if found is None or found.family is not family:
        raise Malformed("the JWK is no key of ML-DSA, Ed25519, ECDSA or RSA that is read here")
    return found


def _text(members: dict[str, Any], name: str) -> str:
    found = members.get(name)
    if not isinstance(found, str):
        raise Malformed(f'the JWK has no text "{name}"')
    return found


def _bytes(members: dict[str, Any], name: str) -> bytes:
    text = _text(members, name)
    if not text.isascii():
        raise Malformed(f'the JWK\'s "{name}" is not base64url')
    return base64url.read(text.encode(), f'the JWK\'s "{name}"')
