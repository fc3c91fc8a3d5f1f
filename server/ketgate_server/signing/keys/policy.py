"""Who may use a key: grants, and how a policy is checked and written down.

A policy without grants leaves it to the roles of the methods. With grants, a caller that none of them names does
not learn that the key exists; one that is named, but not for this use, is told so. Approvers of the quorum are
named too: they see what they are to decide about. The role `admin` stands above grants only for changes of the
policy itself.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterable
from typing import Any

from ketgate_server.errors import FieldError, KetgateError, NotFound, Reason
from ketgate_server.roles import ROLES
from ketgate_server.rpc.call import ADMIN_ROLE, Identity
from ketgate_server.signing.algorithms import CONTEXT_BYTES_MAX
from ketgate_server.signing.keys.record import Grant, KeyRecord, Policy, Quorum, Use

ROLE_PREFIX = "role:"
GRANTS_MAX = 100
MEMBERS_MAX = 100
"""Of one grant."""
CONTEXTS_MAX = 100
APPROVERS_MAX = 100
USES_PER_SECOND_MIN = 0.0001
USES_PER_SECOND_MAX = 1_000_000.0
BURST_MAX = 1_000_000

_TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}")
_ROLE_MEMBERS = frozenset(ROLE_PREFIX + role for role in ROLES)


def names(policy: Policy, identity: Identity) -> bool:
    """Whether a caller may know of the key: the role `admin`, which reads all keys, may."""
    if ADMIN_ROLE in identity.roles:
        return True
    if not policy.grants or any(_is_member(grant, identity) for grant in policy.grants):
        return True
    return policy.quorum is not None and identity.subject in policy.quorum.approvers


def grants(policy: Policy, identity: Identity, use: Use) -> bool:
    """Whether a caller, who has the role of the method, may do this with the key."""
    if not policy.grants:
        return True
    return any(use in grant.uses and _is_member(grant, identity) for grant in policy.grants)


def may_set_policy(policy: Policy, identity: Identity) -> bool:
    """Whether a caller may read the key and change its policy."""
    return ADMIN_ROLE in identity.roles or grants(policy, identity, Use.MANAGE)


def require(
    key: KeyRecord | None,
    identity: Identity,
    use: Use,
    name: str,
    field: str = "name",
    *,
    for_policy: bool = False,
) -> KeyRecord:
    """The key, if the caller may do this. key: what is stored under the name in the caller's tenant; for_policy:
    the change is one of the policy, or reads it.

    Raises NotFound, the same for a key that is not there and one that is not for the caller, and POLICY_DENIED.
    Services ask Access first, which takes the same time for both; inside a transaction this asks again.
    """
    if key is not None and for_policy and may_set_policy(key.policy, identity):
        return key
    if key is None or not names(key.policy, identity):
        raise NotFound(name, field)
    if not grants(key.policy, identity, use):
        raise denied(key, identity, use)
    return key


def denied(key: KeyRecord, identity: Identity, use: Use) -> KetgateError:
    """The refusal of a caller that may know of the key, but not use it so."""
    return KetgateError(
        Reason.POLICY_DENIED,
        f"the policy of {key.name} grants {identity.subject!r} no {use}; "
        "ask whoever manages the key to add it to policy.grants",
        metadata={"key": key.name, "rule": "grants", "use": use.value},
    )


def check(policy: Policy, field: str = "policy") -> Policy:
    """The same policy, if it can be one. Raises FieldError."""
    _at_most(field + ".grants", policy.grants, GRANTS_MAX)
    for i, grant in enumerate(policy.grants):
        _check_grant(grant, f"{field}.grants[{i}]")
    _at_most(field + ".contexts", policy.contexts, CONTEXTS_MAX)
    for i, context in enumerate(policy.contexts):
        if len(context) > CONTEXT_BYTES_MAX:
            raise FieldError(
                f"{field}.contexts[{i}]",
                expected=f"at most {CONTEXT_BYTES_MAX} bytes",
                given=context,
            )
    _check_rate(policy, field)
    if policy.quorum is not None:
        _check_quorum(policy.quorum, f"{field}.quorum")
    return policy


def as_json(policy: Policy) -> dict[str, Any]:
    """What json.dumps takes; equal policies give equal text with sort_keys. What is not set is left out."""
    found: dict[str, Any] = {}
    if policy.grants:
        found["grants"] = [
            {"members": sorted(grant.members), "uses": sorted(use.value for use in grant.uses)}
            for grant in policy.grants
        ]
    if policy.contexts:
        found["contexts"] = [base64.b64encode(context).decode() for context in policy.contexts]
    if policy.uses_per_second:
        found["uses_per_second"] = policy.uses_per_second
    if policy.burst:
        found["burst"] = policy.burst
    if policy.quorum is not None:
        found["quorum"] = {
            "approvals_needed": policy.quorum.approvals_needed,
            "approvers": list(policy.quorum.approvers),
        }
    return found


def from_json(found: dict[str, Any]) -> Policy:
    """The policy that as_json() wrote."""
    quorum = found.get("quorum")
    return Policy(
        tuple(
            Grant(frozenset(grant["members"]), frozenset(map(Use, grant["uses"])))
            for grant in found.get("grants", ())
        ),
        tuple(base64.b64decode(context) for context in found.get("contexts", ())),
        float(found.get("uses_per_second", 0.0)),
        int(found.get("burst", 0)),
        None
        if quorum is None
        else Quorum(int(quorum["approvals_needed"]), tuple(quorum["approvers"])),
    )


def _is_member(grant: Grant, identity: Identity) -> bool:
    return identity.subject in grant.members or any(
        ROLE_PREFIX + role in grant.members for role in identity.roles
    )


def _check_grant(grant: Grant, field: str) -> None:
    _at_least_one(f"{field}.members", grant.members, "name of a token or role:NAME")
    _at_most(f"{field}.members", grant.members, MEMBERS_MAX)
    for member in sorted(grant.members):
        if member.startswith(ROLE_PREFIX) and member not in _ROLE_MEMBERS:
            raise FieldError(
                f"{field}.members",
                expected=f'"{ROLE_PREFIX}" and a role, which are {", ".join(ROLES)}',
                given=member,
            )
        if member not in _ROLE_MEMBERS and not _TOKEN.fullmatch(member):
            raise FieldError(
                f"{field}.members",
                expected=f'names of tokens, or "{ROLE_PREFIX}" and the name of a role',
                given=member or "an empty one",
            )
    _at_least_one(f"{field}.uses", grant.uses, "use")


def _check_rate(policy: Policy, field: str) -> None:
    rate = policy.uses_per_second
    # Written so that NaN fails too.
    if not (rate == 0.0 or USES_PER_SECOND_MIN <= rate <= USES_PER_SECOND_MAX):
        raise FieldError(
            f"{field}.uses_per_second",
            expected=f"0 (no limit), or {USES_PER_SECOND_MIN} to {USES_PER_SECOND_MAX:.0f}",
            given=rate,
        )
    if not 0 <= policy.burst <= BURST_MAX:
        raise FieldError(f"{field}.burst", expected=f"0 to {BURST_MAX}", given=policy.burst)
    if policy.burst and not rate:
        raise FieldError(
            f"{field}.burst",
            expected="0 where uses_per_second is 0",
            given=policy.burst,
            hint="give uses_per_second too",
        )


def _check_quorum(quorum: Quorum, field: str) -> None:
    _at_least_one(f"{field}.approvers", quorum.approvers, "name of a token")
    _at_most(f"{field}.approvers", quorum.approvers, APPROVERS_MAX)
    for i, approver in enumerate(quorum.approvers):
        if not _TOKEN.fullmatch(approver):
            raise FieldError(
                f"{field}.approvers[{i}]",
                expected="the name of a token; a role cannot approve",
                given=approver or "an empty one",
            )
        if approver in quorum.approvers[:i]:
            raise FieldError(
                f"{field}.approvers[{i}]", expected="each name once", given=f"{approver} again"
            )
    if not 1 <= quorum.approvals_needed <= len(quorum.approvers):
        raise FieldError(
            f"{field}.approvals_needed",
            expected=f"1 to the number of approvers, {len(quorum.approvers)}",
            given=quorum.approvals_needed,
        )


def _at_most(field: str, items: Iterable[object], most: int) -> None:
    count = len(list(items))
    if count > most:
        raise FieldError(field, expected=f"at most {most}", given=count)


def _at_least_one(field: str, items: Iterable[object], what: str) -> None:
    if not list(items):
        raise FieldError(field, expected=f"at least one {what}", given="none")


def capacity(policy: Policy) -> float:
    """Uses that may come at once; infinite without a rate."""
    if not policy.uses_per_second:
        return math.inf
    return float(policy.burst) if policy.burst else max(1.0, policy.uses_per_second)
