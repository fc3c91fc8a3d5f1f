"""What an operator sees of quantum work."""

import pytest
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.quantum.work import Choice, Money
from prometheus_client import CollectorRegistry

from .fakes import CALLER, FakeBackend, broken, gateway, work


@pytest.fixture
def shown():
    """Reads one value of a gateway's metrics."""
    registries = {}

    def value(of, name, **labels):
        if of not in registries:
            registries[of] = CollectorRegistry()
            of.metrics.show(registries[of])
        return registries[of].get_sample_value(f"ketgate_quantum_{name}", labels)

    return value


def test_runs_and_failures_are_counted_where_they_were(shown):
    a, b = FakeBackend("a", fails=[broken(Reason.WORKER_LOST)]), FakeBackend("b")
    of = gateway(a, b)
    choice = Choice("a", fail_over=True, allowed=("b",))
    of.run(work(choice=choice), CALLER)
    of.run(work(choice=choice), CALLER)
    assert [shown(of, "runs_total", backend=name) for name in "ab"] == [1.0, 1.0]
    assert shown(of, "failures_total", backend="a", reason="WORKER_LOST") == 1.0
    assert shown(of, "failures_total", backend="b", reason="WORKER_LOST") is None
    assert shown(of, "run_seconds_count", backend="b") == 1.0
    assert shown(of, "wait_seconds_count") == 3.0


def test_a_rest_and_what_is_in_progress_are_seen(shown):
    backend = FakeBackend("a", fails=[broken()], memory_bytes=1 << 30, run_s=1.0)
    of = gateway(backend, failures_max=1)
    seen = []
    backend.hook = lambda _: seen.append((shown(of, "runs_in_progress"), shown(of, "memory_bytes")))
    assert shown(of, "backend_resting", backend="a") == 0.0
    with pytest.raises(KetgateError):
        of.run(work(), CALLER)
    assert shown(of, "backend_resting", backend="a") == 1.0
    assert seen == [(1.0, float(1 << 30))]
    assert shown(of, "runs_in_progress") == 0.0


def test_calibration_files_share_one_name(shown):
    of = gateway(FakeBackend("a"))
    of._calibrated = lambda content, path: FakeBackend(content.decode())
    for name in ("mine", "yours"):
        of.run(work(calibration=name.encode()), CALLER)
    assert shown(of, "runs_total", backend="calibration-file") == 2.0
    assert shown(of, "runs_total", backend="mine") is None


def test_jobs_at_providers_and_their_cost(shown):
    of = gateway()
    of.metrics.submitted("cloud/a")
    of.metrics.done("cloud/a", Money("USD", 190))
    of.metrics.done("cloud/b", None)
    assert shown(of, "provider_jobs_total", backend="cloud/a", event="submitted") == 1.0
    assert shown(of, "provider_jobs_total", backend="cloud/b", event="done") == 1.0
    assert shown(of, "cost_minor_units_total", backend="cloud/a", asset="USD") == 190.0
