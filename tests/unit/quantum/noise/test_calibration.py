"""Calibrations as noise: the average error that was measured, and Qiskit Aer's model of the same
device."""

import warnings

import numpy as np
import pytest
from ketgate_server.quantum.base import Calibration, GateCalibration, QubitCalibration
from ketgate_server.quantum.calibration import (
    Deferred,
    digest,
    gate_channels,
    noise_model,
)
from ketgate_server.quantum.emulators import ibm
from ketgate_server.quantum.noise_transfer import transfer_of_channels, transfer_of_kraus

QUBITS = {
    0: QubitCalibration(0, t1_us=80.0, t2_us=100.0, p1_given_0=0.01, p0_given_1=0.03),
    1: QubitCalibration(1, t1_us=50.0, t2_us=400.0),
}
CALIBRATION = Calibration(
    7,
    tuple(QUBITS.values()),
    (
        GateCalibration("sx", (0,), 0.001, 35.0),
        GateCalibration("cz", (0, 1), 0.02, 300.0),
        GateCalibration("reset", (0,), None, 800.0),
    ),
)


def average_error(channels, size):
    """1 - average fidelity to doing nothing."""
    dim = 2**size
    process = np.trace(transfer_of_channels(channels, size)) / 4**size
    return 1 - (dim * process + 1) / (dim + 1)


@pytest.mark.parametrize("gate", CALIBRATION.gates[:2])
def test_depolarizing_and_relaxation_have_the_measured_error_together(gate):
    channels = gate_channels(gate, QUBITS)
    assert len(channels) == 1 + len(gate.qubits)
    assert average_error(channels, len(gate.qubits)) == pytest.approx(gate.error, abs=1e-12)


def test_relaxation_alone_where_it_is_more_than_the_error():
    gate = GateCalibration("cz", (0, 1), 1e-6, 5000.0)
    assert len(gate_channels(gate, QUBITS)) == 2
    assert average_error(gate_channels(gate, QUBITS), 2) > 1e-3


def test_what_was_not_measured_is_perfect_and_too_much_is_cut():
    assert gate_channels(GateCalibration("rz", (0,), 0.0, 0.0), QUBITS) == ()
    assert gate_channels(GateCalibration("x", (5,), None, 10.0), QUBITS) == ()
    broken = gate_channels(GateCalibration("cz", (0, 1), 1.0), QUBITS)
    assert average_error(broken, 2) == pytest.approx(0.8)


def test_only_what_is_used_is_in_the_model():
    whole = noise_model(CALIBRATION, "a chip")
    assert set(whole.gates) == {("sx", (0,)), ("cz", (0, 1)), ("reset", (0,))}
    assert whole.readout == {0: (0.01, 0.03)}
    part = noise_model(CALIBRATION, "a chip", {("sx", (0,)), ("measure", (1,))})
    assert set(part.gates) == {("sx", (0,))}
    assert not part.readout
    assert whole.digest != part.digest
    assert whole.calibration_time_us == 7


def test_the_digest_is_that_of_what_was_measured():
    assert digest(CALIBRATION) == digest(Calibration(7, CALIBRATION.qubits, CALIBRATION.gates))
    assert digest(CALIBRATION) != digest(Calibration(8, CALIBRATION.qubits, CALIBRATION.gates))


def test_a_deferred_calibration_is_read_once_and_only_when_it_is_looked_at():
    reads = []
    deferred = Deferred(lambda: reads.append(1) or CALIBRATION)
    assert not reads
    assert deferred.qubits == CALIBRATION.qubits
    assert (deferred.gates, deferred.time_us) == (CALIBRATION.gates, 7)
    assert reads == [1]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_model_is_that_of_aer():
    noise = pytest.importorskip("qiskit_aer.noise", reason="qiskit-aer is not installed")
    fakes = pytest.importorskip(
        "qiskit_ibm_runtime.fake_provider", reason="qiskit-ibm-runtime is not installed"
    )
    from qiskit.quantum_info import Kraus

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = noise.NoiseModel.from_backend(fakes.FakeManilaV2())
    (snapshot,) = [one for one in ibm.snapshots() if one.name == "emulator/ibm_manila"]
    ours = noise_model(ibm.read(snapshot).calibration, "")
    compared = 0
    for name, by_qubits in theirs._local_quantum_errors.items():
        for qubits, error in by_qubits.items():
            expected = transfer_of_kraus(np.array(Kraus(error).data))
            channels = ours.gates[(name, tuple(qubits))]
            found = transfer_of_channels(channels, len(qubits))
            np.testing.assert_allclose(found, expected, atol=1e-9)
            compared += 1
    assert compared == len(ours.gates) >= 20
    for (qubit,), error in theirs._local_readout_errors.items():
        # Theirs takes the mean of what the device tells apart.
        mean = sum(ours.readout[qubit]) / 2
        expected = [[1 - mean, mean], [mean, 1 - mean]]
        np.testing.assert_allclose(error.probabilities, expected)
