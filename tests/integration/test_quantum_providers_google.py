"""Google's Quantum Engine through its real SDK: against an emulator of the service, and on the SDK's
own virtual engine."""

import pickle
from collections.abc import Iterator
from dataclasses import replace

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
from ketgate_server.quantum.circuit import Barrier, Circuit, Gate, Measure, Place
from ketgate_server.quantum.gates import GATES
from ketgate_server.quantum.providers import google
from ketgate_server.quantum.providers.durable import Finished, Work, turn
from ketgate_server.quantum.providers.errors import (
    CredentialsRefused,
    JobFailed,
    Refused,
    Throttled,
    Undecided,
    Unreachable,
)
from ketgate_server.quantum.providers.google import GoogleProvider
from ketgate_server.quantum.providers.google_circuit import compiled
from ketgate_server.quantum.providers.google_circuit import ours as as_ours
from ketgate_server.quantum.providers.settings import GoogleSettings

pytest.importorskip("cirq_google", reason="cirq-google is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

from ..quantum_emulators.google_api import GoogleApi, serving  # noqa: E402 - it imports cirq_google

RAINBOW = "google/rainbow"
OPTIONS = RunOptions(shots=30, seed=1, memory=True)
SETTINGS = GoogleSettings(enabled=True, project="ours", read_timeout_s=5.0)
# A qubit that is not used, one that is only read, a barrier; reads 1 into bit 3.
MIXED = Circuit(
    4,
    5,
    (Gate("x", (1,)), Gate("cx", (1, 3)), Gate("cx", (1, 3)), Barrier((0, 1)), Measure(0, 0),
     Measure(3, 2), Measure(1, 3)),
)  # fmt: skip
ONE = Circuit(1, 1, (Gate("x", (0,)), Measure(0, 0)))


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[GoogleApi]:
    """The emulator; the SDK's client is connected to it."""
    from cirq_google.cloud import quantum
    from cirq_google.cloud.quantum_v1alpha1.services.quantum_engine_service import transports
    from grpc import aio

    real = quantum.QuantumEngineServiceAsyncClient
    service = GoogleApi()
    with serving(service) as address:

        def connected(**_: object) -> object:
            kind = transports.QuantumEngineServiceGrpcAsyncIOTransport
            return real(transport=kind(channel=aio.insecure_channel(service.address)))

        service.address = address  # type: ignore[attr-defined]
        monkeypatch.setattr(quantum, "QuantumEngineServiceAsyncClient", connected)
        yield service


@pytest.fixture
def provider(api: GoogleApi) -> GoogleProvider:
    return GoogleProvider(SETTINGS)


@pytest.fixture(scope="module")
def virtual() -> GoogleProvider:
    return GoogleProvider(GoogleSettings(enabled=True, virtual=True, processors=("rainbow",)))


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


def until_over(provider: GoogleProvider, context: Context, work: Work) -> Finished:
    while True:
        try:
            return turn(provider, work, context)
        except Submitted as again:
            context.handle = again.handle


def test_processors_are_told_with_their_calibration(
    provider: GoogleProvider, api: GoogleApi
) -> None:
    (told,) = provider.backends()
    assert (told.name, told.kind, told.provider) == (RAINBOW, BackendKind.QPU, "google")
    assert (told.num_qubits, len(told.coupling)) == (23, 32)
    assert (told.status, told.price) == (BackendStatus.ONLINE, None)
    first = told.calibration.qubits[0]
    assert first.label == "3_2"
    assert 1.0 < first.t1_us < 100.0
    assert 0.0 < first.p1_given_0 < first.p0_given_1 < 0.2
    twos = [one for one in told.calibration.gates if len(one.qubits) == 2]
    assert {one.qubits for one in twos} <= set(told.coupling)
    assert len(twos) == len({(one.gate, one.qubits) for one in twos})
    assert all(0.0 < one.error < 0.2 for one in twos)
    api.health = "DOWN"
    (told,) = provider.backends()
    assert (told.status, "down" in told.status_message) == (BackendStatus.OFFLINE, True)
    assert provider.__class__(replace(SETTINGS, processors=("weber",))).backends() == []


def test_circuits_run_and_their_bits_are_ours(provider: GoogleProvider, api: GoogleApi) -> None:
    finished = until_over(provider, Context(), Work(RAINBOW, [MIXED, ONE], OPTIONS))
    mixed, one = finished.result.outcomes
    assert (mixed.counts, one.counts) == ({0b01000: 30}, {1: 30})
    np.testing.assert_array_equal(mixed.memory, np.tile([0, 0, 0, 1, 0], (30, 1)))
    assert any("barriers" in warning for warning in mixed.warnings)
    assert mixed.compiled.num_qubits == 23
    assert [op.bit for op in mixed.compiled.walk() if isinstance(op, Measure)] == [0, 2, 3]
    assert [op.name for op in one.compiled.walk() if isinstance(op, Gate)] == ["u"]
    (name,) = api.jobs
    assert name == f"projects/ours/programs/{finished.tag}/jobs/run"
    alone = Context()
    alone.job_id = "another"
    finished = until_over(provider, alone, Work(RAINBOW, [ONE], OPTIONS))
    assert finished.result.outcomes[0].counts == {1: 30}
    assert finished.result.outcomes[0].compiled is not None


def test_a_result_is_not_lost_because_its_circuits_are(
    provider: GoogleProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("SYC is no gate of ours")

    monkeypatch.setattr(google, "ours", refuse)
    job = provider.submit(RAINBOW, [ONE], OPTIONS, "ketgate-a")
    while provider.poll(RAINBOW, job).status is not ProviderJobStatus.SUCCEEDED:
        pass
    (outcome,) = provider.fetch(RAINBOW, job, [ONE], OPTIONS).outcomes
    assert (outcome.counts, outcome.compiled) == ({1: 30}, None)


@pytest.mark.parametrize("operation", ["CreateQuantumProgram", "CreateQuantumJob"])
@pytest.mark.parametrize("fault", ["lost", "unavailable"])
def test_a_lost_reply_never_makes_two_jobs(
    provider: GoogleProvider, api: GoogleApi, operation: str, fault: str
) -> None:
    api.faults.queued[operation] = [fault]
    context = Context()
    with pytest.raises(Submitted):
        turn(provider, Work(RAINBOW, [ONE], OPTIONS), context)
    again = pickle.loads(pickle.dumps(provider))  # after a restart
    finished = until_over(again, context, Work(RAINBOW, [ONE], OPTIONS))
    assert finished.result.outcomes[0].counts == {1: 30}
    assert len(api.jobs) == len(api.programs) == 1


def test_an_unanswered_submission_is_undecided(provider: GoogleProvider, api: GoogleApi) -> None:
    api.faults.queued["CreateQuantumJob"] = ["lost"]
    with pytest.raises(Undecided, match="ketgate-a"):
        provider.submit(RAINBOW, [ONE], OPTIONS, "ketgate-a")
    assert api.faults.seen.count("CreateQuantumJob") == 1  # the SDK asked once
    assert provider.find(RAINBOW, "ketgate-a") == "ketgate-a"
    assert provider.find(RAINBOW, "ketgate-b") is None
    assert provider.submit(RAINBOW, [ONE], OPTIONS, "ketgate-a") == "ketgate-a"
    assert len(api.jobs) == 1


def test_faults_are_told_apart(provider: GoogleProvider, api: GoogleApi) -> None:
    def asked(fault: str) -> None:
        api.faults.queued["CreateQuantumProgram"] = [fault]
        provider.submit(RAINBOW, [ONE], OPTIONS, "ketgate-a")

    for fault, kind in (
        ("throttled", Throttled),
        ("expired", CredentialsRefused),
        ("forbidden", CredentialsRefused),
        ("invalid", Refused),
        ("internal", Undecided),
    ):
        with pytest.raises(kind):
            asked(fault)
    assert not api.jobs
    api.faults.queued["ListQuantumProcessors"] = ["unavailable"]
    with pytest.raises(Unreachable):
        provider.backends()


def test_no_credentials_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    from google.auth.exceptions import DefaultCredentialsError

    def missing(*_: object, **__: object) -> None:
        raise DefaultCredentialsError("none were found")

    monkeypatch.setattr("google.auth.default", missing)
    with pytest.raises(CredentialsRefused, match="none were found") as caught:
        GoogleProvider(SETTINGS).backends()
    assert caught.value.reason is Reason.PROVIDER_CREDENTIALS


def test_a_job_that_fails_or_vanishes(provider: GoogleProvider, api: GoogleApi) -> None:
    api.fails = "the fridge is warm"
    with pytest.raises(JobFailed, match="the fridge is warm"):
        until_over(provider, Context(), Work(RAINBOW, [ONE], OPTIONS))
    with pytest.raises(JobFailed, match="no such job"):
        provider.poll(RAINBOW, "gone")


def test_a_job_that_never_ends_is_cancelled(provider: GoogleProvider, api: GoogleApi) -> None:
    api.never_ends = True
    context, work = Context(), Work(RAINBOW, [ONE], OPTIONS)
    for _ in range(4):
        with pytest.raises(Submitted) as again:
            turn(provider, work, context)
        context.handle = again.value.handle
    context.stopped = True
    with pytest.raises(Stopped):
        until_over(provider, context, work)
    (job,) = api.jobs.values()
    assert job.ended == "CANCELLED"


def test_what_a_processor_cannot_do_is_refused_with_its_place(provider: GoogleProvider) -> None:
    wide = Gate("x", (0, 1, 2, 3), controls=(1, 1, 1), place=Place(5, 1))
    with pytest.raises(Unsuitable, match="the gate 'x' on 4 qubits at line 5, column 1"):
        provider.check(RAINBOW, Circuit(4, 1, (wide, Measure(0, 0))), OPTIONS)
    with pytest.raises(Refused, match="no such processor"):
        provider.check("google/none", ONE, OPTIONS)
    with pytest.raises(Refused, match="may use"):
        provider.submit("aer", [ONE], OPTIONS, "ketgate-a")
    provider.check(RAINBOW, MIXED, OPTIONS)


# --- the SDK's virtual engine


def test_virtual_processors_are_emulators(virtual: GoogleProvider) -> None:
    (told,) = virtual.backends()
    assert (told.name, told.kind, told.region) == (RAINBOW, BackendKind.EMULATOR, "local")


def test_a_virtual_job_runs_and_is_lost_with_its_process(virtual: GoogleProvider) -> None:
    finished = until_over(virtual, Context(), Work(RAINBOW, [MIXED, ONE], OPTIONS))
    assert [one.counts for one in finished.result.outcomes] == [{0b01000: 30}, {1: 30}]
    assert all(one.compiled is not None for one in finished.result.outcomes)
    again = pickle.loads(pickle.dumps(virtual))
    assert again.find(RAINBOW, finished.tag) is None
    with pytest.raises(JobFailed, match="ended with the process"):
        again.poll(RAINBOW, finished.provider_job)
    with pytest.raises(Refused):
        GoogleProvider(GoogleSettings(virtual=True)).submit("google/none", [ONE], OPTIONS, "a")


def test_placed_and_routed_circuits_mean_the_same(virtual: GoogleProvider) -> None:
    """Every gate of the library, and more edges between qubits than the grid has."""
    import cirq

    rng = np.random.default_rng(5)
    names = [name for name in sorted(GATES) if GATES[name].num_qubits]
    for _ in range(4):
        operations = []
        for name in rng.permutation(names)[:12]:
            spec = GATES[str(name)]
            on = tuple(int(q) for q in rng.permutation(4)[: spec.num_qubits])
            angles = tuple(float(a) for a in rng.uniform(-3, 3, spec.num_parameters))
            operations.append(Gate(str(name), on, angles))
        reads = tuple(Measure(qubit, qubit) for qubit in range(4))
        circuit = Circuit(4, 4, (*operations, *reads))
        device = virtual._processor(RAINBOW).get_device()
        theirs = compiled(RAINBOW, circuit, device)
        ours = np.abs(_state(operations)) ** 2
        keys = {op.qubits[0]: int(cirq.measurement_key_name(op))
                for op in theirs.all_operations() if cirq.is_measurement(op)}  # fmt: skip
        bare = cirq.drop_terminal_measurements(theirs)
        bare = cirq.Circuit(op for op in bare.all_operations() if not cirq.is_measurement(op))
        order = sorted(bare.all_qubits() | set(keys), key=lambda q: -keys.get(q, -1))
        state = cirq.Simulator(dtype=np.complex128).simulate(bare, qubit_order=order)
        amplitudes = state.final_state_vector.reshape(16, -1)
        index = [sum(((i >> keys[q]) & 1) << (3 - k) for k, q in enumerate(order[:4]))
                 for i in range(16)]  # fmt: skip
        found = (np.abs(amplitudes) ** 2).sum(axis=1)[index]
        np.testing.assert_allclose(found, ours, atol=1e-6)
        told = as_ours(theirs, device.metadata.qubit_set, 4)
        place = {qubit: k for k, qubit in enumerate(told.active_qubits)}
        gates = [
            replace(op, qubits=tuple(place[q] for q in op.qubits))
            for op in told.operations
            if isinstance(op, Gate)
        ]
        shares = np.abs(_state(gates, len(place))) ** 2
        read = {op.bit: place[op.qubit] for op in told.operations if isinstance(op, Measure)}
        index = sum(((np.arange(len(shares)) >> read[bit]) & 1) << bit for bit in range(4))
        np.testing.assert_allclose(np.bincount(index, shares), ours, atol=1e-6)


def _state(operations: list[Gate], num_qubits: int = 4) -> np.ndarray:
    """The slow, obvious way."""
    from ketgate_server.quantum.gates import matrix

    state = np.zeros(1 << num_qubits, dtype=np.complex128)
    state[0] = 1.0
    for gate in operations:
        small, new = matrix(gate), np.zeros_like(state)
        for i in range(len(state)):
            inside = sum(((i >> q) & 1) << k for k, q in enumerate(gate.qubits))
            rest = i & ~sum(1 << q for q in gate.qubits)
            for row in range(len(small)):
                spread = sum(((row >> k) & 1) << q for k, q in enumerate(gate.qubits))
                new[rest | spread] += small[row, inside] * state[i]
        state = new
    return state
