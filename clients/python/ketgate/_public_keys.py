"""Public keys as people have them: PEM, DER or a file, and the fingerprint that stands for one."""

import base64
import binascii
import os
import re
from hashlib import sha256
from pathlib import Path

from ketgate._errors import InvalidArgument
from ketgate._verification import COMPOSITES

_PEM = re.compile(
    rb"-----BEGIN PUBLIC KEY-----\s+([A-Za-z0-9+/=\s]+?)\s*-----END PUBLIC KEY-----", re.ASCII
)
_FINGERPRINT = re.compile("[0-9a-f]{64}")
_FILE_BYTES_MAX = 1 << 20

_EC = "06072a8648ce3d0201"
_COMPOSITE = "300a06082b060105050706"
_IDENTIFIERS = {
    **{
        f"300b06096086480165030403{arc}": f"ML_DSA_{level}"
        for level, arc in ((44, 11), (65, 12), (87, 13))
    },
    "300506032b6570": "ED25519",
    f"3013{_EC}06082a8648ce3d030107": "ECDSA_P256_SHA256",
    f"3010{_EC}06052b81040022": "ECDSA_P384_SHA384",
    f"3010{_EC}06052b8104000a": "ECDSA_SECP256K1_SHA256",
    **{f"{_COMPOSITE}{arc:02x}": name for name, (*_, arc) in COMPOSITES.items()},
}
"""AlgorithmIdentifier in DER, hexadecimal, to the contract's name of the algorithm."""

PublicKey = bytes | str | os.PathLike[str]
"""SubjectPublicKeyInfo: DER or PEM, or a path of a file that holds it."""


def fingerprint(public_key: bytes) -> str:
    """SHA-256 of DER SubjectPublicKeyInfo, hexadecimal."""
    return sha256(public_key).hexdigest()


def spki_algorithm(public_key: bytes) -> str:
    """The algorithm that DER SubjectPublicKeyInfo is for, as the contract names it; empty where this client does not
    know it, or the key leaves it open."""
    length = public_key[1] if len(public_key) > 1 else 0
    inside = public_key[2 + (length & 0x7F if length & 0x80 else 0) :]
    for identifier, name in _IDENTIFIERS.items():
        if inside.startswith(bytes.fromhex(identifier)):
            return name
    return ""


def read_public_key(key: PublicKey, field: str = "public_key") -> bytes:
    """DER SubjectPublicKeyInfo. Raises InvalidArgument for what is neither PEM nor DER, naming field."""
    if isinstance(key, str) and "-----BEGIN" in key:
        content = key.encode("ascii", "replace")
    elif isinstance(key, bytes):
        content = key
    else:
        content = _read_file(Path(key), field)
    if content[:1] == b"\x30":
        return content
    found = _PEM.findall(content)
    try:
        if len(found) != 1:
            raise ValueError
        return base64.b64decode(b"".join(found[0].split()), validate=True)
    except (ValueError, binascii.Error):
        raise InvalidArgument(
            f"{field}: expected one public key, SubjectPublicKeyInfo in PEM or DER, given "
            f"{len(content)} bytes that are none",
            field=field,
        ) from None


def read_fingerprint(text: str, field: str = "fingerprint") -> str:
    """A fingerprint, in lower case and without colons. Raises InvalidArgument, naming field."""
    found = text.strip().lower().removeprefix("sha256:").replace(":", "")
    if not _FINGERPRINT.fullmatch(found):
        raise InvalidArgument(
            f"{field}: expected 64 hexadecimal digits, given {text[:100]!r}", field=field
        )
    return found


def _read_file(path: Path, field: str) -> bytes:
    try:
        with path.expanduser().open("rb") as file:
            content = file.read(_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise InvalidArgument(
            f"{field}: {path} cannot be read: {error.strerror}", field=field
        ) from None
    if len(content) > _FILE_BYTES_MAX:
        raise InvalidArgument(f"{field}: {path} is too large for a public key", field=field)
    return content
