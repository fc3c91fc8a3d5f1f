"""Amazon Braket through its real SDK, against an emulator of its REST interface and an S3."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.jobs.faults import Stopped, Submitted
from ketgate_server.quantum.base import (
    BackendKind,
    BackendStatus,
    ProviderJobStatus,
    RunOptions,
    Unsuitable,
)
from ketgate_server.quantum.circuit import Barrier, Circuit, Gate, Measure, Place, Reset
from ketgate_server.quantum.providers.braket import BraketProvider
from ketgate_server.quantum.providers.durable import Finished, Work, turn
from ketgate_server.quantum.providers.errors import (
    CredentialsRefused,
    JobFailed,
    Refused,
    Throttled,
    Undecided,
    Unreachable,
)
from ketgate_server.quantum.providers.settings import BraketSettings

from ..quantum_emulators.braket_api import ANKAA, BraketApi

pytest.importorskip("braket.aws", reason="amazon-braket-sdk is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

FORTE = "braket/us-east-1/forte-1"
RIGETTI = "braket/us-west-1/ankaa-3"
OPTIONS = RunOptions(shots=50, seed=1, memory=True)
SETTINGS = BraketSettings(
    enabled=True, regions=("us-east-1", "us-west-1"), bucket="results", read_timeout_s=5.0, tries=1
)
# Qubits that are not used, one that is only read, bits in another order; reads 1 into bit 3.
MIXED = Circuit(
    6,
    5,
    (
        Gate("x", (1,)),
        Gate("x", (2, 3, 1), controls=(1, 0)),
        Barrier((0, 1)),
        Measure(0, 2),
        Measure(1, 3),
    ),
)
ONE = Circuit(1, 1, (Gate("x", (0,)), Measure(0, 0)))


@pytest.fixture
def api(braket_api: BraketApi) -> BraketApi:
    return braket_api


@pytest.fixture
def provider(api: BraketApi) -> BraketProvider:
    return BraketProvider(SETTINGS)


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


def until_over(provider: BraketProvider, context: Context, work: Work) -> Finished:
    while True:
        try:
            return turn(provider, work, context)
        except Submitted as again:
            context.handle = again.handle


def test_devices_are_told_with_price_queue_and_calibration(provider: BraketProvider) -> None:
    told = {one.name: one for one in provider.backends()}
    assert sorted(told) == [FORTE, RIGETTI]  # no analogue devices, no simulators that cost money
    forte, ankaa = told[FORTE], told[RIGETTI]
    assert (forte.kind, forte.provider, forte.region) == (BackendKind.QPU, "aws", "us-east-1")
    assert (forte.num_qubits, forte.coupling, forte.shots_max) == (36, (), 5000)
    assert (forte.price.per_task, forte.price.per_million_shots) == (30, 8_000_000)
    assert forte.queue_depth == 15
    assert forte.circuits_max == 1
    assert ankaa.circuits_max == 100
    assert ankaa.coupling == ((0, 1), (1, 2))  # its labels are 0, 1 and 3
    assert ankaa.price.per_million_shots == 90_000
    assert "iswap" in ankaa.basis_gates
    assert ankaa.calibration.qubits[2].label == "3"
    assert ankaa.calibration.qubits[2].t1_us == pytest.approx(20.0)
    assert ankaa.calibration.qubits[0].p1_given_0 == pytest.approx(0.03)
    errors = {(one.gate, one.qubits): one.error for one in ankaa.calibration.gates}
    assert errors["cz", (1, 2)] == pytest.approx(0.02)
    assert errors["*1", (0,)] == pytest.approx(0.001)
    assert ankaa.calibration.time_us == 1_793_534_400_000_000


def test_simulators_and_chosen_devices(api: BraketApi) -> None:
    with_simulators = BraketProvider(replace(SETTINGS, simulators=True))
    told = {one.name: one for one in with_simulators.backends()}
    assert told["braket/us-east-1/sv1"].kind is BackendKind.SIMULATOR
    assert told["braket/us-east-1/sv1"].price.per_minute == 8
    assert "braket/us-west-1/sv1" not in told
    chosen = BraketProvider(replace(SETTINGS, devices=(ANKAA,)))
    assert [one.name for one in chosen.backends()] == [RIGETTI]


def test_a_circuit_runs_and_its_bits_are_ours(provider: BraketProvider, api: BraketApi) -> None:
    finished = until_over(provider, Context(), Work(FORTE, [MIXED], OPTIONS))
    (outcome,) = finished.result.outcomes
    assert outcome.counts == {0b01000: 50}
    np.testing.assert_array_equal(outcome.memory, np.tile([0, 0, 0, 1, 0], (50, 1)))
    assert any("barriers" in warning for warning in outcome.warnings)
    assert finished.result.cost_minor_units == 30 + 50 * 8
    (task,) = api.tasks.values()
    assert task.wanted["clientToken"] == finished.tag == "ketgate-" + Context.job_id
    assert task.wanted["tags"] == {"ketgate": finished.tag}
    assert task.arn == finished.provider_job


def test_several_circuits_are_one_task(provider: BraketProvider, api: BraketApi) -> None:
    finished = until_over(provider, Context(), Work(RIGETTI, [MIXED, ONE], OPTIONS))
    assert [outcome.counts for outcome in finished.result.outcomes] == [{0b01000: 50}, {1: 50}]
    assert len(api.tasks) == 1
    assert finished.result.cost_minor_units == 30 + 9  # 100 shots at 0.09 cents


def test_a_lost_reply_never_makes_two_tasks(provider: BraketProvider, api: BraketApi) -> None:
    api.faults.queued["CreateQuantumTask"] = ["lost"]
    api.hidden = True  # the search lags behind
    context = Context()
    finished = until_over(provider, context, Work(FORTE, [ONE], OPTIONS))
    assert finished.result.outcomes[0].counts == {1: 50}
    assert api.faults.seen.count("CreateQuantumTask") == 2
    assert len(api.tasks) == 1


def test_a_restart_after_a_lost_reply_finds_the_task(
    provider: BraketProvider, api: BraketApi
) -> None:
    api.faults.queued["CreateQuantumTask"] = ["lost"]
    context = Context()
    with pytest.raises(Submitted):
        turn(provider, Work(FORTE, [ONE], OPTIONS), context)
    again = pickle.loads(pickle.dumps(provider))
    finished = until_over(again, context, Work(FORTE, [ONE], OPTIONS))
    assert finished.result.outcomes[0].counts == {1: 50}
    assert api.faults.seen.count("CreateQuantumTask") == 1


@pytest.mark.parametrize("fault", ["lost", "dropped", "internal"])
def test_an_unanswered_submission_is_undecided(
    provider: BraketProvider, api: BraketApi, fault: str
) -> None:
    api.faults.queued["CreateQuantumTask"] = [fault]
    with pytest.raises(Undecided, match="ketgate-a"):
        provider.submit(FORTE, [ONE], OPTIONS, "ketgate-a")
    found = provider.find(FORTE, "ketgate-a")
    assert (found is not None) == (fault == "lost")


def test_a_task_is_found_among_many(provider: BraketProvider, api: BraketApi) -> None:
    jobs = [provider.submit(FORTE, [ONE], OPTIONS, f"ketgate-{k}") for k in range(5)]
    assert [provider.find(FORTE, f"ketgate-{k}") for k in range(5)] == jobs
    assert provider.find(FORTE, "ketgate-9") is None


def test_throttling_tells_for_how_long(provider: BraketProvider, api: BraketApi) -> None:
    api.faults.queued["CreateQuantumTask"] = ["throttled"]
    with pytest.raises(Throttled) as caught:
        provider.submit(FORTE, [ONE], OPTIONS, "ketgate-a")
    assert caught.value.retry_after_s == 17.0
    assert not api.tasks
    api.faults.queued["CreateQuantumTask"] = ["offline"]
    with pytest.raises(Throttled, match="offline"):
        provider.submit(FORTE, [ONE], OPTIONS, "ketgate-a")


def test_expired_credentials_are_told_without_the_secret(
    provider: BraketProvider, api: BraketApi
) -> None:
    job = provider.submit(FORTE, [ONE], OPTIONS, "ketgate-a")
    api.faults.queued["GetQuantumTask"] = ["expired"]
    with pytest.raises(CredentialsRefused, match=r"ExpiredTokenException.*\*\*\*") as caught:
        provider.poll(FORTE, job)
    assert "AKIAIOSFODNN7EXAMPLE" not in caught.value.message
    assert caught.value.reason is Reason.PROVIDER_CREDENTIALS


def test_no_credentials_at_all(api: BraketApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(CredentialsRefused):
        BraketProvider(SETTINGS).backends()
    with pytest.raises(CredentialsRefused, match="nobody"):
        BraketProvider(replace(SETTINGS, profile="nobody")).backends()


def test_a_refusal_of_the_work(provider: BraketProvider, api: BraketApi) -> None:
    api.faults.queued["CreateQuantumTask"] = ["invalid"]
    with pytest.raises(Refused, match="The action is not valid") as caught:
        provider.submit(FORTE, [ONE], OPTIONS, "ketgate-a")
    assert caught.value.reason is Reason.BACKEND_UNSUITABLE
    with pytest.raises(Refused, match="no such device"):
        provider.submit("braket/us-east-1/none", [ONE], OPTIONS, "ketgate-a")


def test_a_task_that_fails_or_vanishes(provider: BraketProvider, api: BraketApi) -> None:
    api.fails = "the device heated up"
    with pytest.raises(JobFailed, match="the device heated up"):
        until_over(provider, Context(), Work(FORTE, [ONE], OPTIONS))
    with pytest.raises(JobFailed, match="no such task"):
        provider.poll(FORTE, "arn:aws:braket:us-east-1:123456789012:quantum-task/gone")
    with pytest.raises(JobFailed, match="no task of a region"):
        provider.poll(FORTE, "gone")


def test_a_task_that_never_ends_is_cancelled(provider: BraketProvider, api: BraketApi) -> None:
    api.never_ends = True
    context = Context()
    for _ in range(6):
        with pytest.raises(Submitted) as again:
            turn(provider, Work(FORTE, [ONE], OPTIONS), context)
        context.handle = again.value.handle
    context.stopped = True
    with pytest.raises(Stopped):
        until_over(provider, context, Work(FORTE, [ONE], OPTIONS))
    (task,) = api.tasks.values()
    assert task.ended == "CANCELLED"
    with pytest.raises(JobFailed):
        provider.cancel(FORTE, task.arn)


def test_the_queue_is_told(provider: BraketProvider, api: BraketApi) -> None:
    job = provider.submit(FORTE, [ONE], OPTIONS, "ketgate-a")
    state = provider.poll(FORTE, job)
    assert (state.status, state.queue_position) == (ProviderJobStatus.QUEUED, 7)


def test_a_region_that_does_not_answer_hides_no_other(
    provider: BraketProvider, api: BraketApi
) -> None:
    assert len(provider.backends()) == 2
    api.faults.queued["SearchDevices"] = ["internal"]
    told = {one.name: one for one in provider.backends()}
    assert told[FORTE].status is BackendStatus.UNAVAILABLE
    assert "did not answer" in told[FORTE].status_message
    assert told[RIGETTI].status is BackendStatus.ONLINE


def test_nobody_there(monkeypatch: pytest.MonkeyPatch, api: BraketApi) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_BRAKET", "http://127.0.0.1:9")
    with pytest.raises(Unreachable):
        BraketProvider(SETTINGS).backends()


def test_the_bucket_of_the_account_is_the_default(api: BraketApi) -> None:
    import boto3

    bucket = "amazon-braket-us-east-1-123456789012"
    boto3.client("s3").create_bucket(Bucket=bucket)
    provider = BraketProvider(replace(SETTINGS, bucket=""))
    provider.submit(FORTE, [ONE], OPTIONS, "ketgate-a")
    (task,) = api.tasks.values()
    assert task.wanted["outputS3Bucket"] == bucket


def refused(circuit: Circuit, options: RunOptions, what: str, provider: BraketProvider) -> None:
    with pytest.raises(Unsuitable, match=what):
        provider.check(FORTE, circuit, options)


def test_what_a_device_cannot_do_is_refused_with_its_place(provider: BraketProvider) -> None:
    amid = Circuit(1, 1, (Measure(0, 0), Gate("x", (0,), place=Place(4, 1))))
    refused(amid, OPTIONS, "a measurement amid the circuit at line 4, column 1", provider)
    reset = Circuit(1, 1, (Reset(0, Place(2, 1)), Measure(0, 0)))
    refused(reset, OPTIONS, "reset at line 2, column 1", provider)
    refused(Circuit(1, 0, (Gate("x", (0,)),)), OPTIONS, "without measurements", provider)
    refused(ONE, replace(OPTIONS, shots=6000), "6000 shots: it takes at most 5000", provider)
    refused(ONE, replace(OPTIONS, shots=0), "exact probabilities", provider)
    refused(ONE, replace(OPTIONS, state_vector=True), "a state vector", provider)
    provider.check(FORTE, MIXED, OPTIONS)


def test_the_provider_pickles_as_its_settings(provider: BraketProvider) -> None:
    provider.backends()
    assert len(pickle.dumps(provider)) < 1000


def test_errors_are_of_the_one_tree() -> None:
    assert issubclass(Undecided, KetgateError)
