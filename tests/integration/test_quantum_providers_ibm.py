"""IBM Quantum through its real SDK: against an emulator of its REST interface, and in the SDK's own
local testing mode."""

import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ketgate_server.errors import Reason
from ketgate_server.jobs.faults import Stopped, Submitted
from ketgate_server.quantum.base import (
    BackendKind,
    BackendStatus,
    ProviderJobStatus,
    RunOptions,
    Unsuitable,
)
from ketgate_server.quantum.circuit import (
    Barrier,
    Circuit,
    Condition,
    Gate,
    If,
    Measure,
    Place,
    Register,
)
from ketgate_server.quantum.providers.durable import Finished, Work, turn
from ketgate_server.quantum.providers.errors import (
    CredentialsRefused,
    JobFailed,
    Refused,
    Throttled,
    Undecided,
    Unreachable,
)
from ketgate_server.quantum.providers.handle import Handle, Stage
from ketgate_server.quantum.providers.ibm import IbmProvider
from ketgate_server.quantum.providers.settings import IbmSettings

from ..quantum_emulators.http_service import serving
from ..quantum_emulators.ibm_api import CRN, KEY, IbmApi

account = pytest.importorskip(
    "qiskit_ibm_runtime.accounts.account", reason="qiskit-ibm-runtime is not installed"
)

MANILA = "ibm/ibm_manila"
OPTIONS = RunOptions(shots=40, seed=1, memory=True)
# Two registers, a barrier, a qubit that is not used; reads 1 into bit 3 alone.
MIXED = Circuit(
    4,
    4,
    (Gate("x", (1,)), Gate("cx", (1, 2)), Gate("cx", (1, 2)), Barrier((0, 1)), Measure(0, 0),
     Measure(2, 2), Measure(1, 3)),
    bit_registers=(Register("a", 0, 1), Register("b", 1, 3)),
)  # fmt: skip
ONE = Circuit(1, 1, (Gate("x", (0,)), Measure(0, 0)))


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[IbmApi]:
    """The emulator; the SDK's places of IBM Cloud are there too."""
    service = IbmApi()
    with serving(service) as url:
        monkeypatch.setenv("IAM_URL", url)
        monkeypatch.setattr(account, "get_global_search_api_url", lambda _: url)
        monkeypatch.setattr(account, "get_global_catalog_api_url", lambda _: url + "/api/v1")
        service.url = url  # type: ignore[attr-defined]
        yield service


@pytest.fixture
def settings(api: IbmApi, tmp_path: Path) -> IbmSettings:
    token = tmp_path / "token"
    token.write_text(KEY + "\n")
    return IbmSettings(
        enabled=True,
        instance=CRN,
        token_file=token,
        account_file=tmp_path / "none.json",
        url=api.url,  # type: ignore[attr-defined]
        read_timeout_s=5.0,
    )


@pytest.fixture
def provider(settings: IbmSettings) -> IbmProvider:
    return IbmProvider(settings)


class Context:
    """The engine's, for one job."""

    job_id = "01hf7yat000000000000000000"

    def __init__(self) -> None:
        self.handle: bytes | None = None
        self.stopped = False

    def checkpoint(self, handle: bytes) -> None:
        self.handle = handle

    def reserve(self) -> None: ...

    def release(self) -> None: ...


class Clock:
    """Goes on by what a turn says."""

    def __init__(self) -> None:
        self.us = 1_700_000_000_000_000

    def __call__(self) -> int:
        return self.us


def until_over(
    provider: IbmProvider, context: Context, work: Work, clock: Clock | None = None
) -> Finished:
    clock = clock or Clock()
    while True:
        try:
            return turn(provider, work, context, now_us=clock)
        except Submitted as again:
            context.handle = again.handle
            clock.us += round(again.poll_after_s * 1e6)


def test_devices_are_told_with_price_queue_and_calibration(
    provider: IbmProvider, api: IbmApi
) -> None:
    (told,) = provider.backends()
    assert (told.name, told.kind, told.provider) == (MANILA, BackendKind.QPU, "ibm")
    assert (told.num_qubits, told.region, told.status) == (5, "eu-de", BackendStatus.ONLINE)
    assert told.coupling == ((0, 1), (1, 2), (2, 3), (3, 4))
    assert set(told.basis_gates) == {"id", "rz", "sx", "x", "cx"}
    assert told.queue_depth == 3
    assert told.price.per_minute == 9_600
    assert told.shots_max > 1000
    assert len(told.calibration.qubits) == 5
    assert 1.0 < told.calibration.qubits[0].t1_us < 1000.0
    assert 0.0 < told.calibration.qubits[0].p1_given_0 < 0.2
    errors = {(one.gate, one.qubits): one for one in told.calibration.gates}
    assert 0.0 < errors["cx", (0, 1)].error < 0.1
    assert 10.0 < errors["cx", (0, 1)].duration_ns < 1000.0
    api.status = "internal"
    assert provider.backends()[0].status is BackendStatus.PAUSED
    api.status = "maintenance"
    (told,) = provider.backends()
    assert (told.status, "maintenance" in told.status_message) == (BackendStatus.OFFLINE, True)


def test_circuits_run_and_their_bits_are_ours(provider: IbmProvider, api: IbmApi) -> None:
    finished = until_over(provider, Context(), Work(MANILA, [MIXED, ONE], OPTIONS))
    mixed, one = finished.result.outcomes
    assert (mixed.counts, one.counts) == ({0b1000: 40}, {1: 40})
    np.testing.assert_array_equal(mixed.memory, np.tile([0, 0, 0, 1], (40, 1)))
    assert finished.result.device_s == 2.5
    assert finished.result.queued_s == 90.5
    assert finished.result.cost_minor_units == 400
    on_device = mixed.compiled
    assert on_device.num_qubits == 5
    names = [op.name for op in on_device.walk() if isinstance(op, Gate)]
    assert names
    assert set(names) <= {"id", "rz", "sx", "x", "cx"}
    assert [op.bit for op in on_device.walk() if isinstance(op, Measure)] == [0, 2, 3]
    assert one.compiled.num_qubits == 5
    (job,) = api.jobs.values()
    assert job.wanted["tags"] == ["ketgate-" + Context.job_id] == [finished.tag]
    assert job.wanted["cost"] == 600
    assert finished.provider_job == job.id


def test_a_result_is_not_lost_because_its_circuits_are(provider: IbmProvider, api: IbmApi) -> None:
    job = provider.submit(MANILA, [ONE], OPTIONS, "ketgate-a")
    api.jobs[job].wanted["params"] = {"pubs": [["what nobody knows"]]}
    while provider.poll(MANILA, job).status is not ProviderJobStatus.SUCCEEDED:
        pass
    (outcome,) = provider.fetch(MANILA, job, [ONE], OPTIONS).outcomes
    assert outcome.counts == {1: 40}
    assert outcome.compiled is None


def test_a_lost_reply_is_searched_for_and_never_sent_again(
    provider: IbmProvider, api: IbmApi
) -> None:
    api.faults.queued["CreateJob"] = ["lost"]
    api.hidden = True  # the search lags behind
    context, clock, work = Context(), Clock(), Work(MANILA, [ONE], OPTIONS)
    for _ in range(3):
        with pytest.raises(Submitted) as again:
            turn(provider, work, context, now_us=clock)
        context.handle = again.value.handle
        assert Handle.unpack(context.handle).stage is Stage.ASKED
    api.hidden = False
    again_made = pickle.loads(pickle.dumps(provider))  # after a restart
    finished = until_over(again_made, context, work, clock)
    assert finished.result.outcomes[0].counts == {1: 40}
    assert api.faults.seen.count("CreateJob") == len(api.jobs) == 1


def test_what_never_arrived_is_sent_again_in_the_end(provider: IbmProvider, api: IbmApi) -> None:
    api.faults.queued["CreateJob"] = ["dropped"]
    finished = until_over(provider, Context(), Work(MANILA, [ONE], OPTIONS))
    assert finished.result.outcomes[0].counts == {1: 40}
    assert api.faults.seen.count("CreateJob") == 2


@pytest.mark.parametrize("fault", ["lost", "dropped", "internal", "unavailable"])
def test_the_sdk_sends_a_submission_once(provider: IbmProvider, api: IbmApi, fault: str) -> None:
    api.faults.queued["CreateJob"] = [fault] * 6
    with pytest.raises(Undecided, match="ketgate-a"):
        provider.submit(MANILA, [ONE], OPTIONS, "ketgate-a")
    assert api.faults.seen.count("CreateJob") == 1
    found = provider.find(MANILA, "ketgate-a")
    assert (found is not None) == (fault == "lost")


def test_questions_before_the_submission_leave_it_decided(
    provider: IbmProvider, api: IbmApi
) -> None:
    api.faults.queued["Usage"] = ["internal", "internal"]
    with pytest.raises(Unreachable):
        provider.submit(MANILA, [ONE], OPTIONS, "ketgate-a")
    assert "CreateJob" not in api.faults.seen


def test_of_two_jobs_with_one_tag_the_oldest_counts(provider: IbmProvider) -> None:
    first = provider.submit(MANILA, [ONE], OPTIONS, "ketgate-a")
    provider.submit(MANILA, [ONE], OPTIONS, "ketgate-a")
    assert provider.find(MANILA, "ketgate-a") == first
    assert provider.find(MANILA, "ketgate-b") is None


def test_throttling_tells_for_how_long(provider: IbmProvider, api: IbmApi) -> None:
    api.faults.queued["CreateJob"] = ["throttled"]
    with pytest.raises(Throttled) as caught:
        provider.submit(MANILA, [ONE], OPTIONS, "ketgate-a")
    assert caught.value.retry_after_s == 17.0
    assert not api.jobs


def test_expired_credentials_are_told_without_the_key(provider: IbmProvider, api: IbmApi) -> None:
    job = provider.submit(MANILA, [ONE], OPTIONS, "ketgate-a")
    api.faults.queued["GetJob"] = ["expired"]
    with pytest.raises(CredentialsRefused, match=r"\*\*\* is expired") as caught:
        provider.poll(MANILA, job)
    assert KEY not in caught.value.message
    assert caught.value.reason is Reason.PROVIDER_CREDENTIALS


def test_credentials_that_are_not_there(settings: IbmSettings, tmp_path: Path) -> None:
    missing = replace(settings, token_file=tmp_path / "missing")
    with pytest.raises(CredentialsRefused, match="cannot be read"):
        IbmProvider(missing).backends()
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(CredentialsRefused, match="holds no API key"):
        IbmProvider(replace(settings, token_file=tmp_path / "empty")).backends()
    with pytest.raises(CredentialsRefused, match="account"):
        IbmProvider(replace(settings, token_file=None)).backends()


def test_a_key_that_ibm_does_not_know(provider: IbmProvider, api: IbmApi) -> None:
    api.faults.queued["Search"] = ["expired"] * 3
    with pytest.raises(CredentialsRefused):
        provider.backends()


def test_a_refusal_of_the_work(provider: IbmProvider, api: IbmApi) -> None:
    api.faults.queued["CreateJob"] = ["invalid"]
    with pytest.raises(Refused, match="The circuit is too deep") as caught:
        provider.submit(MANILA, [ONE], OPTIONS, "ketgate-a")
    assert caught.value.reason is Reason.BACKEND_UNSUITABLE
    with pytest.raises(Refused):
        provider.submit("ibm/ibm_none", [ONE], OPTIONS, "ketgate-a")
    with pytest.raises(Refused, match="no device that this server may use"):
        provider.submit("aer", [ONE], OPTIONS, "ketgate-a")


def test_a_job_that_fails_or_vanishes(provider: IbmProvider, api: IbmApi) -> None:
    api.fails = "the device was recalibrated"
    with pytest.raises(JobFailed, match="the device was recalibrated"):
        until_over(provider, Context(), Work(MANILA, [ONE], OPTIONS))
    with pytest.raises(JobFailed, match="not found"):
        provider.poll(MANILA, "gone")


def test_a_job_that_never_ends_is_cancelled(provider: IbmProvider, api: IbmApi) -> None:
    api.never_ends = True
    context, work = Context(), Work(MANILA, [ONE], OPTIONS)
    for _ in range(5):
        with pytest.raises(Submitted) as again:
            turn(provider, work, context)
        context.handle = again.value.handle
    context.stopped = True
    with pytest.raises(Stopped):
        until_over(provider, context, work)
    (job,) = api.jobs.values()
    assert job.ended == "Cancelled"


def test_the_queue_is_told(provider: IbmProvider, api: IbmApi) -> None:
    job = provider.submit(MANILA, [ONE], OPTIONS, "ketgate-a")
    api.waits = True
    state = provider.poll(MANILA, job)
    assert (state.status, state.queue_position) == (ProviderJobStatus.QUEUED, 4)


def test_nobody_there(settings: IbmSettings) -> None:
    """The SDK hides it: it then knows no devices."""
    gone = IbmProvider(replace(settings, url="http://127.0.0.1:9"))
    with pytest.raises(Unreachable):
        gone.submit(MANILA, [ONE], OPTIONS, "ketgate-a")
    with pytest.raises(Unreachable):
        gone.backends()


def test_a_fault_for_a_moment_hides_no_device(provider: IbmProvider, api: IbmApi) -> None:
    assert len(provider.backends()) == 1
    api.faults.queued["ListBackends"] = ["internal"]
    with pytest.raises(Unreachable):
        provider.submit(MANILA, [ONE], OPTIONS, "ketgate-a")
    assert provider.submit(MANILA, [ONE], OPTIONS, "ketgate-a") == "job0"


def test_what_a_device_cannot_do_is_refused_with_its_place(provider: IbmProvider) -> None:
    with pytest.raises(Unsuitable, match="a circuit without measurements"):
        provider.check(MANILA, Circuit(1, 0, (Gate("x", (0,)),)), OPTIONS)
    with pytest.raises(Unsuitable, match="exact probabilities"):
        provider.check(MANILA, ONE, replace(OPTIONS, shots=0))
    wide = Circuit(6, 1, (*(Gate("h", (q,)) for q in range(6)), Measure(0, 0)))
    with pytest.raises(Unsuitable, match="a circuit on 6 qubits: it has 5"):
        provider.check(MANILA, wide, OPTIONS)
    with pytest.raises(Refused, match="no such device"):
        provider.check("ibm/ibm_none", ONE, OPTIONS)
    provider.check(MANILA, MIXED, OPTIONS)


# --- the SDK's local testing mode


@pytest.fixture(scope="module")
def local() -> IbmProvider:
    return IbmProvider(IbmSettings(enabled=True, channel="local", devices=("fake_manila",)))


def test_local_devices_are_emulators(local: IbmProvider) -> None:
    (told,) = local.backends()
    assert (told.name, told.kind, told.price) == ("ibm/fake_manila", BackendKind.EMULATOR, None)
    assert told.capabilities.seeded


def test_measured_bits_decide_what_is_done(local: IbmProvider) -> None:
    branch = If(Condition((0,), "==", 1), (Gate("x", (1,)),), place=Place(3, 1))
    circuit = Circuit(2, 2, (Gate("x", (0,)), Measure(0, 0), branch, Measure(1, 1)))
    local.check("ibm/fake_manila", circuit, OPTIONS)
    finished = until_over(local, Context(), Work("ibm/fake_manila", [circuit], OPTIONS))
    assert finished.result.outcomes[0].counts[3] > 30


def test_a_local_job_has_noise_and_the_same_result_for_the_same_seed(local: IbmProvider) -> None:
    bell = Circuit(2, 2, (Gate("h", (0,)), Gate("cx", (0, 1)), Measure(0, 0), Measure(1, 1)))
    work = Work("ibm/fake_manila", [bell], RunOptions(shots=2000, seed=7))
    counts = []
    for number in range(2):
        context = Context()
        context.job_id = f"job-{number}"
        (outcome,) = until_over(local, context, work).result.outcomes
        assert outcome.compiled is not None
        counts.append(outcome.counts)
    assert counts[0] == counts[1]
    right = counts[0][0] + counts[0][3]
    assert 1600 < right < 2000


def test_a_local_job_is_lost_with_its_process_and_told_so(local: IbmProvider) -> None:
    again = pickle.loads(pickle.dumps(local))
    with pytest.raises(JobFailed, match="ended with the process"):
        again.poll("ibm/fake_manila", "gone")
    assert again.find("ibm/fake_manila", "ketgate-a") is None
