"""Public keys as JSON Web Keys (RFC 7517): RFC 9964's AKP for ML-DSA, 8037's OKP for Ed25519, 7518's EC and RSA."""

from __future__ import annotations

import json

from ketgate_server.signing.algorithms import Algorithm, Family
from ketgate_server.signing.formats import base64url, spki
from ketgate_server.signing.formats.jose import REGISTERED


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
