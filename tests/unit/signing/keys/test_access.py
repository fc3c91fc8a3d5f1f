"""From a name to a key that may be used, and refusals that tell nothing."""

import pytest
from ketgate_server.errors import FieldError, KetgateError, NotFound, Reason
from ketgate_server.rpc.call import Identity
from ketgate_server.signing.keys.access import Access
from ketgate_server.signing.keys.record import Grant, Policy, Use
from ketgate_server.signing.keys.refusal import REFUSAL_S
from ketgate_server.signing.keys.states import Act

from .conftest import EMMA, Bench

BOB = Identity("bob", "red", frozenset({"signing.user"}))
GUARDED = Policy((Grant(frozenset({"emma"}), frozenset({Use.SIGN, Use.MANAGE})),))


def refusal(access: Access, identity: Identity, name: str, use: Use = Use.SIGN) -> KetgateError:
    with pytest.raises(KetgateError) as caught:
        access.find(identity, name, use)
    return caught.value


def test_a_name_is_the_primary_version_or_one_that_it_tells(bench: Bench) -> None:
    bench.create()
    bench.rotate()
    access = Access(bench.keys)
    assert access.find(EMMA, "keys/a", Use.SIGN)[1].version == 2
    assert access.find(EMMA, "keys/a/versions/1", Use.SIGN)[1].version == 1
    key, versions = access.find_all(EMMA, "keys/a", Use.VERIFY)
    assert (key.id, [version.version for version in versions]) == ("a", [2, 1])
    assert [v.version for v in access.find_all(EMMA, "keys/a/versions/1", Use.VERIFY)[1]] == [1]


@pytest.mark.parametrize(
    "name",
    ["", "a", "keys/", "keys/A", "keys/a-", "keys/a/versions/0", "keys/a/versions/x", "keys/a/"],
)
def test_a_name_that_can_be_none_is_the_field_s_fault(bench: Bench, name: str) -> None:
    with pytest.raises(FieldError) as caught:
        Access(bench.keys).find(EMMA, name, Use.SIGN, "key")
    assert caught.value.field == "key"


def test_versions_that_are_not_usable_say_why(bench: Bench) -> None:
    bench.create()
    access = Access(bench.keys)
    bench.act(Act.DISABLE, 1)
    error = refusal(access, EMMA, "keys/a/versions/1")
    assert (error.reason, error.metadata["state"]) == (Reason.KEY_UNUSABLE, "DISABLED")
    assert "EnableKeyVersion" in error.message
    assert refusal(access, EMMA, "keys/a").reason is Reason.KEY_UNUSABLE
    with pytest.raises(KetgateError) as caught:
        access.find_all(EMMA, "keys/a", Use.VERIFY)
    assert caught.value.reason is Reason.KEY_UNUSABLE
    bench.act(Act.DESTROY, 1)
    assert "RestoreKeyVersion" in refusal(access, EMMA, "keys/a/versions/1").message
    missing = refusal(access, EMMA, "keys/a/versions/2")
    assert (missing.reason, missing.metadata["resource"]) == (
        Reason.RESOURCE_NOT_FOUND,
        "keys/a/versions/2",
    )


def test_contexts_are_those_that_the_policy_lists(bench: Bench) -> None:
    access = Access(bench.keys)
    free, _ = bench.create("free")
    bound, _ = bench.create("bound", policy=Policy(contexts=(b"orders",)))
    access.check_context(free, b"anything")
    access.check_context(bound, b"orders")
    for context in (b"", b"other"):
        with pytest.raises(KetgateError) as caught:
            access.check_context(bound, context)
        assert caught.value.reason is Reason.POLICY_DENIED
        assert caught.value.metadata["rule"] == "contexts"


class Clock:
    """Time that passes only when it is asked for, and when somebody sleeps."""

    def __init__(self, step_s: float) -> None:
        self.now_s = 100.0
        self.step_s = step_s

    def __call__(self) -> float:
        self.now_s += self.step_s
        return self.now_s

    def sleep(self, seconds: float) -> None:
        assert 0 < seconds <= REFUSAL_S
        self.now_s += seconds


@pytest.mark.parametrize("work_s", [0.0, 0.001, 0.0049, 0.0099])
def test_what_is_hidden_is_refused_when_and_as_what_is_not_there(
    bench: Bench, work_s: float
) -> None:
    """However long the look-up took: the answer leaves at a multiple of REFUSAL_S."""
    bench.create("guarded", policy=GUARDED)
    blue = Identity("emma", "blue", frozenset({"admin"}))
    answers = set()
    for identity, name in ((BOB, "keys/guarded"), (blue, "keys/guarded"), (BOB, "keys/absent")):
        clock = Clock(work_s)
        access = Access(bench.keys, now_s=clock, sleep=clock.sleep)
        error = refusal(access, identity, name)
        assert isinstance(error, NotFound)
        took_s = clock.now_s - 100.0 - work_s  # since it was asked
        assert took_s / REFUSAL_S == pytest.approx(int(work_s // REFUSAL_S) + 1)
        answers.add((error.message.replace("guarded", "absent"), error.field, error.reason))
    assert len(answers) == 1


def test_a_caller_that_is_named_is_told_at_once_what_is_not_granted(bench: Bench) -> None:
    bench.create("guarded", policy=GUARDED)

    def no_sleep(_: float) -> None:
        raise AssertionError

    access = Access(bench.keys, sleep=no_sleep)
    error = refusal(access, EMMA, "keys/guarded", Use.VERIFY)
    assert (error.reason, error.metadata["rule"]) == (Reason.POLICY_DENIED, "grants")
