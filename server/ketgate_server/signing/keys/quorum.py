"""Approvals: what a key's quorum guards is written down as a change, and done when enough approved.

Operations of a Change, each one transaction. The approvers are those whom the policy named when the change was asked
for; whatever changes the policy ends the changes that wait, so they are also those whom it names now. That a
change expired is true from its moment on, whenever it is written down.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from ketgate_server.errors import FieldError, KetgateError, NotFound, Reason
from ketgate_server.signing.keys import bodies, changes, effects, rows, states
from ketgate_server.signing.keys import policy as policies
from ketgate_server.signing.keys.change import Change
from ketgate_server.signing.keys.changes import ChangeRecord
from ketgate_server.signing.keys.names import change_name, new_id, version_name
from ketgate_server.signing.keys.record import (
    ChangeState,
    KeyRecord,
    Policy,
    VersionRecord,
)
from ketgate_server.signing.keys.states import Act
from ketgate_server.signing.keys.updates import check_etag

EXPIRY_US = 7 * 86_400_000_000
JUSTIFICATION_CHARACTERS_MAX = 1_000
TOLD_CHARACTERS_MAX = 500
"""Of a policy in the audit."""


@dataclass(frozen=True)
class Asked:
    """What a request for something that a quorum may guard led to."""

    key: KeyRecord
    version: VersionRecord | None = None
    """That which is to be destroyed."""
    change: ChangeRecord | None = None
    """What waits for approvals; None: it is done."""


def check_justification(text: str) -> str:
    """Raises FieldError."""
    if len(text) > JUSTIFICATION_CHARACTERS_MAX:
        raise FieldError(
            "justification",
            expected=f"at most {JUSTIFICATION_CHARACTERS_MAX:,} characters",
            given=f"{len(text):,}",
        )
    return text


def set_policy(
    change: Change,
    key_id: str,
    policy: Policy,
    *,
    etag: str,
    justification: str,
    changes_max: int,
    random_bytes: bytes,
) -> Asked:
    """Replace a key's policy, or ask for approvals of it. policy: as policy.check() gave it back.

    Raises NotFound, POLICY_DENIED, ETAG_MISMATCH, and as propose().
    """
    key = change.key(key_id, for_policy=True)
    check_etag(key, etag)
    if key.policy.quorum is None:
        return Asked(apply_policy(change, key, policy))
    found = propose(
        change,
        key,
        policy=policy,
        justification=justification,
        changes_max=changes_max,
        random_bytes=random_bytes,
    )
    return Asked(key, change=found)


def destroy(
    change: Change,
    key_id: str,
    number: int,
    *,
    justification: str,
    changes_max: int,
    random_bytes: bytes,
) -> Asked:
    """Schedule the destruction of a version, or ask for approvals of it.

    Raises NotFound, POLICY_DENIED, KEY_UNUSABLE, and as propose().
    """
    name = version_name(key_id, number)
    key = change.key(key_id, name=name)
    version = change.version(key, number)
    leads_to = states.after(Act.DESTROY, version, change.now_us)
    if key.policy.quorum is None or leads_to is version.state:
        return Asked(*effects.act(change, key, version, Act.DESTROY))
    found = propose(
        change,
        key,
        version=number,
        justification=justification,
        changes_max=changes_max,
        random_bytes=random_bytes,
    )
    return Asked(key, version, found)


def propose(
    change: Change,
    key: KeyRecord,
    *,
    version: int = 0,
    policy: Policy | None = None,
    justification: str = "",
    changes_max: int,
    random_bytes: bytes,
) -> ChangeRecord:
    """Write down what is to be done once enough approved: destroy a version, or set a policy. Of the key, what is
    checked is that it has a quorum. random_bytes: names.ID_BYTES of them.

    Raises QUOTA_EXCEEDED, and CHANGE_UNDECIDABLE when there are too few approvers beside who asks.
    """
    quorum = key.policy.quorum
    assert quorum is not None
    requester = change.asker.identity.subject
    others = [name for name in quorum.approvers if name != requester]
    if len(others) < quorum.approvals_needed:
        raise KetgateError(
            Reason.CHANGE_UNDECIDABLE,
            f"{key.name} needs {quorum.approvals_needed} approvals, and beside {requester!r}, who asks, there are "
            f"{len(others)} approvers; let somebody ask who is none",
            metadata={"key": key.name},
        )
    if changes.count_pending(change.tx, key.tenant, change.now_us) >= changes_max:
        raise KetgateError(
            Reason.QUOTA_EXCEEDED,
            f"{changes_max} changes wait for approvals, the limit signing.changes_max; decide or reject some",
            limit="signing.changes_max",
        )
    made = ChangeRecord(
        tenant=key.tenant,
        id=new_id(change.now_us, random_bytes),
        key_id=key.id,
        state=ChangeState.PENDING,
        requester=requester,
        approvers=quorum.approvers,
        approvals_needed=quorum.approvals_needed,
        create_time_us=change.now_us,
        expire_time_us=change.now_us + EXPIRY_US,
        version=version,
        policy=policy,
        justification=check_justification(justification),
    )
    _put(change, made)
    change.facts["requested"] = f"destroy {made.subject}" if version else "set the policy"
    if policy is not None:
        change.facts["policy"] = _told(policy)
    return made


def apply_policy(change: Change, key: KeyRecord, policy: Policy, but: str = "") -> KeyRecord:
    """Set a policy. It ends all changes of the key that wait, but for the one of this id: they were asked for under
    another policy."""
    stale = [
        found
        for found in changes.pending_of_key(change.tx, change.vault, key.tenant, key.id)
        if found.id != but
    ]
    stored = change.put_key(replace(key, policy=policy))
    for found in stale:
        ended_us = min(change.now_us, found.expire_time_us)
        ended = replace(found, state=ChangeState.EXPIRED, end_time_us=ended_us)
        changes.write_change(change.tx, change.vault, ended, change.generation)
    if stale:
        change.facts["changes_expired"] = str(len(stale))
    change.facts["policy"] = _told(policy)
    return stored


def approve(change: Change, change_id: str) -> ChangeRecord:
    """Approve a change; the last approval that it needs carries it out.

    Raises NotFound for whoever may not know of it, CHANGE_UNDECIDABLE for whoever may not approve it, or not any
    more, and what carrying it out raises: then nothing is approved.
    """
    found, key = _find(change, change_id)
    caller = change.asker.identity.subject
    _check_pending(found, change.now_us)
    if caller == found.requester:
        raise _undecidable(found, f"{caller!r} asked for it, and may not approve it")
    if caller not in found.approvers:
        raise _undecidable(found, f"{caller!r} is none of its approvers")
    if caller in found.approvals:
        raise _undecidable(found, f"{caller!r} approved it before")
    decided = replace(found, approvals=(*found.approvals, caller))
    if len(decided.approvals) >= decided.approvals_needed:
        if decided.version:
            effects.act(change, key, change.version(key, decided.version), Act.DESTROY)
        else:
            assert decided.policy is not None
            apply_policy(change, key, decided.policy, but=decided.id)
        decided = replace(decided, state=ChangeState.APPLIED, end_time_us=change.now_us)
    _put(change, decided)
    change.facts["approvals"] = ",".join(decided.approvals)
    return decided


def reject(change: Change, change_id: str) -> ChangeRecord:
    """Reject a change as an approver, also as one who approved it, or take it back as its requester.

    Raises as approve().
    """
    found, _ = _find(change, change_id)
    caller = change.asker.identity.subject
    _check_pending(found, change.now_us)
    if caller != found.requester and caller not in found.approvers:
        raise _undecidable(found, f"{caller!r} is neither its requester nor one of its approvers")
    decided = replace(found, state=ChangeState.REJECTED, end_time_us=change.now_us)
    _put(change, decided)
    return decided


def expire(change: Change, change_id: str) -> bool:
    """Write down that a change has expired; False when it has not, or was decided meanwhile."""
    found = changes.read_change(change.tx, change.vault, change.asker.tenant, change_id)
    if found is None or found.state is not ChangeState.PENDING:
        return False
    seen = found.seen_at(change.now_us)
    if seen.state is not ChangeState.EXPIRED:
        return False
    _put(change, seen)
    return True


def _find(change: Change, change_id: str) -> tuple[ChangeRecord, KeyRecord]:
    tenant = change.asker.tenant
    found = changes.read_change(change.tx, change.vault, tenant, change_id)
    if found is not None:
        key = rows.read_key(change.tx, change.vault, tenant, found.key_id)
        if key is not None and changes.may_read(found, key, change.asker.identity):
            return found, key
    raise NotFound(change_name(change_id))


def _check_pending(found: ChangeRecord, now_us: int) -> None:
    state = found.seen_at(now_us).state
    if state is not ChangeState.PENDING:
        raise _undecidable(found, f"it is {state.value} already")


def _undecidable(found: ChangeRecord, why: str) -> KetgateError:
    return KetgateError(
        Reason.CHANGE_UNDECIDABLE,
        f"{found.name} cannot be decided: {why}",
        metadata={"resource": found.name, "state": found.state.value},
    )


def _put(change: Change, record: ChangeRecord) -> None:
    changes.write_change(change.tx, change.vault, record, change.generation)
    change.resource = record.name
    change.facts |= {
        "change": record.id,
        "change_state": record.state.value,
        "key": record.key_id,
    }
    if record.version:
        change.facts["version"] = str(record.version)


def _told(policy: Policy) -> str:
    """A policy as the audit has it: whole where it is short, else by its digest."""
    text = bodies.canonical(policies.as_json(policy))
    if len(text) <= TOLD_CHARACTERS_MAX:
        return text.decode()
    return f"sha256:{hashlib.sha256(text).hexdigest()}"
