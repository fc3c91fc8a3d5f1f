"""Public keys as COSE_Key (RFC 9052): RFC 9964's AKP for ML-DSA, 9053's OKP for Ed25519 and EC2, 8230's RSA."""

from __future__ import annotations

from ketgate_server.signing.algorithms import RSA_PSS, Algorithm, Family
from ketgate_server.signing.formats import cbor, spki
from ketgate_server.signing.formats.jose import BY_COSE, BY_COSE_CURVE, REGISTERED
from ketgate_server.signing.formats.malformed import Malformed

_KTY, _KID, _ALG = 1, 2, 3
_OKP, _EC2, _RSA, _AKP = 1, 2, 3, 7
_FAMILIES = {_AKP: Family.ML_DSA, _OKP: Family.EDDSA, _EC2: Family.ECDSA, _RSA: Family.RSA_PSS}
_PRIVATE = {_AKP: range(-2, -1), _OKP: range(-4, -3), _EC2: range(-4, -3), _RSA: range(-12, -2)}
"""Labels of private parts."""


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


def read(content: bytes) -> tuple[Algorithm, bytes]:
    """(algorithm, raw key) of a public key. Raises Malformed and KeyInvalid."""
    members = cbor.read(content)
    if not isinstance(members, dict):
        raise Malformed("a COSE_Key is a map")
    kind = _number(members, _KTY)
    if any(label in members for label in _PRIVATE.get(kind, ())):
        raise Malformed("the COSE_Key holds a private key; send the public part alone")
    algorithm = _algorithm(members, kind)
    registered = REGISTERED[algorithm.id]
    if _ALG in members and _number(members, _ALG) not in (
        registered.cose,
        registered.cose_also or registered.cose,
    ):
        raise Malformed(f"the COSE_Key's algorithm is not {registered.cose}")
    match algorithm.family:
        case Family.ML_DSA:
            return algorithm, spki.canonical(algorithm, _bytes(members, -1))
        case Family.EDDSA:
            return algorithm, spki.canonical(algorithm, _bytes(members, -2))
        case Family.ECDSA:
            return algorithm, spki.canonical(algorithm, _point(members, registered.scalar_bytes))
        case _:
            return algorithm, spki.of_rsa_numbers(_bytes(members, -1), _bytes(members, -2))


def _algorithm(members: dict[cbor.Key, cbor.Value], kind: int) -> Algorithm:
    family = _FAMILIES.get(kind)
    if family is Family.RSA_PSS:
        return RSA_PSS
    by_number, label = (BY_COSE, _ALG) if family is Family.ML_DSA else (BY_COSE_CURVE, -1)
    found = by_number.get(_number(members, label)) if family is not None else None
    if found is None or found.family is not family:
        raise Malformed("the COSE_Key is none of ML-DSA, Ed25519, ECDSA or RSA that is read here")
    return found


def _point(members: dict[cbor.Key, cbor.Value], size: int) -> bytes:
    """Of the two coordinates, or of one and the sign of the other."""
    x, y = _bytes(members, -2), members.get(-3)
    if len(x) == size and isinstance(y, bool):
        return bytes((2 + y,)) + x
    if len(x) == size and isinstance(y, bytes) and len(y) == size:
        return b"\x04" + x + y
    raise Malformed(f"the COSE_Key's coordinates do not have {size} bytes")


def _number(members: dict[cbor.Key, cbor.Value], label: int) -> int:
    found = members.get(label)
    if type(found) is not int:
        raise Malformed(f"the COSE_Key has no number at {label}")
    return found


def _bytes(members: dict[cbor.Key, cbor.Value], label: int) -> bytes:
    found = members.get(label)
    if not isinstance(found, bytes):
        raise Malformed(f"the COSE_Key has no bytes at {label}")
    return found
