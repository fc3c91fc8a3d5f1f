"""What a quorum guards waits for approvals: who decides, when, and what then holds."""

import base64
from collections.abc import Callable
from dataclasses import replace

import pytest
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.rpc.call import Identity
from ketgate_server.signing.keys import due, quorum
from ketgate_server.signing.keys.change import Change
from ketgate_server.signing.keys.change_list import ChangeList
from ketgate_server.signing.keys.changes import ChangeRecord
from ketgate_server.signing.keys.quorum import EXPIRY_US, Asked
from ketgate_server.signing.keys.record import (
    ChangeState,
    Grant,
    Policy,
    Quorum,
    Use,
    VersionState,
)
from ketgate_server.signing.keys.states import Act

from .conftest import EMMA, Bench
from .test_key_store import audit

GUARDED = Policy(quorum=Quorum(2, ("ann", "bob", "cleo", "emma")))
OPEN = Policy(uses_per_second=5.0)
CHANGES_MAX = 4


def who(name: str, *roles: str, tenant: str = "red") -> Identity:
    return Identity(name, tenant, frozenset(roles or {"optimization.user"}))


class Desk:
    """Callers of a key store with a guarded key."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.list = ChangeList(bench.keys.store, bench.keys.vault)
        self._drawn = 0

    def _run(self, identity: Identity, method: str, operation: Callable[[Change], object]):
        asker = self.bench.asker(method, identity=identity)
        return self.bench.keys.change(asker, operation).value

    def _random(self) -> bytes:
        self._drawn += 1
        return self._drawn.to_bytes(7, "big")

    def set_policy(self, policy: Policy, identity: Identity = EMMA, etag: str = "") -> Asked:
        drawn = self._random()
        return self._run(
            identity,
            "/SetKeyPolicy",
            lambda change: quorum.set_policy(
                change,
                "a",
                policy,
                etag=etag,
                justification="because",
                changes_max=CHANGES_MAX,
                random_bytes=drawn,
            ),
        )

    def destroy(self, number: int = 1, identity: Identity = EMMA) -> Asked:
        drawn = self._random()
        return self._run(
            identity,
            "/DestroyKeyVersion",
            lambda change: quorum.destroy(
                change,
                "a",
                number,
                justification="",
                changes_max=CHANGES_MAX,
                random_bytes=drawn,
            ),
        )

    def approve(self, change: ChangeRecord, name: str, *roles: str, tenant: str = "red"):
        identity = who(name, *roles, tenant=tenant)
        return self._run(identity, "/Approve", lambda found: quorum.approve(found, change.id))

    def reject(self, change: ChangeRecord, name: str) -> ChangeRecord:
        return self._run(who(name), "/Reject", lambda found: quorum.reject(found, change.id))

    def state(self, change: ChangeRecord) -> ChangeState:
        return self.list.get(EMMA, change.id).state


@pytest.fixture
def desk(bench: Bench) -> Desk:
    bench.create(policy=GUARDED)
    return Desk(bench)


def refusal(call, *arguments, **options) -> KetgateError:
    with pytest.raises(KetgateError) as caught:
        call(*arguments, **options)
    return caught.value


def pending(asked: Asked) -> ChangeRecord:
    assert asked.change is not None
    assert asked.change.state is ChangeState.PENDING
    return asked.change


def test_destruction_waits_for_two(desk: Desk, bench: Bench) -> None:
    asked = desk.destroy()
    change = pending(asked)
    assert change.expire_time_us == change.create_time_us + EXPIRY_US
    assert bench.version(1).state is VersionState.ENABLED
    assert desk.approve(change, "ann").approvals == ("ann",)
    assert bench.version(1).state is VersionState.ENABLED
    done = desk.approve(change, "bob")
    assert (done.state, done.approvals) == (ChangeState.APPLIED, ("ann", "bob"))
    version = bench.version(1)
    assert version.state is VersionState.DESTROY_SCHEDULED
    assert version.destroy_time_us == done.end_time_us + bench.key().destroy_delay_us
    assert bench.key().primary_version == 0
    entries = audit(bench)[-3:]
    assert [action for action, _, _ in entries] == ["/DestroyKeyVersion", "/Approve", "/Approve"]
    assert {resource for _, resource, _ in entries} == {change.name}
    facts = entries[-1][2]
    assert (facts["key"], facts["version"], facts["change_state"]) == ("a", "1", "APPLIED")
    assert facts["approvals"] == "ann,bob"
    assert int(facts["generation"]) == int(entries[-2][2]["generation"]) + 1


def test_a_version_that_is_to_be_destroyed_needs_no_approval_again(
    desk: Desk, bench: Bench
) -> None:
    change = pending(desk.destroy())
    desk.approve(change, "ann")
    desk.approve(change, "bob")
    asked = desk.destroy()
    assert asked.change is None
    assert asked.version == bench.version(1)


def test_removing_the_quorum_needs_the_quorum(desk: Desk, bench: Bench) -> None:
    change = pending(desk.set_policy(OPEN, who("root", "admin")))
    assert bench.key().policy == GUARDED
    desk.approve(change, "ann")
    desk.approve(change, "bob")
    assert bench.key().policy == OPEN
    assert audit(bench)[-1][2]["policy"] == '{"uses_per_second":5.0}'
    many = Policy((Grant(frozenset(f"t{i}" for i in range(100)), frozenset({Use.SIGN})),))
    assert desk.set_policy(many).change is None
    assert bench.key().policy == many
    assert audit(bench)[-1][2]["policy"].startswith("sha256:")


def test_a_change_of_the_policy_ends_what_waits(desk: Desk, bench: Bench) -> None:
    stale = pending(desk.destroy())
    desk.approve(stale, "ann")
    change = pending(desk.set_policy(OPEN))
    for name in ("bob", "cleo"):
        desk.approve(change, name)
    assert desk.state(change) is ChangeState.APPLIED
    assert desk.state(stale) is ChangeState.EXPIRED
    error = refusal(desk.approve, stale, "bob")
    assert error.reason is Reason.CHANGE_UNDECIDABLE
    assert bench.version(1).state is VersionState.ENABLED


def test_who_asks_approves_nothing_and_nobody_twice(desk: Desk) -> None:
    change = pending(desk.destroy())
    assert "asked for it" in refusal(desk.approve, change, "emma").message
    desk.approve(change, "ann")
    assert "before" in refusal(desk.approve, change, "ann").message
    manager = refusal(desk.approve, change, "max", "signing.admin")
    assert manager.reason is Reason.CHANGE_UNDECIDABLE
    assert desk.list.get(EMMA, change.id).approvals == ("ann",)


def test_to_others_a_change_does_not_exist(desk: Desk) -> None:
    change = pending(desk.destroy())
    for name, roles, tenant in (
        ("max", ("signing.user",), "red"),
        ("ann", ("admin",), "blue"),
        ("max", ("jobs.user",), "red"),
    ):
        error = refusal(desk.approve, change, name, *roles, tenant=tenant)
        assert error.reason is Reason.RESOURCE_NOT_FOUND
        assert (
            refusal(desk.list.get, who(name, *roles, tenant=tenant), change.id).reason
            is Reason.RESOURCE_NOT_FOUND
        )
    assert refusal(desk.list.page, who("max"), "a", "", 10).field == "key"
    assert desk.list.page(who("max"), "", "", 10) == ([], "")


def test_one_rejection_ends_it(desk: Desk, bench: Bench) -> None:
    by_approver, by_requester = pending(desk.destroy()), pending(desk.destroy())
    desk.approve(by_approver, "ann")
    assert desk.reject(by_approver, "ann").state is ChangeState.REJECTED
    assert desk.reject(by_requester, "emma").state is ChangeState.REJECTED
    assert refusal(desk.approve, by_approver, "bob").reason is Reason.CHANGE_UNDECIDABLE
    assert refusal(desk.reject, by_approver, "bob").reason is Reason.CHANGE_UNDECIDABLE
    assert refusal(desk.reject, by_approver, "max").reason is Reason.RESOURCE_NOT_FOUND
    assert bench.version(1).state is VersionState.ENABLED


def test_a_change_expires_by_its_time_and_is_written_down_later(desk: Desk, bench: Bench) -> None:
    change = pending(desk.destroy())
    desk.approve(change, "ann")
    bench.time.pass_us(EXPIRY_US - 1_000_000)
    assert due.expirations(bench.keys) == []
    bench.time.pass_us(2_000_000)
    assert desk.state(change) is ChangeState.EXPIRED
    assert refusal(desk.approve, change, "bob").reason is Reason.CHANGE_UNDECIDABLE
    assert due.expirations(bench.keys) == [("red", change.id)]
    due.expire(bench.keys, "red", change.id)
    with pytest.raises(due.NotDue):
        due.expire(bench.keys, "red", change.id)
    assert desk.list.get(EMMA, change.id).end_time_us == change.expire_time_us
    assert audit(bench)[-1][2]["change_state"] == "EXPIRED"


def test_approvers_that_are_too_few_are_told_of_at_once(bench: Bench) -> None:
    bench.create(policy=Policy(quorum=Quorum(2, ("emma", "ann"))))
    error = refusal(Desk(bench).destroy)
    assert error.reason is Reason.CHANGE_UNDECIDABLE
    assert "1 approvers" in error.message


def test_there_are_only_so_many_at_once(desk: Desk, bench: Bench) -> None:
    for _ in range(CHANGES_MAX):
        last = pending(desk.destroy())
    error = refusal(desk.destroy)
    assert (error.reason, error.limit) == (Reason.QUOTA_EXCEEDED, "signing.changes_max")
    desk.reject(last, "emma")
    desk.destroy()
    bench.time.pass_us(EXPIRY_US)
    desk.destroy()  # what has expired counts no more, though nobody wrote it down yet


def test_the_policy_has_an_etag(desk: Desk, bench: Bench) -> None:
    assert refusal(desk.set_policy, OPEN, etag="old").reason is Reason.ETAG_MISMATCH
    pending(desk.set_policy(OPEN, etag=bench.key().etag))


def test_a_version_that_is_gone_cannot_be_asked_for(desk: Desk, bench: Bench) -> None:
    bench.act(Act.DESTROY, 1)
    bench.time.pass_us(bench.key().destroy_delay_us + 1)
    for found in due.destructions(bench.keys):
        due.destroy(bench.keys, found)
    assert refusal(desk.destroy).reason is Reason.KEY_UNUSABLE
    assert refusal(desk.destroy, 2).reason is Reason.RESOURCE_NOT_FOUND


def test_what_cannot_be_carried_out_is_not_approved(desk: Desk, bench: Bench) -> None:
    """The version was destroyed meanwhile: the last approval is refused, and says why."""
    change = pending(desk.destroy())
    desk.approve(change, "ann")
    gone = replace(bench.version(1), state=VersionState.DESTROYED, destroy_time_us=None)
    bench.keys.change(bench.asker("/Destroyed"), lambda found: found.put_version(gone))
    assert refusal(desk.approve, change, "bob").reason is Reason.KEY_UNUSABLE
    assert desk.list.get(EMMA, change.id).approvals == ("ann",)


def test_lists_go_from_the_newest_on_and_to_whom_they_concern(desk: Desk, bench: Bench) -> None:
    made = []
    for _ in range(3):
        made.append(pending(desk.destroy()).id)
        bench.time.pass_us(2_000)
    bench.create(
        "b",
        policy=Policy((Grant(frozenset({"emma"}), frozenset({Use.MANAGE})),)),
    )
    ids = made[::-1]
    page, token = desk.list.page(who("ann"), "", "", 2)
    assert [change.id for change in page] == ids[:2]
    assert page[-1].id.encode() not in base64.urlsafe_b64decode(token + "==")
    assert refusal(desk.list.page, who("ann"), "a", token, 2).field == "page_token"
    page, token = desk.list.page(who("ann"), "", token, 2)
    assert ([change.id for change in page], token) == (ids[2:], "")
    assert [c.id for c in desk.list.page(EMMA, "a", "", 10)[0]] == ids
    assert desk.list.page(EMMA, "b", "", 10) == ([], "")
    assert desk.list.page(who("max", "signing.admin"), "", "", 10)[0]
    assert refusal(desk.list.page, who("max", "signing.admin"), "b", "", 10).field == "key"


def test_a_row_that_another_hand_wrote_is_corrupt(desk: Desk, bench: Bench) -> None:
    change = pending(desk.destroy())
    other = pending(desk.destroy())
    bench.store.run(
        lambda tx: tx.execute("UPDATE signing_changes SET key_id = 'b' WHERE id = ?", (change.id,))
    )
    assert refusal(desk.approve, change, "ann").reason is Reason.KEY_CORRUPT
    assert [found.id for found in desk.list.page(EMMA, "", "", 10)[0]] == [other.id]
    desk.approve(other, "ann")
