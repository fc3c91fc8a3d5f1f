"""What the head of an audit log is signed over, and the check of that signature.

Server and client share it, so that there is one definition of what is signed.
"""

from hashlib import sha256

from ketgate._errors import KetgateError
from ketgate._merkle import HASH_BYTES
from ketgate._verification import verifies, verify_signature
from ketgate.audit.v1 import audit_service_pb2 as pb

SIGNING_CONTEXT = b"ketgate tree head v1\x00"
"""Comes before the bytes of the TreeHead, so that a signature is good for nothing else."""

_LOG_ID_BYTES = 16


class AuditTampered(KetgateError):  # noqa: N818 - a state of the log
    """The audit log is not what it was, or not what it says: somebody changed it, or what came from
    it."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(
            message,
            reason="AUDIT_TAMPERED",
            remedy=remedy
            or "Keep what you have as evidence, and compare it with other copies of the log.",
        )


def log_id(first_commitment: bytes) -> str:
    """Name of the log whose first entry has this commitment, which is random as its salt is."""
    return first_commitment[:_LOG_ID_BYTES].hex()


def key_id(public_key: bytes) -> str:
    """Name of a key. public_key: DER SubjectPublicKeyInfo."""
    return sha256(public_key).hexdigest()


def open_head(signed: pb.SignedTreeHead) -> pb.TreeHead:
    """The head, once its signature is found to be that of the key that comes with it. Whether that
    key is the right one is for the caller to know.

    Raises AuditTampered; PartNotInstalled without the library that verifies.
    """
    if signed.key_id != key_id(signed.public_key):
        raise AuditTampered("the key that came with the tree head is not the one that it names")
    if not _is_signed(signed):
        raise AuditTampered(
            f"the signature of the tree head is not by the key {signed.key_id[:16]}: "
            "the head was changed after it was signed"
        )
    try:
        head = pb.TreeHead.FromString(signed.tree_head)
    except ValueError:
        raise AuditTampered("the signed bytes are no tree head") from None
    if len(head.root_hash) != HASH_BYTES or head.size < 0:
        raise AuditTampered("the signed tree head has no root, or a size below zero")
    return head


def _is_signed(signed: pb.SignedTreeHead) -> bool:
    if not verifies(signed.algorithm):
        raise AuditTampered(
            f"the tree head is signed with {signed.algorithm[:40]!r}, which this client does not know",
            remedy="Use a newer client, if the server's operator confirms the algorithm.",
        )
    message = SIGNING_CONTEXT + signed.tree_head
    return verify_signature(signed.algorithm, signed.public_key, signed.signature, message)
