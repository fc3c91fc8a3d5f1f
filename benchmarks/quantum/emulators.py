"""Noisy devices and noise, beside the public simulators in the same run.

    python benchmarks/quantum/emulators.py [--only ghz,noise] [--slow] [--json FILE]

ghz: five qubits on a device emulator with the device's published noise, 4,096 shots: loading, compiling and running,
the first time in a process and the second. Hellinger: fidelity of the populations to the ideal halves. --slow adds
IBM's devices of more than 100 qubits through IBM's own sampler, which take up to a minute each.
noise: random circuits with depolarizing noise, relaxation and errors of readout, by the density matrix and by
trajectories, one thread, beside Qiskit Aer; median of three after a first one.
"""

import argparse
import importlib.util
import json
import math
import statistics
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

QUBITS, SHOTS, SEED = 5, 4096, 7
LAYERS = 8
NOISY = (
    (8, "density-matrix", 4096),
    (10, "density-matrix", 4096),
    (10, "trajectories", 500),
    (14, "trajectories", 100),
)
Counts = Mapping[str, int]


def hellinger(counts: Counts) -> float:
    total = sum(counts.values())
    return sum(math.sqrt(counts.get(bit * QUBITS, 0) / total / 2) for bit in "01") ** 2


def ours_ghz(name: str) -> Callable[[], Counts]:
    from ketgate_server.quantum.base import RunOptions
    from ketgate_server.quantum.circuit import Circuit, Gate, Measure
    from ketgate_server.quantum.emulators.catalogue import emulators
    from ketgate_server.quantum.workers.order import OrderTask

    known: dict[str, Any] = {}

    def run() -> Counts:
        if not known:
            known.update({one.name: one for one in emulators()})
        gates = (Gate("h", (0,)), *(Gate("cx", (q, q + 1)) for q in range(QUBITS - 1)))
        circuit = Circuit(QUBITS, QUBITS, (*gates, *(Measure(q, q) for q in range(QUBITS))))
        (found,) = known[name].run([circuit], RunOptions(SHOTS, SEED), OrderTask())
        return {format(key, f"0{QUBITS}b"): count for key, count in found.counts.items()}

    return run


def ibm_ghz(name: str) -> Callable[[], Counts]:
    def run() -> Counts:
        import qiskit_ibm_runtime.fake_provider as fakes
        from qiskit import QuantumCircuit
        from qiskit.transpiler import generate_preset_pass_manager
        from qiskit_ibm_runtime import SamplerV2

        backend = getattr(fakes, name)()
        circuit = QuantumCircuit(QUBITS)
        circuit.h(0)
        for q in range(QUBITS - 1):
            circuit.cx(q, q + 1)
        circuit.measure_all()
        compiled = generate_preset_pass_manager(3, backend=backend, seed_transpiler=SEED).run(
            circuit
        )
        sampler = SamplerV2(mode=backend)
        sampler.options.simulator.seed_simulator = SEED
        counts: Counts = sampler.run([compiled], shots=SHOTS).result()[0].data.meas.get_counts()
        return counts

    return run


def google_ghz(processor: str) -> Callable[[], Counts]:
    def run() -> Counts:
        import cirq
        import cirq_google

        engine = cirq_google.engine.create_default_noisy_quantum_virtual_machine(
            processor_id=processor
        )
        graph = engine.get_processor(processor).get_device().metadata.nx_graph

        def path(found: list[Any]) -> list[Any] | None:
            if len(found) == QUBITS:
                return found
            for near in sorted(graph.neighbors(found[-1])):
                if near not in found and (longer := path([*found, near])):
                    return longer
            return None

        qubits = next(line for start in sorted(graph.nodes) if (line := path([start])))
        circuit = cirq.Circuit(
            cirq.H(qubits[0]), *(cirq.CNOT(*qubits[k : k + 2]) for k in range(QUBITS - 1))
        )
        circuit = cirq.optimize_for_target_gateset(circuit, gateset=cirq.CZTargetGateset())
        circuit += cirq.Circuit(cirq.measure(*qubits, key="m"))
        histogram = engine.get_sampler(processor).run(circuit, repetitions=SHOTS).histogram(key="m")
        return {format(key, f"0{QUBITS}b"): count for key, count in histogram.items()}

    return run


def braket_ghz() -> Counts:
    from braket.circuits import Circuit, Gate, Noise
    from braket.devices import LocalSimulator

    circuit = Circuit().h(0)
    for q in range(QUBITS - 1):
        circuit.cnot(q, q + 1)
    circuit.apply_gate_noise(Noise.TwoQubitDepolarizing(0.01), target_gates=Gate.CNot)
    circuit.apply_readout_noise(Noise.BitFlip(0.01))
    return dict(LocalSimulator("braket_dm").run(circuit, shots=SHOTS).result().measurement_counts)


def ghz_rows(slow: bool) -> list[tuple[str, str, Callable[[], Counts]]]:
    """(who, device, run)."""
    rows: list[tuple[str, str, Callable[[], Counts]]] = []
    if importlib.util.find_spec("qiskit_ibm_runtime"):
        for name, fake in (
            ("manila", "FakeManilaV2"),
            ("sherbrooke", "FakeSherbrooke"),
            ("torino", "FakeTorino"),
        ):
            rows.append(("Ketgate", f"ibm_{name}", ours_ghz(f"emulator/ibm_{name}")))
            if slow or name == "manila":
                rows.append(("IBM's sampler", f"ibm_{name}", ibm_ghz(fake)))
    if importlib.util.find_spec("cirq_google"):
        for name in ("rainbow", "willow_pink"):
            rows.append(("Ketgate", f"google_{name}", ours_ghz(f"emulator/google_{name}")))
            rows.append(("Google's virtual machine", f"google_{name}", google_ghz(name)))
    if importlib.util.find_spec("braket"):
        rows.append(("Braket's density matrix", "noise by hand", braket_ghz))
    return rows


def measure_ghz(slow: bool) -> list[dict[str, Any]]:
    print(f"{'who':<26}{'device':<22}{'first s':>9}{'again s':>9}{'Hellinger':>11}")
    out = []
    for who, device, run in ghz_rows(slow):
        times = []
        for _ in range(2):
            started = time.perf_counter()
            counts = run()
            times.append(time.perf_counter() - started)
        fidelity = hellinger(counts)
        print(f"{who:<26}{device:<22}{times[0]:>9.4f}{times[1]:>9.4f}{fidelity:>11.4f}", flush=True)
        out.append(
            {
                "who": who,
                "device": device,
                "first_s": times[0],
                "again_s": times[1],
                "fidelity": fidelity,
            }
        )
    return out


def random_gates(n: int) -> list[tuple[str, tuple[int, ...], tuple[float, ...]]]:
    rng = np.random.default_rng(SEED)
    gates: list[tuple[str, tuple[int, ...], tuple[float, ...]]] = []
    for layer in range(LAYERS):
        gates += [("u", (q,), tuple(rng.uniform(-3, 3, 3).tolist())) for q in range(n)]
        gates += [("cx", (q, q + 1), ()) for q in range(layer % 2, n - 1, 2)]
    return gates


def ours_noise(n: int, method: str, shots: int) -> Callable[[], object]:
    from ketgate_server.quantum.base import NoiseMethod, RunOptions
    from ketgate_server.quantum.circuit import Circuit, Gate, Measure
    from ketgate_server.quantum.native.noisy import run_noisy
    from ketgate_server.quantum.noise import NoiseModel
    from ketgate_server.quantum.noise_channels import depolarizing, thermal_relaxation
    from ketgate_server.quantum.workers.order import OrderTask

    channels = {
        ("u", None): depolarizing(0.001, 1) + thermal_relaxation(100.0, 120.0, 50.0, 0.0, 1),
        ("cx", None): depolarizing(0.01, 2) + thermal_relaxation(100.0, 120.0, 300.0, 0.0, 2),
    }
    noise = NoiseModel(channels, {None: (0.01, 0.02)})
    operations = [Gate(name, qubits, angles) for name, qubits, angles in random_gates(n)]
    circuit = Circuit(n, n, (*operations, *(Measure(q, q) for q in range(n))))
    options = RunOptions(shots, SEED, noise=noise, noise_method=NoiseMethod(method))
    return lambda: run_noisy([circuit], options, OrderTask())


def aer_noise(n: int, method: str, shots: int) -> Callable[[], object]:
    from qiskit import QuantumCircuit
    from qiskit_aer import AerSimulator
    from qiskit_aer.noise import (
        NoiseModel,
        ReadoutError,
        depolarizing_error,
        thermal_relaxation_error,
    )

    short, long = (thermal_relaxation_error(100e3, 120e3, time_ns) for time_ns in (50, 300))
    noise = NoiseModel()
    noise.add_all_qubit_quantum_error(depolarizing_error(0.001, 1).compose(short), ["u"])
    noise.add_all_qubit_quantum_error(
        depolarizing_error(0.01, 2).compose(long.expand(long)), ["cx"]
    )
    noise.add_all_qubit_readout_error(ReadoutError([[0.99, 0.01], [0.02, 0.98]]))
    circuit = QuantumCircuit(n)
    for name, qubits, angles in random_gates(n):
        getattr(circuit, name)(*angles, *qubits)
    circuit.measure_all()
    engine = "density_matrix" if method == "density-matrix" else "statevector"
    simulator = AerSimulator(method=engine, noise_model=noise, max_parallel_threads=1)
    return lambda: simulator.run(circuit, shots=shots, seed_simulator=SEED).result().get_counts()


def measure_noise() -> list[dict[str, Any]]:
    print(f"{'who':<12}{'method':<16}{'qubits':>7}{'shots':>7}{'ms':>10}")
    makers = [("Ketgate", ours_noise)]
    if importlib.util.find_spec("qiskit_aer"):
        makers.append(("Aer", aer_noise))
    out = []
    for n, method, shots in NOISY:
        for who, make in makers:
            run = make(n, method, shots)
            run()
            times = []
            for _ in range(3):
                started = time.perf_counter()
                run()
                times.append(time.perf_counter() - started)
            middle = statistics.median(times)
            print(f"{who:<12}{method:<16}{n:>7}{shots:>7}{1e3 * middle:>10.1f}", flush=True)
            out.append(
                {"who": who, "method": method, "qubits": n, "shots": shots, "median_s": middle}
            )
    return out


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="ghz,noise")
    parser.add_argument("--slow", action="store_true")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # the peers' own
    rows = []
    if "ghz" in arguments.only:
        rows += measure_ghz(arguments.slow)
    if "noise" in arguments.only:
        rows += measure_noise()
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
