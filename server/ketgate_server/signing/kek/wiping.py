"""Secrets in memory. Python keeps copies that nobody can reach (of bytes, in libraries); what lies in a
bytearray is overwritten as soon as it was used."""

from collections.abc import Iterator
from contextlib import contextmanager


def wipe(secret: bytearray) -> None:
    """Overwrite a secret. Its length stays, so that nothing moves in memory."""
    secret[:] = bytes(len(secret))


@contextmanager
def wiped(secret: bytearray) -> Iterator[bytearray]:
    """A secret that is overwritten at the end of the block, however that is left."""
    try:
        yield secret
    finally:
        wipe(secret)
