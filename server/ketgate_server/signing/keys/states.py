"""What can be done to a version, and where that leads: a table."""

from __future__ import annotations

from enum import Enum
from typing import NoReturn

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.signing.keys.record import VersionRecord, VersionState


class Act(Enum):
    """What can be done to the state of a version; the value says it in a refusal."""

    ENABLE = "be enabled"
    DISABLE = "be disabled"
    DESTROY = "be destroyed"
    RESTORE = "be restored"
    ELAPSE = "have its destruction carried out"
    """Its destroy_time came."""


_E, _D = VersionState.ENABLED, VersionState.DISABLED
_S, _X = VersionState.DESTROY_SCHEDULED, VersionState.DESTROYED

NEXT: dict[tuple[Act, VersionState], VersionState] = {
    (Act.ENABLE, _E): _E,  # nothing changes: whoever asks twice without a request_id gets no error
    (Act.ENABLE, _D): _E,
    (Act.DISABLE, _E): _D,
    (Act.DISABLE, _D): _D,
    (Act.DESTROY, _E): _S,
    (Act.DESTROY, _D): _S,
    (Act.DESTROY, _S): _S,  # at the time that was set first
    (Act.RESTORE, _S): _D,
    (Act.ELAPSE, _S): _X,
}
"""What is not here is refused. Nothing leads out of DESTROYED."""

_HINTS = {
    _E: "it is in use",
    _D: "it is not to be destroyed",
    _S: "RestoreKeyVersion cancels its destruction while that is possible",
    _X: "its private key is gone for good",
}


def after(act: Act, version: VersionRecord, now_us: int, field: str = "name") -> VersionState:
    """Where act leads. Raises KEY_UNUSABLE when it leads nowhere, as a restoration once the moment of
    destruction has come, even if nobody carried it out yet."""
    state = NEXT.get((act, version.state))
    if state is None:
        _refuse(act, version, field, _HINTS[version.state])
    if act is Act.RESTORE and has_elapsed(version, now_us):
        _refuse(act, version, field, "the moment of its destruction has passed")
    if act is Act.ELAPSE and not has_elapsed(version, now_us):
        _refuse(act, version, field, "the moment of its destruction has not come")
    return state


def has_elapsed(version: VersionRecord, now_us: int) -> bool:
    """Whether it is to be destroyed, and the moment has come."""
    return (
        version.state is _S
        and version.destroy_time_us is not None
        and version.destroy_time_us <= now_us
    )


def _refuse(act: Act, version: VersionRecord, field: str, hint: str) -> NoReturn:
    raise KetgateError(
        Reason.KEY_UNUSABLE,
        f"{field}: {version.name} is {version.state.value} and cannot {act.value}: {hint}",
        field=field,
        metadata={"resource": version.name, "state": version.state.value},
    )
