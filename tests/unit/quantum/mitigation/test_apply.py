"""Mitigation of whole requests: nearer to the truth than without, and told in words."""

import numpy as np
import pytest
from ketgate_server.errors import KetgateError
from ketgate_server.quantum.base import RunOptions
from ketgate_server.quantum.circuit import Circuit, Gate
from ketgate_server.quantum.emulators.emulator import Emulator
from ketgate_server.quantum.mitigation import apply
from ketgate_server.quantum.native.noisy import expectations_noisy, run_noisy
from ketgate_server.quantum.noise import NoiseModel
from ketgate_server.quantum.noise_channels import depolarizing
from ketgate_server.quantum.observable import PauliSum, PauliTerm
from ketgate_server.quantum.work import Mitigation
from ketgate_server.quantum.workers.order import OrderTask

from ..emulators.test_compile import BASES, device, line
from ..specimens import ghz, measured

NOISE = NoiseModel({("cx", None): depolarizing(0.03, 2)}, {None: (0.03, 0.08)})
CIRCUIT = Circuit(4, 0, tuple(ghz(4)))
OBSERVABLES = [
    PauliSum((PauliTerm(1.0, 0, 0b1001), PauliTerm(0.25, 0, 0))),
    PauliSum((PauliTerm(0.5, 0b1111, 0), PauliTerm(0.5, 0, 0b0011))),
]
TRUTH = np.array([1.25, 1.0])


class Native:
    """The native simulator with noise, as a session is."""

    def run(self, circuits, options):
        return run_noisy(circuits, options, OrderTask())

    def expectations(self, circuit, observables, options):
        return expectations_noisy(circuit, observables, options, OrderTask())


class Device:
    """An emulator, as a session is."""

    def __init__(self, **errors):
        found = device(5, line(5), BASES["cz"], **errors)
        self.emulator = Emulator("emulator/test", lambda: found)

    def run(self, circuits, options):
        return self.emulator.run(circuits, options, OrderTask())

    def expectations(self, circuit, observables, options):
        return self.emulator.expectations(circuit, observables, options, OrderTask())


def mitigated(mitigation, shots, runs=None, noise=NOISE, readout=None):
    options = RunOptions(shots, 3, noise=noise)
    readout = readout or apply.readout_of(options, None)
    return apply.expectations(mitigation, runs or Native(), CIRCUIT, OBSERVABLES, options, readout)


@pytest.mark.parametrize("shots", [0, 40_000])
def test_readout_is_corrected(shots):
    found = mitigated(Mitigation(readout=True), shots)
    ideal = RunOptions(0, 3, noise=NoiseModel(NOISE.gates))
    expected = expectations_noisy(CIRCUIT, OBSERVABLES, ideal, OrderTask()).values
    allowed = 5 * found.outcome.standard_errors + 1e-10
    assert (np.abs(found.outcome.values - expected) <= allowed).all()
    raw = expectations_noisy(CIRCUIT, OBSERVABLES, RunOptions(0, 3, noise=NOISE), OrderTask())
    np.testing.assert_allclose(found.raw_values, raw.values, atol=0.03)
    assert found.words == ["readout: each bit weighed by its known errors"]
    assert found.outcome.groups == (2 if shots else 0)


@pytest.mark.parametrize("extrapolation", ["linear", "polynomial-2", "exponential"])
def test_extrapolation_comes_nearer_to_no_noise(extrapolation):
    noise = NoiseModel(NOISE.gates)
    found = mitigated(Mitigation(False, (5.0, 1.0, 3.0), extrapolation), 0, noise=noise)
    before = np.abs(found.raw_values - TRUTH)
    after = np.abs(found.outcome.values - TRUTH)
    assert (after < before / 3).all()
    assert "gates folded to factors 1, 3, 5" in found.words[0]


def test_both_together_with_shots():
    found = mitigated(Mitigation(True, (1.0, 3.0), "exponential"), 40_000)
    assert (np.abs(found.outcome.values - TRUTH) < 5 * found.outcome.standard_errors + 0.01).all()
    assert np.abs(found.raw_values - TRUTH).max() > 0.1
    assert len(found.words) == 2


def test_a_device_is_corrected_by_the_qubits_that_were_really_measured():
    runs = Device(readout={0: 0.02, 1: 0.05, 2: 0.1, 3: 0.15, 4: 0.2})
    readout = apply.readout_of(RunOptions(1, 1), runs.emulator.describe().calibration)
    found = mitigated(Mitigation(readout=True), 40_000, runs, None, readout)
    better = np.abs(found.outcome.values - TRUTH)
    assert (better < np.abs(found.raw_values - TRUTH) / 2).all()
    assert found.outcome.compiled is not None


def test_folds_survive_compilation():
    runs = Device(errors=dict.fromkeys(line(5), 0.03), readout=dict.fromkeys(range(5), 0.0))
    options = RunOptions(0, 1)
    factors = Mitigation(False, (1.0, 3.0), "exponential")
    found = apply.expectations(factors, runs, CIRCUIT, OBSERVABLES, options, None)
    after = np.abs(found.outcome.values - TRUTH)
    assert (after < np.abs(found.raw_values - TRUTH) / 3).all()


def test_counts_are_corrected():
    circuit = measured(3, ghz(3))
    options = RunOptions(50_000, 1, noise=NoiseModel({}, {None: (0.03, 0.08)}))
    (outcome,) = run_noisy([circuit], options, OrderTask())
    found, words = apply.counts(circuit, outcome, apply.readout_of(options, None))
    assert found[0] == pytest.approx(0.5, abs=0.02)
    assert found[7] == pytest.approx(0.5, abs=0.02)
    assert words == "readout: counts corrected by the known errors of 3 bits"


def test_what_cannot_be_mitigated_is_told():
    with pytest.raises(KetgateError, match="this back end tells none"):
        mitigated(Mitigation(readout=True), 100, Native(), None, None)
    with pytest.raises(KetgateError, match="expected shots with it on this back end"):
        mitigated(Mitigation(readout=True), 0, Device(), None, lambda _: (0.1, 0.1))
    one = Circuit(1, 0, (Gate("h", (0,)),))
    with pytest.raises(KetgateError, match="too few gates to fold"):
        apply.expectations(
            Mitigation(False, (1.0, 1.5), "linear"), Native(), one, [], RunOptions(0, 1), None
        )


def test_observables_without_a_constant_are_no_integers():
    """Their values once began as the integer 0, which cut off every fraction added to it."""
    options = RunOptions(40_000, 3, noise=NOISE)
    readout = apply.readout_of(options, None)
    alone = [PauliSum((PauliTerm(1.0, 0, 0b0011),))]
    found = apply.expectations(Mitigation(True), Native(), CIRCUIT, alone, options, readout)
    assert found.outcome.values[0] == pytest.approx(1.0, abs=0.1)
    assert found.outcome.values[0] != round(found.outcome.values[0])
