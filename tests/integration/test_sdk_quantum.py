"""Circuits, algorithms and learning through the Python clients, against a real server over TLS."""

import asyncio
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ketgate
import numpy as np
import pytest

HEADER = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'
BELL = HEADER + "qubit[2] q;\nbit[2] c;\nh q[0];\ncx q[0], q[1];\nc = measure q;\n"
TURN = HEADER + "input float theta;\nqubit[2] q;\nry(theta) q[0];\ncx q[0], q[1];\n"


@pytest.fixture(scope="module")
def client(server: Any) -> Iterator[ketgate.Client]:
    with ketgate.connect(ready_file=server.ready_file) as connected:
        yield connected


def test_a_run_brings_counts_arrays_and_evidence(client: ketgate.Client) -> None:
    told = client.quantum.run(BELL, 1000, seed=7, memory=True, state_vector=True)
    assert told.counts.keys() == {"00", "11"}
    assert sum(told.counts.values()) == told[0].shots == 1000
    assert list(told.counts.values()) == sorted(told.counts.values(), reverse=True)
    assert told.probabilities["00"] == told.counts["00"] / 1000
    assert told.memory.shape == (1000, 2)
    assert int(told.memory[:, 0].sum()) == told.counts["11"]
    np.testing.assert_allclose(
        told.state_vector, [math.sqrt(0.5), 0, 0, math.sqrt(0.5)], atol=1e-12
    )
    assert told.evidence.backend == told.backend
    assert (told.seed, told.evidence.kind) == (7, "simulator")
    assert told.resources.operations == {"cx": 1, "h": 1, "measure": 2}
    assert told.to_pandas()["count"].to_dict() == told.counts
    assert "seed 7" in repr(told)
    assert told.to_dict()["circuits"][0]["counts"] == told.counts
    again = client.quantum.run(BELL, 1000, seed=7)
    assert again.counts == told.counts
    with pytest.raises(ketgate.FailedPrecondition, match="memory=True"):
        again.memory  # noqa: B018


def test_exact_probabilities_and_a_sweep_of_parameters(client: ketgate.Client) -> None:
    program = TURN.replace("qubit[2] q;", "qubit[2] q; bit[2] c;") + "c = measure q;"
    angles = np.linspace(0.1, 3.0, 4)
    told = client.quantum.run(program, 0, parameters=[{"theta": angle} for angle in angles])
    assert len(told) == 4
    for one, angle in zip(told, angles, strict=True):
        assert one.probabilities["00"] == pytest.approx(math.cos(angle / 2) ** 2, abs=1e-12)
    with pytest.raises(ketgate.KetgateError, match="4 circuits"):
        told.counts  # noqa: B018
    assert told.to_pandas().loc[(2, "11"), "probability"] == pytest.approx(
        math.sin(angles[2] / 2) ** 2
    )


def test_noise_caps_and_mitigation_reach_the_server(client: ketgate.Client) -> None:
    flips = ketgate.Noise(channels={"*1": {"bit_flip": 0.1}}, readout={0: (0.05, 0.0)})
    program = HEADER + "qubit q; bit c; id q; c = measure q;"
    told = client.quantum.run(program, 0, noise=flips, backend="native")
    assert told.probabilities["1"] == pytest.approx(0.1 + 0.9 * 0.05, abs=1e-12)
    assert told.evidence.noise_digest
    with pytest.raises(ketgate.CapExceeded) as refused:
        client.quantum.run(BELL, 1000, caps={"shots": 10})
    assert refused.value.limit
    lima = client.quantum.run(
        BELL, 200, backend="emulator/ibm_lima", mitigation="readout", seed=1, noise=None
    )
    assert lima.evidence.kind == "emulator"
    assert lima.evidence.mitigation
    assert lima[0].message.mitigated
    assert sum(lima.probabilities.values()) == pytest.approx(1.0)


def test_estimates_with_gradients(client: ketgate.Client) -> None:
    told = client.quantum.estimate(
        [TURN, TURN], [{"Z0": 1.0, "": 0.5}, "X0 X1"],
        parameters=[{"theta": 0.3}, {"theta": 1.1}], gradients=True,
    )  # fmt: skip
    np.testing.assert_allclose(
        told.values,
        [[math.cos(0.3) + 0.5, math.sin(0.3)], [math.cos(1.1) + 0.5, math.sin(1.1)]],
        atol=1e-12,
    )
    assert told.expectations[3].gradient["theta"] == pytest.approx(math.cos(1.1), abs=1e-12)
    assert told.to_pandas().loc[(1, 0), "d/d theta"] == pytest.approx(-math.sin(1.1))
    sampled = client.quantum.estimate(TURN, "Z0", 4000, parameters={"theta": 0.3}, seed=1)
    assert abs(sampled.value - math.cos(0.3)) < 5 * sampled.standard_error


def test_a_stream_brings_each_circuit_and_then_all(client: ketgate.Client) -> None:
    *circuits, whole = client.quantum.stream([BELL, BELL, BELL], 50, seed=3)
    assert {one.index for one in circuits if isinstance(one, ketgate.CircuitResult)} == {0, 1, 2}
    assert isinstance(whole, ketgate.RunResult)
    again = client.quantum.run([BELL] * 3, 50, seed=3)
    assert [one.counts for one in whole] == [one.counts for one in again]
    assert whole.seed == 3


def test_programs_that_cannot_be_read_show_the_place(client: ketgate.Client) -> None:
    wrong = HEADER + "qubit q;\n  foo q;\n"
    for call in (
        lambda: client.quantum.run([BELL, wrong]),
        lambda: client.quantum.run([BELL, wrong], durable=True),
        lambda: client.quantum.transpile([BELL, wrong], basis_gates=["cx", "u"]),
        lambda: client.quantum.estimate_run([BELL, wrong]),
        lambda: list(client.quantum.stream([BELL, wrong])),
    ):
        with pytest.raises(ketgate.ProgramInvalid) as refused:
            call()
        assert (refused.value.line, refused.value.column) == (4, 3)
        assert str(refused.value).endswith("    4 |   foo q;\n          ^")


def test_backends_and_estimates_before_a_run(client: ketgate.Client) -> None:
    names = [one.name for one in client.quantum.backends('kind = "simulator"')]
    assert "native" in names
    lima = client.quantum.backend("emulator/ibm_lima")
    assert (lima.num_qubits, lima.kind, lima.online) == (5, "emulator", True)
    assert lima.calibration is not None
    assert len(lima.calibration.to_pandas()) == 5
    assert (0, 1) in lima.coupling
    with pytest.raises(ketgate.NotFound):
        client.quantum.backend("nowhere")
    told = client.quantum.estimate_run(BELL, shots=100)
    assert told.shots == 100
    assert told.cost is None
    assert told.alternatives
    assert client.quantum.estimate_run(BELL, "Z0", backend="native").backend == "native"
    with pytest.raises(ketgate.BackendUnsuitable):
        client.quantum.run(BELL, 0, backend="qutip", precision="single")


def test_a_compiled_circuit_is_the_same_circuit(client: ketgate.Client) -> None:
    made = client.quantum.transpile(BELL, basis_gates=["cz", "rz", "sx"], format="openqasm2")
    assert isinstance(made, ketgate.TranspiledCircuit)
    assert made.openqasm.startswith("OPENQASM 2.0;")
    assert made.after.operations.keys() <= {"cz", "rz", "sx", "gphase", "measure"}
    exact = client.quantum.run(made.openqasm, 0).probabilities
    assert exact == pytest.approx({"00": 0.5, "11": 0.5})


def test_jobs_come_back_as_the_same_types(client: ketgate.Client) -> None:
    run = client.quantum.run(BELL, 100, seed=5, durable=True, labels={"who": "test"})
    vqe = client.algorithms.vqe({"Z0 Z1": -1.0, "X0": -0.5, "X1": -0.5}, seed=1, durable=True)
    assert run.kind == "run_circuits"
    assert run.result(200).counts == client.quantum.run(BELL, 100, seed=5).counts
    for job, kind in ((run, ketgate.RunResult), (vqe, ketgate.VqeResult)):
        job.wait(200)
        assert isinstance(client.jobs.get(job.name).result(), kind)
        job.delete()


def test_algorithms_find_what_classical_methods_find(
    client: ketgate.Client, tmp_path: Path
) -> None:
    algorithms = client.algorithms
    best = algorithms.qaoa({("a", "b"): 2.0, ("a", "a"): -1.0, ("b", "b"): -1.5}, layers=2, seed=1)
    assert best.by_name == {"a": 0, "b": 1}
    assert best.objective == -1.5
    assert best.baseline is not None
    assert best.baseline.value == -1.5
    picture = tmp_path / "way.png"
    best.plot(picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    chain = algorithms.qaoa(J={(0, 1): 1.0, (1, 2): 1.0}, seed=1)
    assert chain.angles.shape == (2, 1)
    assert set(np.unique(chain.best.values)) == {-1, 1}
    ground = algorithms.vqe({"Z0 Z1": -1.0, "X0": -0.5, "X1": -0.5}, seed=1)
    assert ground.energy == pytest.approx(-math.sqrt(2), abs=1e-6)
    found = algorithms.grover(["10110"], seed=1)
    assert (found.found, found.number) == (True, 0b10110)
    assert algorithms.grover(formula=[[1, 2], [-1]], seed=1).values.tolist() == [0, 1]
    waves = algorithms.fourier_transform(num_qubits=3, state=1).amplitudes
    assert waves is not None
    np.testing.assert_allclose(
        waves, np.exp(2j * np.pi * np.arange(8) / 8) / math.sqrt(8), atol=1e-12
    )
    phase = algorithms.phase_estimation(HEADER + "qubit q; p(pi/4) q;", HEADER + "qubit q; x q;")
    assert phase.phase == 0.125
    amplitude = algorithms.amplitude_estimation(HEADER + "qubit q; ry(1) q;", seed=1)
    assert amplitude.interval[0] < math.sin(0.5) ** 2 < amplitude.interval[1]
    risk = algorithms.value_at_risk([0, 1, 2, 3], [0.5, 0.3, 0.15, 0.05], 0.9, seed=1)
    assert risk.value_at_risk == 2
    assert algorithms.factor(15, base=7, seed=1).factors == (3, 5)


def test_a_model_is_trained_kept_and_used(client: ketgate.Client, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(-1, 0.3, (12, 2)), rng.normal(1, 0.3, (12, 2))])
    y = np.repeat([3, 8], 12)
    trained = client.learning.train(x, y, "kernel", seed=1, time_limit=100)
    assert trained.score.test_accuracy > 0.7
    assert len(trained.to_pandas()) == 1 + len(trained.baselines)
    model = ketgate.ClassifierModel.load(trained.model.save(tmp_path / "model.bin"))
    told = client.learning.classify(model, x)
    assert set(told.labels) <= {3, 8}
    assert ((told.scores > 0) == (told.labels == 8)).all()
    gram = client.learning.kernel(x[:4], x[:3]).gram
    assert gram.shape == (4, 3)
    np.testing.assert_allclose(np.diag(gram), 1.0, atol=1e-12)


def test_the_asynchronous_client_does_the_same(server: Any) -> None:
    async def run() -> None:
        async with ketgate.aio.connect(ready_file=server.ready_file) as client:
            ran, told, qaoa, backends = await asyncio.gather(
                client.quantum.run(BELL, 100, seed=7),
                client.quantum.estimate(TURN, "Z0", parameters={"theta": 0.3}),
                client.algorithms.qaoa({(0, 0): -1.0, (0, 1): 0.5}, seed=1),
                client.quantum.backends('name = "native"'),
            )
            assert sum(ran.counts.values()) == 100
            assert told.value == pytest.approx(math.cos(0.3), abs=1e-12)
            assert qaoa.objective == -1
            assert [one.name for one in backends] == ["native"]
            assert (await client.quantum.backend("native")).online
            events = [event async for event in client.quantum.stream([BELL, BELL], 10)]
            assert isinstance(events[-1], ketgate.RunResult)
            made = await client.quantum.transpile(BELL, basis_gates=["cx", "u"])
            assert isinstance(made, ketgate.TranspiledCircuit)
            assert (await client.quantum.estimate_run(BELL)).backend
            with pytest.raises(ketgate.ProgramInvalid, match=r"\^$"):
                await client.quantum.run(HEADER + "foo q;")
            job = await client.quantum.run(BELL, 10, seed=7, durable=True)
            assert isinstance(await job.result(200), ketgate.RunResult)
            await job.delete()

    asyncio.run(run())
