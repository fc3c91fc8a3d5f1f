"""Jobs: the same work without a caller that waits, here or at a provider."""

import json
import threading
from dataclasses import replace

import pytest
from ketgate.quantum.v1 import quantum_service_pb2 as pb
from ketgate_server.audit import log
from ketgate_server.errors import CATALOGUE, FieldError, KetgateError, Reason
from ketgate_server.jobs.faults import ProviderError, Stopped, Submitted
from ketgate_server.limits import LIMITS
from ketgate_server.quantum import base as quantum_base
from ketgate_server.quantum.base import (
    BackendKind,
    CircuitOutcome,
    Price,
    ProviderJobStatus,
    ProviderResult,
    ProviderState,
)
from ketgate_server.quantum.catalogue import Catalogue
from ketgate_server.quantum.charges import Charge, Charges
from ketgate_server.quantum.job import ESTIMATE, RUN, QuantumKind, seed_of
from ketgate_server.quantum.providers.errors import CredentialsRefused
from ketgate_server.quantum.remote import RemoteWork
from ketgate_server.quantum.work import Money

from .fakes import FakeBackend, FakeProvider, gateway, qpu

BELL = (
    'OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; bit[2] c;'
    "h q[0]; cx q[0], q[1]; c = measure q;"
)
PRICE = Price("USD", per_task=30, per_million_shots=35_000, source="a page")


class Context:
    """A turn of a job; stopped and remaining_s are set by the test."""

    def __init__(self, handle=None, job_id="01job"):
        self.tenant, self.job_id, self.attempt, self.handle = "t", job_id, 1, handle
        self.threads, self.limits = 2, LIMITS
        self.stopped, self.kept, self.told = False, [], []
        self._remaining_s = float("inf")

    def on_stop(self, callback):
        if self.stopped:
            callback()

    def remaining_s(self):
        return self._remaining_s

    def progress(self, progress):
        self.told.append(progress.work)

    def checkpoint(self, handle):
        self.kept.append(handle)


class Cloud(FakeProvider):
    """A provider whose work is over when the test says so."""

    def __init__(self, *told):
        super().__init__("cloud", *(told or (qpu("cloud/q", price=PRICE),)))
        self.submitted = {}
        self.over = False
        self.refuses = set()
        self.cost = 65

    def submit(self, backend, circuits, options, tag):
        if backend in self.refuses:
            raise CredentialsRefused("cloud", "the key has expired")
        self.submitted[tag] = (backend, circuits, options)
        return f"there-{len(self.submitted)}"

    def find(self, backend, tag):
        return None

    def poll(self, backend, provider_job):
        status = ProviderJobStatus.SUCCEEDED if self.over else ProviderJobStatus.QUEUED
        return ProviderState(status, queue_position=3)

    def fetch(self, backend, provider_job, circuits, options):
        outcomes = [CircuitOutcome({0: 600, 3: 400}) for _ in circuits]
        return ProviderResult(outcomes, self.cost, device_s=1.5, queued_s=60.0)


def spec(**more):
    usual = {"circuits": [{"openqasm": BELL}], "shots": 1000, "backend": {"backend": "cloud/q"}}
    return pb.RunCircuitsSpec(**usual | more)


def kind_of(of, name=RUN, remote=None):
    return QuantumKind(name, of, LIMITS, remote)


def turns(kind, given, cloud):
    """(result, handle): submitted in the first turn, over in the second."""
    with pytest.raises(Submitted) as first:
        kind.run(given, Context())
    cloud.over = True
    return kind.run(given, Context(first.value.handle)), first.value.handle


def test_what_a_simulator_runs_is_run_in_the_attempt():
    backend = FakeBackend("native")
    kind = kind_of(gateway(backend))
    context = Context()
    result = kind.run(spec(backend={}, circuits=[{"openqasm": BELL}] * 3), context)
    assert [dict(circuit.counts) for circuit in result.circuits] == [{"00": 999, "11": 1}] * 3
    assert result.evidence.backend == "native"
    assert context.told == [1, 2, 3]


def test_without_a_seed_every_attempt_has_the_job_s():
    backend = FakeBackend("native")
    kind = kind_of(gateway(backend))
    seeds = {kind.run(spec(backend={}), Context()).evidence.seed for _ in range(2)}
    assert seeds == {seed_of("01job")}
    assert kind.run(spec(backend={}, seed=5), Context()).evidence.seed == 5
    assert kind.run(spec(backend={}), Context(job_id="02job")).evidence.seed not in seeds


def test_a_stopped_job_ends_as_stopped_and_a_late_one_as_late():
    kind = kind_of(gateway(FakeBackend("native", run_s=1.0)))
    context = Context()
    context.stopped = True
    with pytest.raises(Stopped) as stopped:
        kind.run(spec(backend={}), context)
    assert not stopped.value.late
    context = Context()
    context._remaining_s = -1.0
    with pytest.raises(Stopped) as late:
        kind.run(spec(backend={}), context)
    assert late.value.late


def test_a_time_limit_is_no_reason_to_try_again():
    def hook(task):
        over = threading.Event()
        task.on_stop(over.set)
        assert over.wait(30.0)
        raise quantum_base.Stopped

    kind = kind_of(gateway(FakeBackend("native", run_s=1.0, hook=hook)))
    given = spec(backend={})
    given.time_limit.FromMilliseconds(20)
    with pytest.raises(KetgateError, match=r"spec\.time_limit") as ended:
        kind.run(given, Context())
    assert ended.value.reason is Reason.JOB_EXPIRED


def test_a_qpu_needs_its_role_and_the_server():
    of = gateway(FakeBackend("native"), providers=[Cloud()])
    kind = kind_of(of)
    for backend in ({"backend": "cloud/q"}, {"allowed": ["cloud/"]}, {"allowed": ["c*", "x"]}):
        assert kind.roles(spec(backend=backend)) == ("quantum.qpu",)
        assert kind.stays(spec(backend=backend))
    for backend in ({}, {"backend": "native"}, {"allowed": ["native"]}):
        assert kind.roles(spec(backend=backend)) == ()
        assert not kind.stays(spec(backend=backend))


def test_a_provider_s_simulator_needs_the_server_and_no_further_role():
    fake = replace(qpu("cloud/fake"), kind=BackendKind.EMULATOR)
    kind = kind_of(gateway(providers=[Cloud(fake)]))
    given = spec(backend={"backend": "cloud/fake"})
    assert kind.roles(given) == ()
    assert kind.stays(given)


@pytest.mark.parametrize("backend", [{"backend": "cloud/q"}, {"allowed": ["cloud/"]}])
def test_a_job_waits_for_a_provider_that_has_not_told_of_its_back_ends_yet(backend):
    # As after a restart, with a job that was accepted before.
    cloud = Cloud()
    of = gateway(FakeBackend("native"))
    of.catalogue = Catalogue([FakeBackend("native")], [cloud])
    kind = kind_of(of, remote=RemoteWork(of))
    given = spec(backend=backend)
    assert kind.stays(given)
    with pytest.raises(KetgateError) as waits:
        kind.run(given, Context())
    assert waits.value.reason is Reason.BACKEND_UNAVAILABLE
    assert CATALOGUE[waits.value.reason].retryable
    of.catalogue.refresh(cloud)
    with pytest.raises(Submitted):
        kind.run(given, Context())


def test_work_at_a_provider_is_followed_though_the_provider_tells_of_no_back_ends():
    cloud = Cloud()
    of = gateway(providers=[cloud])
    kind = kind_of(of, remote=RemoteWork(of))
    with pytest.raises(Submitted) as first:
        kind.run(spec(), Context())
    cloud.over = True
    of.catalogue = Catalogue([], [cloud])  # as after a restart
    result = kind.run(spec(), Context(first.value.handle))
    assert dict(result.circuits[0].counts) == {"00": 600, "11": 400}
    assert result.evidence.cost.minor_units == 65
    of.catalogue = Catalogue([], [])
    with pytest.raises(ProviderError, match="is not configured here now"):
        kind.run(spec(), Context(first.value.handle))


def test_a_name_below_one_that_runs_here_is_unknown():
    kind = kind_of(gateway(FakeBackend("native")))
    with pytest.raises(FieldError):
        kind.check(spec(backend={"backend": "native/q"}))


def test_what_could_not_run_is_refused_when_the_job_is_made():
    kind = kind_of(gateway(FakeBackend("native"), providers=[Cloud()]))
    kind.check(spec())
    with pytest.raises(KetgateError) as refused:
        kind.check(spec(caps={"cost_max": {"asset": "USD", "minor_units": 64}}))
    assert refused.value.reason is Reason.CAP_EXCEEDED


def test_work_of_a_qpu_is_submitted_followed_and_fetched():
    cloud = Cloud()
    of = gateway(providers=[cloud])
    result, handle = turns(kind_of(of, remote=RemoteWork(of)), spec(seed=3), cloud)
    assert json.loads(handle)["tag"] == "ketgate-01job"
    assert list(cloud.submitted) == ["ketgate-01job"]
    assert dict(result.circuits[0].counts) == {"00": 600, "11": 400}
    evidence = result.evidence
    assert (evidence.backend, evidence.provider_job) == ("cloud/q", "there-1")
    assert (evidence.cost.asset, evidence.cost.minor_units) == ("USD", 65)
    assert evidence.times.queued.seconds == 60
    assert evidence.seed == 3


def test_expectations_at_a_qpu_come_from_measured_groups():
    cloud = Cloud()
    of = gateway(providers=[cloud])
    zz = {"terms": [{"coefficient": 2.0, "paulis": "ZZ"}, {"coefficient": 0.5}]}
    xx = {"terms": [{"coefficient": 1.0, "paulis": "XX"}]}
    given = pb.EstimateObservablesSpec(
        circuits=[{"openqasm": BELL}],
        observables=[zz, xx],
        shots=1000,
        backend={"backend": "cloud/q"},
    )
    result, _ = turns(kind_of(of, ESTIMATE, RemoteWork(of)), given, cloud)
    ((_, circuits, _),) = cloud.submitted.values()
    assert len(circuits) == 2
    first, second = result.expectations
    assert (first.value, first.groups, first.standard_error) == (2.5, 2, 0.0)
    assert second.value == pytest.approx(1.0)


def test_a_provider_that_refuses_is_passed_over_before_it_has_the_work():
    cloud = Cloud(qpu("cloud/q"), qpu("cloud/r", queue_depth=2))
    cloud.refuses = {"cloud/q"}
    of = gateway(FakeBackend("native"), providers=[cloud])
    kind = kind_of(of, remote=RemoteWork(of))
    choice = {"backend": "cloud/q", "fail_over": True, "allowed": ["cloud/r"]}
    result, _ = turns(kind, spec(backend=choice), cloud)
    assert result.evidence.backend == "cloud/r"
    choice = {"backend": "cloud/q", "fail_over": True, "allowed": ["native"]}
    result = kind.run(spec(backend=choice), Context())
    assert result.evidence.backend == "native"
    (step,) = result.evidence.routing
    assert step.backend == "cloud/q"
    assert "the key has expired" in step.reason
    with pytest.raises(CredentialsRefused):
        kind.run(spec(), Context())


def test_costs_are_charged_to_the_tenant_and_told_in_the_audit(store):
    store.run(log.create(log.new_salt()))
    cloud = Cloud()
    of = gateway(providers=[cloud])
    charges = Charges(store)
    of.spent = charges.spent
    turns(kind_of(of, remote=RemoteWork(of, charges)), spec(shots=2000), cloud)
    assert charges.spent("t") == {"USD": 65}
    assert charges.spent("other") == {}
    with store.read() as reader:
        payloads = [row[0] for row in reader.rows("SELECT payload FROM audit_entries ORDER BY idx")]
    told = [bytes(payload) for payload in payloads if b"quantum." in bytes(payload)]
    assert len(told) == 2
    assert b"quantum.submitted" in told[0]
    assert b"100" in told[0]  # estimated
    assert b"quantum.done" in told[1]
    assert b"there-1" in told[1]


def test_a_submission_is_charged_once_however_often_it_is_told(store):
    charges = Charges(store)
    one = Charge("t", "01job", "cloud/q", "there", Money("USD", 40))
    for _ in range(3):
        charges.submitted(one)
    assert charges.spent("t") == {"USD": 40}
    charges.submitted(Charge("t", "02job", "cloud/q", "there", Money("USD", 2)))
    assert charges.spent("t") == {"USD": 42}
    charges.submitted(Charge("t", "03job", "cloud/q", "there", Money("EUR", 900)))
    assert charges.spent("t") == {"USD": 42, "EUR": 900}


def test_jobs_beside_each_other_keep_the_tenant_s_cap_together(store):
    """Each was looked at before any of them was submitted, on servers that know nothing of each
    other: what the store has room for is submitted, and no more."""
    cloud = Cloud()
    limits = {"quantum.tenant_cost_minor_units_max": 150}
    servers = []
    for _ in range(5):
        of = gateway(providers=[cloud], limits=limits)
        charges = Charges(store)
        of.spent = charges.spent
        assert of.spent("t") == {}  # remembered, as of now
        servers.append(kind_of(of, remote=RemoteWork(of, charges)))
    start, ends = threading.Barrier(len(servers)), []

    def submit(number, kind):
        context = Context(job_id=f"{number:02}job")
        context.limits = kind._gateway.limits
        start.wait()
        try:
            kind.run(spec(), context)
        except Submitted as submitted:
            ends.append(submitted)
        except KetgateError as refused:
            ends.append(refused)

    threads = [threading.Thread(target=submit, args=pair) for pair in enumerate(servers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(end, Submitted) for end in ends) == 2  # of 65 each
    refused = [end for end in ends if isinstance(end, KetgateError)]
    assert {end.limit for end in refused} == {"quantum.tenant_cost_minor_units_max"}
    assert "65 minor units of USD beside 130 minor units of USD" in refused[0].message
    assert len(cloud.submitted) == 2
    assert Charges(store).spent("t") == {"USD": 130}


def test_a_reservation_is_given_back_where_the_provider_refuses(store):
    cloud = Cloud()
    cloud.refuses = {"cloud/q"}
    of = gateway(providers=[cloud])
    charges = Charges(store)
    with pytest.raises(CredentialsRefused):
        kind_of(of, remote=RemoteWork(of, charges)).run(spec(), Context())
    assert charges.spent("t") == {}


def test_a_reservation_outlives_the_server_and_becomes_a_charge_once(store):
    Charges(store).reserve("t", "01job", Money("USD", 40), LIMITS)
    charges = Charges(store)
    assert charges.spent("t") == {"USD": 40}
    charges.reserve("t", "01job", Money("USD", 40), LIMITS)
    assert charges.spent("t") == {"USD": 40}
    one = Charge("t", "01job", "cloud/q", "there", Money("USD", 40))
    assert charges.submitted(one)
    assert not charges.submitted(one)
    assert charges.spent("t") == {"USD": 40}
    charges.release("t", "01job")  # nothing is reserved any more
    assert charges.spent("t") == {"USD": 40}
    charges.reserve("t", "02job", Money("USD", 7), LIMITS)
    charges.release("t", "02job")
    assert charges.spent("t") == {"USD": 40}


def test_free_work_is_run_whatever_was_spent(store):
    charges = Charges(store)
    charges.submitted(Charge("t", "01job", "cloud/free", "there", None))
    assert charges.spent("t") == {}


def test_kinds_say_what_runs_elsewhere():
    kind = kind_of(gateway(FakeBackend("a", kind=BackendKind.EMULATOR)))
    assert (kind.name, kind.role, kind.isolated) == ("run_circuits", "quantum.user", False)
    assert kind.entry == "ketgate_server.quantum.job:run_circuits"
