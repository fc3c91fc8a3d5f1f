"""Gram matrix of a fidelity kernel: 200 samples, 10 qubits, two layers of ZZ, beside plain NumPy and PennyLane's
batched states in the same run.

    python benchmarks/quantum/gram.py [--samples 200] [--qubits 10] [--threads 1] [--json FILE]

All make one state a sample and one product. Processor time of one thread counts, the best of a few runs, so that other
work on the machine does not. Goal: 3 times the best peer, equal to 1e-12.
"""

import argparse
import importlib.util
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in the server

import numpy as np
from ketgate_server.quantum.learning.encoding import FeatureMap
from ketgate_server.quantum.learning.gram import gram_matrix
from numpy.typing import NDArray

GOAL, RUNS = 3.0, 7
Floats = NDArray[np.float64]
Gram = Callable[[Floats], Floats]


def plain_numpy(samples: Floats) -> Floats:
    """Phases of the whole batch, a fast Walsh-Hadamard transform over its axes, one product."""
    count, n = samples.shape
    signs = 1.0 - 2.0 * ((np.arange(1 << n)[:, None] >> np.arange(n)) & 1)
    near = signs[:, :-1] * signs[:, 1:]
    angle = samples @ signs.T + (samples[:, :-1] * samples[:, 1:]) @ near.T
    phase = np.exp(-1j * angle)
    states = phase.reshape(count, *([2] * n))
    for axis in range(1, n + 1):
        low, high = np.take(states, 0, axis), np.take(states, 1, axis)
        states = np.stack([low + high, low - high], axis)
    states = states.reshape(count, -1) * phase / (1 << n)
    return np.asarray(np.abs(states @ states.conj().T) ** 2)


def pennylane_batched(samples: Floats) -> Floats:
    import pennylane as qml

    n = samples.shape[1]

    @qml.qnode(qml.device("default.qubit", wires=n))
    def state(x: Floats) -> object:
        for _ in range(2):
            for i in range(n):
                qml.Hadamard(i)
            for i in range(n):
                qml.RZ(2 * x[i], wires=i)
            for i in range(n - 1):
                qml.MultiRZ(2 * x[i] * x[i + 1], wires=[i, i + 1])
        return qml.state()

    states = np.asarray(state(samples.T))
    return np.asarray(np.abs(states @ states.conj().T) ** 2)


def processor_ms(run: Callable[[], object]) -> float:
    run()
    times = []
    for _ in range(RUNS):
        started = time.process_time()
        run()
        times.append(time.process_time() - started)
    return 1e3 * min(times)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--qubits", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    samples = np.random.default_rng(0).uniform(0.0, 1.0, (arguments.samples, arguments.qubits))

    def ours(given: Floats) -> Floats:
        return gram_matrix(given, None, FeatureMap(), threads=arguments.threads)

    solvers: dict[str, Gram] = {"ketgate": ours, "numpy": plain_numpy}
    if importlib.util.find_spec("pennylane"):
        solvers["pennylane, batched"] = pennylane_batched
    else:
        print("pennylane, batched   not installed")
    times = {name: processor_ms(lambda s=solve: s(samples)) for name, solve in solvers.items()}
    expected, best = ours(samples), min(ms for name, ms in times.items() if name != "ketgate")
    for name, ms in times.items():
        apart = float(np.abs(solvers[name](samples) - expected).max())
        ratio = f"{best / ms:5.1f}x best peer (goal {GOAL})" if name == "ketgate" else ""
        print(f"{name:<20} {ms:9.2f} ms, apart {apart:.1e} {ratio}")
    if arguments.json:
        arguments.json.write_text(json.dumps(times, indent=1))


if __name__ == "__main__":
    main()
