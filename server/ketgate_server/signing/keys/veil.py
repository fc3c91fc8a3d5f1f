"""Refusals of a request_id that another request had: they name what that made or changed only to those who may know
of it. Ids are the tenant's, and keys may be hidden from some of its callers."""

from __future__ import annotations

from collections.abc import Callable

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.store.requests import reused


def veiled(error: KetgateError, may_know: Callable[[str], bool]) -> KetgateError:
    """What the caller is told in place of a refusal. may_know: of the resource of this name."""
    if error.reason is not Reason.REQUEST_ID_REUSED or may_know(error.metadata.get("resource", "")):
        return error
    return reused()
