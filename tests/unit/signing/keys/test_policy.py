"""Who may use a key: the matcher against a plain oracle, and what a policy can be."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ketgate.signing.v1 import key_pb2 as pb
from ketgate_server.errors import FieldError, KetgateError, NotFound, Reason
from ketgate_server.rpc.call import Identity
from ketgate_server.signing.algorithms import ALGORITHMS
from ketgate_server.signing.keys import convert_policy, policy
from ketgate_server.signing.keys.record import Grant, KeyRecord, Policy, Quorum, Use

TOKENS = ["ann", "bob", "cleo"]
ROLES = ["admin", "signing.admin", "signing.user"]

identities = st.builds(
    Identity,
    st.sampled_from(TOKENS),
    st.just("red"),
    st.frozensets(st.sampled_from(ROLES), min_size=1),
)
members = st.sampled_from([*TOKENS, *(f"role:{role}" for role in ROLES), "red"])
grants = st.builds(
    Grant,
    st.frozensets(members, min_size=1, max_size=3),
    st.frozensets(st.sampled_from(Use), min_size=1, max_size=3),
)
quorums = st.none() | st.lists(st.sampled_from(TOKENS), min_size=1, unique=True).map(
    lambda names: Quorum(1, tuple(names))
)
policies = st.builds(
    Policy,
    st.lists(grants, max_size=3).map(tuple),
    st.lists(st.binary(max_size=4), max_size=2, unique=True).map(tuple),
    st.sampled_from([0.0, 2.5]),
    st.just(0),
    quorums,
)


def key_with(of: Policy) -> KeyRecord:
    return KeyRecord("red", "k", "uid", ALGORITHMS["ED25519"], 0, "ann", "etag", policy=of)


def names_of(identity: Identity) -> list[str]:
    """What a member would have to be, to mean this caller."""
    return [identity.subject] + ["role:" + role for role in identity.roles]


@given(policies, identities, st.sampled_from(Use))
def test_a_use_is_what_some_grant_gives(of: Policy, identity: Identity, use: Use) -> None:
    pairs = [(member, granted) for g in of.grants for member in g.members for granted in g.uses]
    allowed = not of.grants or any((name, use) in pairs for name in names_of(identity))
    named = (
        not of.grants
        or any(name in [member for member, _ in pairs] for name in names_of(identity))
        or (of.quorum is not None and identity.subject in of.quorum.approvers)
        or "admin" in identity.roles
    )
    key = key_with(of)
    if allowed:
        assert policy.require(key, identity, use, "keys/k") is key
        return
    with pytest.raises(KetgateError) as caught:
        policy.require(key, identity, use, "keys/k")
    assert isinstance(caught.value, NotFound) is not named
    if named:
        assert caught.value.reason is Reason.POLICY_DENIED
        assert caught.value.metadata["use"] == use.value


@given(policies, identities)
def test_the_role_admin_stands_above_grants_for_policies_alone(
    of: Policy, identity: Identity
) -> None:
    admin = replace(identity, subject="root", roles=frozenset({"admin"}))
    key = key_with(of)
    assert policy.require(key, admin, Use.MANAGE, "keys/k", for_policy=True) is key
    by_role = any("role:admin" in grant.members and Use.SIGN in grant.uses for grant in of.grants)
    assert policy.grants(of, admin, Use.SIGN) == (not of.grants or by_role)


def test_what_is_hidden_is_refused_as_what_is_not_there() -> None:
    hidden = key_with(Policy((Grant(frozenset({"ann"}), frozenset({Use.SIGN})),)))
    bob = Identity("bob", "red", frozenset({"signing.user"}))
    errors = []
    for found in (hidden, None):
        with pytest.raises(NotFound) as caught:
            policy.require(found, bob, Use.SIGN, "keys/k", "key")
        errors.append((caught.value.message, caught.value.field, caught.value.metadata))
    assert errors[0] == errors[1]


@given(policies)
def test_a_policy_is_written_in_one_form_and_read_back(of: Policy) -> None:
    text = json.dumps(policy.as_json(of), sort_keys=True)
    assert policy.from_json(json.loads(text)) == of
    turned = replace(of, grants=tuple(replace(g, members=frozenset(g.members)) for g in of.grants))
    assert json.dumps(policy.as_json(turned), sort_keys=True) == text


@given(policies)
def test_a_policy_goes_through_the_contract(of: Policy) -> None:
    assert convert_policy.read_policy(convert_policy.policy(of)) == of


SIGN = pb.KEY_USE_SIGN
MANY = [f"t{i}" for i in range(101)]


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (pb.KeyPolicy(grants=[pb.KeyGrant(uses=[SIGN])]), "policy.grants[0].members"),
        (pb.KeyPolicy(grants=[pb.KeyGrant(members=["a"])]), "policy.grants[0].uses"),
        (pb.KeyPolicy(grants=[pb.KeyGrant(members=["a"], uses=[0])]), "policy.grants[0].uses[0]"),
        (pb.KeyPolicy(grants=[pb.KeyGrant(members=["a"], uses=[99])]), "policy.grants[0].uses[0]"),
        (
            pb.KeyPolicy(grants=[pb.KeyGrant(members=["no token"], uses=[SIGN])]),
            "policy.grants[0].members",
        ),
        (
            pb.KeyPolicy(grants=[pb.KeyGrant(members=["role:"], uses=[SIGN])]),
            "policy.grants[0].members",
        ),
        (
            pb.KeyPolicy(grants=[pb.KeyGrant(members=["a", "role:signing.usr"], uses=[SIGN])]),
            "policy.grants[0].members",
        ),
        (
            pb.KeyPolicy(grants=[pb.KeyGrant(members=MANY, uses=[SIGN])]),
            "policy.grants[0].members",
        ),
        (pb.KeyPolicy(grants=[pb.KeyGrant(members=["a"], uses=[SIGN])] * 101), "policy.grants"),
        (pb.KeyPolicy(contexts=[b"", b"x" * 256]), "policy.contexts[1]"),
        (pb.KeyPolicy(contexts=[bytes([i]) for i in range(101)]), "policy.contexts"),
        (pb.KeyPolicy(uses_per_second=-1), "policy.uses_per_second"),
        (pb.KeyPolicy(uses_per_second=float("nan")), "policy.uses_per_second"),
        (pb.KeyPolicy(uses_per_second=float("inf")), "policy.uses_per_second"),
        (pb.KeyPolicy(uses_per_second=1e-9), "policy.uses_per_second"),
        (pb.KeyPolicy(uses_per_second=1, burst=-1), "policy.burst"),
        (pb.KeyPolicy(burst=1), "policy.burst"),
        (pb.KeyPolicy(quorum=pb.Quorum(approvals_needed=1)), "policy.quorum.approvers"),
        (
            pb.KeyPolicy(quorum=pb.Quorum(approvals_needed=3, approvers=["a", "b"])),
            "policy.quorum.approvals_needed",
        ),
        (
            pb.KeyPolicy(quorum=pb.Quorum(approvals_needed=0, approvers=["a", "b"])),
            "policy.quorum.approvals_needed",
        ),
        (
            pb.KeyPolicy(quorum=pb.Quorum(approvals_needed=1, approvers=["a", "a"])),
            "policy.quorum.approvers[1]",
        ),
        (
            pb.KeyPolicy(quorum=pb.Quorum(approvals_needed=1, approvers=["role:admin"])),
            "policy.quorum.approvers[0]",
        ),
    ],
)
def test_what_is_no_policy_is_refused_by_its_field(message: pb.KeyPolicy, field: str) -> None:
    with pytest.raises(FieldError) as caught:
        convert_policy.read_policy(message)
    assert caught.value.field == field


def test_a_role_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    """It would be granted to nobody, and who wrote it would not know why the key is hidden."""
    message = pb.KeyPolicy(grants=[pb.KeyGrant(members=["role:signing.usr"], uses=[SIGN])])
    with pytest.raises(FieldError, match=r"signing\.user.*given role:signing\.usr"):
        convert_policy.read_policy(message)
