"""Policies between the contract and the domain."""

from __future__ import annotations

from ketgate.signing.v1 import key_pb2 as pb

from ketgate_server.errors import FieldError
from ketgate_server.signing.keys import policy as policies
from ketgate_server.signing.keys.record import Grant, Policy, Quorum, Use

_PREFIX = "KEY_USE_"


def read_policy(message: pb.KeyPolicy, field: str = "policy") -> Policy:
    """Raises FieldError. An absent message is the policy that leaves all to roles."""
    grants = []
    for i, grant in enumerate(message.grants):
        path = f"{field}.grants[{i}]"
        if (
            len(grant.members) > policies.MEMBERS_MAX
        ):  # before the set: it would drop what is there twice
            raise FieldError(
                f"{path}.members",
                expected=f"at most {policies.MEMBERS_MAX}",
                given=len(grant.members),
            )
        uses = [_use(use, f"{path}.uses[{k}]") for k, use in enumerate(grant.uses)]
        grants.append(Grant(frozenset(grant.members), frozenset(uses)))
    quorum = None
    if message.HasField("quorum"):
        quorum = Quorum(message.quorum.approvals_needed, tuple(message.quorum.approvers))
    read = Policy(
        tuple(grants),
        tuple(dict.fromkeys(message.contexts)),
        message.uses_per_second,
        message.burst,
        quorum,
    )
    return policies.check(read, field)


def policy(policy: Policy) -> pb.KeyPolicy:
    """As the contract has it; members and uses in order."""
    made = pb.KeyPolicy(
        grants=[
            pb.KeyGrant(
                members=sorted(grant.members),
                uses=[_PREFIX + use.value for use in Use if use in grant.uses],
            )
            for grant in policy.grants
        ],
        contexts=policy.contexts,
        uses_per_second=policy.uses_per_second,
        burst=policy.burst,
    )
    if policy.quorum is not None:
        made.quorum.approvals_needed = policy.quorum.approvals_needed
        made.quorum.approvers.extend(policy.quorum.approvers)
    return made


def _use(number: int, field: str) -> Use:
    name = pb.KeyUse.Name(number) if number in pb.KeyUse.values() else ""
    if number == pb.KEY_USE_UNSPECIFIED or not name:
        raise FieldError(field, expected="a KeyUse of the contract", given=name or number)
    return Use(name.removeprefix(_PREFIX))
