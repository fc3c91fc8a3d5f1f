"""A quorum against a model of what it promises, over any order of requests, decisions and days."""

# ruff: noqa: PT017 - what an error must be depends on the model

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.signing.keys.quorum import EXPIRY_US, Asked
from ketgate_server.signing.keys.record import ChangeState, Policy, Quorum, VersionState
from ketgate_server.signing.keys.states import Act
from ketgate_server.store.database import open_store

from .conftest import EMMA, MINUTE_US, Bench, FakeTime
from .test_quorum import CHANGES_MAX, Desk, who

DAY_US = 24 * 60 * MINUTE_US
POLICIES = [
    Policy(),
    Policy(quorum=Quorum(1, ("ann", "bob"))),
    Policy(quorum=Quorum(2, ("ann", "bob", "cleo"))),
]
NAMES = ["emma", "ann", "bob", "cleo", "max"]
PENDING = ChangeState.PENDING


@dataclass
class Model:
    """What a change is to be."""

    requester: str
    approvers: tuple[str, ...]
    needed: int
    expire_us: int
    policy: Policy | None
    state: ChangeState = PENDING
    approvals: list[str] = field(default_factory=list)


class QuorumMachine(RuleBasedStateMachine):
    """One key, some callers, and time."""

    changes = Bundle("changes")

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.time = FakeTime()
        self.store = open_store(Path(self.folder.name), None, clock=self.time)
        self.bench = Bench(self.store, self.time)
        self.bench.create(policy=POLICIES[2], destroy_delay_us=120 * DAY_US)
        self.desk = Desk(self.bench)
        self.policy = POLICIES[2]
        self.scheduled = False
        self.models: dict[str, Model] = {}

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.folder.cleanup()

    @rule(target=changes, name=st.sampled_from(["emma", "ann"]))
    def ask_to_destroy(self, name: str):
        if self.policy.quorum is None or self.scheduled:
            assert self.desk.destroy(identity=who(name, "signing.admin")).change is None
            self.scheduled = True
            return multiple()
        return self._ask(lambda: self.desk.destroy(identity=who(name, "signing.admin")), name, None)

    @rule(target=changes, name=st.sampled_from(["emma", "bob"]), policy=st.sampled_from(POLICIES))
    def ask_for_policy(self, name: str, policy: Policy):
        def ask() -> Asked:
            return self.desk.set_policy(policy, who(name, "signing.admin"))

        if self.policy.quorum is None:
            assert ask().change is None
            self._set_policy(policy, None)
            return multiple()
        return self._ask(ask, name, policy)

    def _ask(self, ask, name: str, policy: Policy | None):
        quorum = self.policy.quorum
        assert quorum is not None
        waiting = [m for m in self.models.values() if m.state is PENDING]
        others = [approver for approver in quorum.approvers if approver != name]
        try:
            change = ask().change
        except KetgateError as error:
            if len(others) < quorum.approvals_needed:
                assert error.reason is Reason.CHANGE_UNDECIDABLE
            else:
                assert error.reason is Reason.QUOTA_EXCEEDED
                assert len(waiting) >= CHANGES_MAX
            return multiple()
        assert change is not None
        assert len(others) >= quorum.approvals_needed
        self.models[change.id] = Model(
            name,
            quorum.approvers,
            quorum.approvals_needed,
            change.create_time_us + EXPIRY_US,
            policy,
        )
        return change

    @rule(change=changes, name=st.sampled_from(NAMES))
    def approve(self, change, name: str) -> None:
        model = self.models[change.id]
        try:
            self.desk.approve(change, name)
        except KetgateError as error:
            if name != model.requester and name not in model.approvers:
                assert error.reason is Reason.RESOURCE_NOT_FOUND
                return
            assert error.reason is Reason.CHANGE_UNDECIDABLE
            assert model.state is not PENDING or name == model.requester or name in model.approvals
            return
        assert model.state is PENDING
        assert name in model.approvers
        assert name != model.requester
        assert name not in model.approvals
        model.approvals.append(name)
        if len(model.approvals) == model.needed:
            model.state = ChangeState.APPLIED
            if model.policy is None:
                self.scheduled = True
            else:
                self._set_policy(model.policy, change.id)

    @rule(change=changes, name=st.sampled_from(NAMES))
    def reject(self, change, name: str) -> None:
        model = self.models[change.id]
        concerned = name == model.requester or name in model.approvers
        try:
            self.desk.reject(change, name)
        except KetgateError as error:
            expected = Reason.CHANGE_UNDECIDABLE if concerned else Reason.RESOURCE_NOT_FOUND
            assert error.reason is expected
            assert not concerned or model.state is not PENDING
            return
        assert concerned
        assert model.state is PENDING
        model.state = ChangeState.REJECTED

    @rule(days=st.sampled_from([1, 3, 6]))
    def days_pass(self, days: int) -> None:
        self.time.pass_us(days * DAY_US)
        for model in self.models.values():
            if model.state is PENDING and model.expire_us <= self.bench.store.now_us():
                model.state = ChangeState.EXPIRED

    @rule()
    def restore(self) -> None:
        if self.scheduled:
            self.bench.act(Act.RESTORE, 1)
            self.scheduled = False

    def _set_policy(self, policy: Policy, but: str | None) -> None:
        self.policy = policy
        for change_id, model in self.models.items():
            if model.state is PENDING and change_id != but:
                model.state = ChangeState.EXPIRED

    @invariant()
    def all_is_as_the_model_says(self) -> None:
        if not hasattr(self, "models"):
            return
        assert self.bench.key().policy == self.policy
        is_scheduled = self.bench.version(1).state is VersionState.DESTROY_SCHEDULED
        assert is_scheduled == self.scheduled
        found = {change.id: change for change in self.desk.list.page(EMMA, "a", "", 1_000)[0]}
        assert set(found) == set(self.models)
        for change_id, model in self.models.items():
            change = found[change_id]
            assert change.state is model.state
            assert list(change.approvals) == model.approvals


QuorumMachine.TestCase.settings = settings(
    max_examples=12, stateful_step_count=25, deadline=None, derandomize=True, database=None
)
test_quorum = QuorumMachine.TestCase
