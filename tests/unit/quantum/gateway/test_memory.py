"""What runs need of memory is known before they begin, and together they stay below a limit."""

import threading
import time

import pytest
from ketgate_server.errors import KetgateError, LimitError, Reason
from ketgate_server.quantum.base import NoiseMethod, RunOptions
from ketgate_server.quantum.circuit import Circuit, Gate, Measure
from ketgate_server.quantum.memory import LITTLE_BYTES, Memory
from ketgate_server.quantum.native.backend import NativeBackend
from ketgate_server.quantum.noise import NoiseModel
from ketgate_server.quantum.observable import PauliSum, PauliTerm
from ketgate_server.quantum.work import Caller
from ketgate_server.quantum.workers.order import OrderTask

from ..specimens import noise_models
from .fakes import BELL, CALLER, FakeBackend, gateway, work

GIB = 1 << 30
ZZ = PauliSum((PauliTerm(1.0, 0, 3),))


def never():
    return False


def ignored(_):
    return None


class Waiters(list):
    """Threads that take memory, in order."""

    def take(self, memory, count, taken):
        before = len(memory._line)
        thread = threading.Thread(target=lambda: taken.append((count, self.wait(memory, count))))
        thread.start()
        self.append(thread)
        while len(memory._line) == before:  # until it stands in the line
            time.sleep(0.001)

    def wait(self, memory, count):
        return memory.take(count, time.monotonic() + 30.0, never, ignored)

    def join(self):
        for thread in self:
            thread.join(30.0)
            assert not thread.is_alive()


def test_little_memory_is_not_asked_for():
    memory = Memory(0)
    memory.take(LITTLE_BYTES, 0.0, never, ignored)
    assert memory.taken == 0


def test_a_run_waits_for_the_memory_of_another_and_none_passes_it():
    memory, waiters, taken = Memory(4 * GIB), Waiters(), []
    first = memory.take(3 * GIB, 0.0, never, ignored)
    waiters.take(memory, 2 * GIB, taken)
    waiters.take(memory, GIB, taken)  # it would fit, and is not the first in the line
    assert taken == []
    first.release()
    first.release()  # once is enough
    waiters.join()
    assert sorted(count for count, _ in taken) == [GIB, 2 * GIB]
    assert memory.taken == 3 * GIB
    for _, share in taken:
        share.release()
    assert memory.taken == 0


def test_who_waits_too_long_is_told_how_much_is_taken():
    memory = Memory(4 * GIB)
    memory.take(3 * GIB, 0.0, never, ignored)
    with pytest.raises(
        KetgateError, match=r"needs 2048 MiB.* 4096 MiB other runs have 3072"
    ) as busy:
        memory.take(2 * GIB, 0.0, never, ignored)
    assert busy.value.reason is Reason.SERVER_BUSY
    memory.take(GIB, 0.0, never, ignored)  # the line is empty again


def test_who_goes_away_waits_no_longer():
    memory, gone = Memory(GIB), threading.Event()
    memory.take(GIB, 0.0, never, ignored)
    with pytest.raises(KetgateError) as cancelled:
        memory.take(GIB, float("inf"), gone.is_set, lambda wake: (gone.set(), wake()))
    assert cancelled.value.reason is Reason.CANCELLED


def test_a_run_gives_its_memory_back_whatever_comes_of_it():
    backend = FakeBackend("a", memory_bytes=GIB)
    of = gateway(backend)
    seen = []
    backend.hook = lambda _: seen.append(of.memory.taken)
    of.run(work(), CALLER)
    backend.fails = [ValueError("broken")]
    with pytest.raises(KetgateError):
        of.run(work(), CALLER)
    assert (seen, of.memory.taken) == ([GIB, GIB], 0)


def test_a_run_that_finds_no_memory_is_refused_and_holds_no_slot():
    backend = FakeBackend("a", memory_bytes=GIB, run_s=1.0)
    of = gateway(backend, limits={"quantum.runs_memory_bytes_max": GIB})
    share = of.memory.take(GIB, 0.0, never, ignored)
    with pytest.raises(KetgateError) as busy:
        of.run(work(), Caller(deadline_s=time.monotonic() + 0.1, arrival_s=float("inf")))
    assert busy.value.reason is Reason.SERVER_BUSY
    assert of.admission.running == 0
    share.release()
    of.run(work(), CALLER)


def test_more_than_all_runs_may_have_is_refused_at_once():
    of = gateway(
        FakeBackend("a", memory_bytes=2 * GIB), limits={"quantum.runs_memory_bytes_max": GIB}
    )
    with pytest.raises(LimitError):
        of.run(work(), CALLER)


@pytest.mark.parametrize(
    ("more", "states"),
    [
        ({}, 1),
        ({"observables": (ZZ,)}, 2),
        ({"observables": (ZZ,), "shots": 0}, 1),
        ({"observables": (ZZ,), "shots": 0, "gradients": True}, 3),
        ({"observables": (ZZ,), "options": {"noise": NoiseModel()}}, 1),
    ],
)
def test_copies_of_the_state_are_counted(more, states):
    of = gateway(FakeBackend("a", memory_bytes=1000))
    estimate, _ = of.estimate(work(**more), CALLER)
    assert estimate.memory_bytes == 1000 * states


@pytest.mark.parametrize(("most", "method"), [(3, "density-matrix"), (2, "trajectories")])
def test_the_method_of_noise_follows_the_limit(most, method):
    """Unasked, noise is simulated exactly where that is allowed."""
    ghz = Circuit(
        3,
        3,
        (
            *(Gate("h", (0,)), Gate("cx", (0, 1)), Gate("cx", (1, 2))),
            *(Measure(k, k) for k in range(3)),
        ),
    )
    backend = NativeBackend(density_qubits_max=most)
    noise = noise_models()["depolarizing"]
    options = RunOptions(100, 1, noise=noise, noise_method=NoiseMethod.AUTO)
    (outcome,) = backend.run([ghz], options, OrderTask())
    assert outcome.method == method
    observed = backend.expectations(ghz, [ZZ], options, OrderTask())
    assert observed.method == method
    exact = 4 * 8 * 4**3
    assert (backend.need(ghz, options).memory_bytes == exact) == (method == "density-matrix")


def test_a_bell_state_has_two_active_qubits():
    assert NativeBackend().need(BELL, RunOptions(1, 1)).memory_bytes == 4 * 16
