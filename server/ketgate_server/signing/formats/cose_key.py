"""Public keys as COSE_Key (RFC 9052): RFC 9964's AKP for ML-DSA, 9053's OKP for Ed25519 and EC2, 8230's RSA."""

from __future__ import annotations

from ketgate_server.signing.algorithms import Algorithm, Family
from ketgate_server.signing.formats import cbor, spki
from ketgate_server.signing.formats.jose import REGISTERED

_KTY, _KID, _ALG = 1, 2, 3
_OKP, _EC2, _RSA, _AKP = 1, 2, 3, 7


def write(algorithm: Algorithm, raw: bytes, kid: str = "") -> bytes:
    """CBOR. algorithm: one that COSE has. raw: as the contract's RAW; of RSA, SubjectPublicKeyInfo."""
    registered = REGISTERED[algorithm.id]
    members: dict[cbor.Key, cbor.Value] = {_KTY: _AKP, _ALG: registered.cose}
    match algorithm.family:
        case Family.ML_DSA:
            members[-1] = raw
        case Family.EDDSA:
            members |= {_KTY: _OKP, -1: registered.cose_curve, -2: raw}
        case Family.ECDSA:
            x, y = spki.coordinates(raw)
            members |= {_KTY: _EC2, -1: registered.cose_curve, -2: x, -3: y}
        case Family.RSA_PSS:
            modulus, exponent = spki.rsa_numbers(raw)
            members |= {_KTY: _RSA, -1: modulus, -2: exponent}
    if kid:
        members[_KID] = kid.encode()
    return cbor.write(members)
