"""Any sequence of what can be done to keys does to the store what it does to a list of words."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.rpc.call import Identity
from ketgate_server.signing.algorithms import ALGORITHMS
from ketgate_server.signing.keys import rows
from ketgate_server.signing.keys.asker import Asker
from ketgate_server.signing.keys.record import VersionState
from ketgate_server.signing.keys.states import Act
from ketgate_server.signing.keys.store import NewKey
from ketgate_server.signing.keys.timers import Timers
from ketgate_server.signing.keys.updates import Update

from .conftest import LIMITS, MINUTE_US, Bench

DELAY_US = 3 * MINUTE_US
PERIOD_US = 60 * MINUTE_US
VERSIONS_MAX = LIMITS["signing.versions_max"]
KEYS_MAX = LIMITS["signing.keys_max"]

_tenants = itertools.count()
T = TypeVar("T")


@dataclass
class ModelVersion:
    """What anybody would write down of a version."""

    state: str = "ENABLED"
    due_us: int = 0
    public_key: bytes = b""


@dataclass
class ModelKey:
    """A key, in plain words. Its versions count from 1."""

    versions: list[ModelVersion] = field(default_factory=lambda: [ModelVersion()])
    primary: int = 1
    minimum: int = 1
    rotation_us: int | None = None

    def usable(self) -> list[int]:
        found = []
        for number, version in enumerate(self.versions, 1):
            if version.state == "ENABLED" and number >= self.minimum:
                found.append(number)
        return found

    def settle(self) -> None:
        usable = self.usable()
        if self.primary not in usable:
            self.primary = usable[-1] if usable else 0


def attempt(call: Callable[[], T]) -> tuple[T | None, Reason | None]:
    """What call returns, or why it was refused."""
    try:
        return call(), None
    except KetgateError as error:
        return None, error.reason


class Machine(RuleBasedStateMachine):
    bench: Bench
    keys = Bundle("keys")

    def __init__(self) -> None:
        super().__init__()
        self.tenant = f"tenant-{next(_tenants)}"
        self.identity = Identity("emma", self.tenant, frozenset({"signing.admin"}))
        self.model: dict[str, ModelKey] = {}
        self.replies: dict[tuple[str, str], bytes] = {}
        self.timers = Timers(self.bench.keys)
        self.numbers = itertools.count()

    def asker(self, method: str, request_id: str = "", body: str = "") -> Asker:
        return Asker(self.identity, "call", method, request_id, body.encode())

    @property
    def now_us(self) -> int:
        return self.bench.time.us

    @initialize(target=keys)
    def begin(self) -> object:
        return multiple(self.create(rotates=False), self.create(rotates=True))

    @rule(target=keys, rotates=st.booleans())
    def create(self, rotates: bool) -> object:
        key_id = f"k{next(self.numbers)}"
        new = NewKey(
            key_id,
            ALGORITHMS["ED25519"],
            rotation_period_us=PERIOD_US if rotates else 0,
            destroy_delay_us=DELAY_US,
        )
        done, refusal = attempt(lambda: self.bench.keys.create(self.asker("/Create"), new))
        if len(self.model) == KEYS_MAX:
            assert refusal is Reason.QUOTA_EXCEEDED
            return multiple()
        assert done is not None
        self.model[key_id] = ModelKey(rotation_us=self.now_us + PERIOD_US if rotates else None)
        return key_id

    @rule(key_id=keys, request_id=st.sampled_from(["", "a", "b"]))
    def rotate(self, key_id: str, request_id: str) -> None:
        asker = self.asker("/Rotate", request_id, key_id)
        done, refusal = attempt(
            lambda: self.bench.keys.rotate(asker, key_id, lambda made: made[1].name.encode())
        )
        known = self.replies.get(("/Rotate", request_id)) if request_id else None
        if known is not None:
            if known.startswith(f"keys/{key_id}/".encode()):
                assert done is not None
                assert (done.reply, done.value) == (known, None)
            else:
                assert refusal is Reason.REQUEST_ID_REUSED
            return
        key = self.model[key_id]
        if len(key.versions) == VERSIONS_MAX:
            assert refusal is Reason.QUOTA_EXCEEDED
            return
        assert done is not None
        if request_id:
            self.replies["/Rotate", request_id] = done.reply
        self._rotated(key)

    @rule(
        key_id=keys,
        steps=st.lists(
            st.tuples(
                st.integers(0, 1),
                st.sampled_from(list(Act)),
                st.sampled_from([0, 0, 0, 1, DELAY_US - 1, DELAY_US]),
            ),
            min_size=1,
            max_size=4,
        ),
    )
    def act(self, key_id: str, steps: list[tuple[int, Act, int]]) -> None:
        """Several, about the newest versions, so that one often follows another of the same version."""
        for back, act, us in steps:
            self.bench.time.pass_us(us)
            self._act(key_id, len(self.model[key_id].versions) - back, act)

    @rule(key_id=keys)
    def act_on_none(self, key_id: str) -> None:
        self._act(key_id, len(self.model[key_id].versions) + 1, Act.DISABLE)

    def _act(self, key_id: str, number: int, act: Act) -> None:
        key, number = self.model[key_id], max(number, 1)
        asker = self.asker(f"/{act.name}")
        done, refusal = attempt(lambda: self.bench.keys.act(asker, key_id, number, act))
        if number > len(key.versions):
            assert refusal is Reason.RESOURCE_NOT_FOUND
            return
        version = key.versions[number - 1]
        passed = version.state == "DESTROY_SCHEDULED" and version.due_us <= self.now_us
        after = {
            ("ENABLED", Act.ENABLE): "ENABLED",
            ("ENABLED", Act.DISABLE): "DISABLED",
            ("ENABLED", Act.DESTROY): "DESTROY_SCHEDULED",
            ("DISABLED", Act.ENABLE): "ENABLED",
            ("DISABLED", Act.DISABLE): "DISABLED",
            ("DISABLED", Act.DESTROY): "DESTROY_SCHEDULED",
            ("DESTROY_SCHEDULED", Act.DESTROY): "DESTROY_SCHEDULED",
            ("DESTROY_SCHEDULED", Act.RESTORE): None if passed else "DISABLED",
            ("DESTROY_SCHEDULED", Act.ELAPSE): "DESTROYED" if passed else None,
        }.get((version.state, act))
        if after is None:
            assert refusal is Reason.KEY_UNUSABLE
            return
        assert done is not None
        if after == "DESTROY_SCHEDULED" and version.state != after:
            version.due_us = self.now_us + DELAY_US
        version.state = after
        key.settle()

    @rule(key_id=keys, minimum=st.integers(0, VERSIONS_MAX), primary=st.integers(0, VERSIONS_MAX))
    def update(self, key_id: str, minimum: int, primary: int) -> None:
        """0: as it was."""
        key = self.model[key_id]
        wanted = Update(min_version=minimum or None, primary_version=primary or None)
        done, refusal = attempt(
            lambda: self.bench.keys.update(self.asker("/Update"), key_id, wanted, lambda _: b"")
        )
        if max(minimum, primary) > len(key.versions):
            assert refusal is Reason.FIELD_INVALID
            return
        before = key.minimum
        key.minimum = minimum or key.minimum
        if primary and primary != key.primary and primary not in key.usable():
            assert refusal is Reason.KEY_UNUSABLE
            key.minimum = before
            return
        assert done is not None
        key.primary = primary or key.primary
        key.settle()

    @rule(us=st.sampled_from([1, MINUTE_US, DELAY_US, PERIOD_US, 5 * PERIOD_US]))
    def pass_time(self, us: int) -> None:
        self.bench.time.pass_us(us)

    @rule()
    def tick(self) -> None:
        self.timers.run_once()
        for key in self.model.values():
            for version in key.versions:
                if version.state == "DESTROY_SCHEDULED" and version.due_us <= self.now_us:
                    version.state = "DESTROYED"
            due = key.rotation_us is not None and key.rotation_us <= self.now_us
            if due and key.primary and len(key.versions) < VERSIONS_MAX:
                self._rotated(key)

    @invariant()
    def the_store_says_what_the_model_says(self) -> None:
        for key_id, key in self.model.items():
            found = self.bench.keys.get(self.tenant, key_id)
            assert found is not None
            assert (found.primary_version, found.min_version) == (key.primary, key.minimum)
            assert found.next_rotation_us == key.rotation_us
            versions = self.bench.keys.versions(self.tenant, key_id)
            assert [v.version for v in versions] == list(range(len(key.versions), 0, -1))
            for version in versions:
                model = key.versions[version.version - 1]
                model.public_key = model.public_key or version.public_key
                assert version.state.value == model.state
                assert version.public_key == model.public_key
                assert (version.envelope is None) == (model.state == "DESTROYED")
                if model.state == "DESTROY_SCHEDULED":
                    assert version.destroy_time_us == model.due_us

    @invariant()
    def what_is_destroyed_is_told(self) -> None:
        expected = {
            (key_id, number)
            for key_id, key in self.model.items()
            for number, version in enumerate(key.versions, 1)
            if version.state == "DESTROYED"
        }
        with self.bench.store.read() as reader:
            told = {(k, n) for t, _, k, n in rows.destroyed(reader) if t == self.tenant}
        assert told == expected

    def _rotated(self, key: ModelKey) -> None:
        key.versions.append(ModelVersion())
        key.primary = len(key.versions)
        if key.rotation_us is not None:
            key.rotation_us = self.now_us + PERIOD_US


def test_the_model_knows_all_states() -> None:
    assert {state.value for state in VersionState} == {
        "ENABLED",
        "DISABLED",
        "DESTROY_SCHEDULED",
        "DESTROYED",
    }


def test_any_sequence(bench: Bench, store_url: str | None) -> None:
    class Bound(Machine):
        pass

    Bound.bench = bench
    examples = 60 if store_url is None else 20
    run_state_machine_as_test(
        Bound, settings=settings(max_examples=examples, stateful_step_count=30)
    )
