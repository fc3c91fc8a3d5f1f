"""What back ends there are, what they can, and what runs would take."""

import grpc
import pytest
from ketgate.quantum.v1 import backend_pb2
from ketgate.quantum.v1 import quantum_service_pb2 as pb

from .conftest import BELL, HEADER, refused

TIMEOUT_S = 200.0


@pytest.fixture
def list_backends(stub, metadata):
    def call(**given) -> pb.ListBackendsResponse:
        request = pb.ListBackendsRequest(**given)
        return stub.ListBackends(request, metadata=metadata, timeout=TIMEOUT_S)

    return call


@pytest.fixture
def get(stub, metadata):
    def call(name: str) -> backend_pb2.Backend:
        request = pb.GetBackendRequest(name=name)
        return stub.GetBackend(request, metadata=metadata, timeout=TIMEOUT_S).backend

    return call


def names(response) -> list[str]:
    return [backend.name for backend in response.backends]


def test_the_native_simulator_is_always_there(get):
    native = get("native")
    assert native.status == backend_pb2.BACKEND_STATUS_ONLINE
    assert native.kind == backend_pb2.BACKEND_KIND_SIMULATOR
    assert (native.provider, native.region) == ("ketgate", "local")
    assert native.num_qubits >= 20
    can = native.capabilities
    assert all((can.exact, can.state_vector, can.noise, can.seeded, can.classical_control))
    assert not native.HasField("price")
    assert not native.HasField("status_time")


def test_what_is_not_installed_is_listed_with_the_command(list_backends):
    listed = list_backends().backends
    assert names(list_backends()) == sorted(names(list_backends()))
    for name in ("aer", "cirq", "braket-local", "pennylane", "qutip"):
        (backend,) = (one for one in listed if one.name == name)
        if backend.status == backend_pb2.BACKEND_STATUS_UNAVAILABLE:
            assert "pip install" in backend.status_message
        else:
            assert backend.version


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ('name = "native"', lambda b: b.name == "native"),
        ("name = native", lambda b: b.name == "native"),
        ("name = emulator/*", lambda b: b.name.startswith("emulator/")),
        ("kind = simulator", lambda b: b.kind == backend_pb2.BACKEND_KIND_SIMULATOR),
        ("kind = BACKEND_KIND_SIMULATOR", lambda b: b.kind == backend_pb2.BACKEND_KIND_SIMULATOR),
        ("kind != SIMULATOR", lambda b: b.kind != backend_pb2.BACKEND_KIND_SIMULATOR),
        ("status = ONLINE", lambda b: b.status == backend_pb2.BACKEND_STATUS_ONLINE),
        ("region != local", lambda b: b.region != "local"),
        ('provider = "ketgate"', lambda b: b.provider == "ketgate"),
        ("num_qubits >= 20 AND num_qubits < 27", lambda b: 20 <= b.num_qubits < 27),
        (
            'kind = "simulator" AND name != native',
            lambda b: b.kind == backend_pb2.BACKEND_KIND_SIMULATOR and b.name != "native",
        ),
    ],
)
def test_filters_keep_what_they_say(text, holds, list_backends):
    everything = list_backends().backends
    assert names(list_backends(filter=text)) == [b.name for b in everything if holds(b)]


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("colour = red", "character 1"),
        ("name > native", "character 6"),
        ("kind = toaster", "character 1"),
        ("num_qubits = many", "character 12"),
        ("name = native OR name = aer", "character 15"),
        ("name = native AND", "character 18"),
        ("name", "character 1"),
    ],
)
def test_what_is_no_filter_is_refused_with_the_place(text, at, stub, metadata):
    request = pb.ListBackendsRequest(filter=text)
    refusal = refused(stub.ListBackends, request, metadata=metadata)
    assert refusal.fields == ["filter"]
    assert at in refusal.message


def test_pages_bring_everything_once(list_backends):
    everything = names(list_backends())
    paged, token = [], ""
    while True:
        page = list_backends(page_size=7, page_token=token)
        assert len(page.backends) <= 7
        paged += names(page)
        token = page.next_page_token
        if not token:
            break
    assert paged == everything
    assert names(list_backends(page_size=10_000)) == everything


@pytest.mark.parametrize(("field", "value"), [("page_size", -1), ("page_token", "x")])
def test_pages_that_cannot_be_are_refused(field, value, stub, metadata):
    request = pb.ListBackendsRequest(**{field: value})
    assert refused(stub.ListBackends, request, metadata=metadata).fields == [field]


def test_an_unknown_back_end_is_not_found(stub, metadata):
    refusal = refused(stub.GetBackend, pb.GetBackendRequest(name="abacus"), metadata=metadata)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND")


EMULATOR = "emulator/ibm_torino"


@pytest.fixture
def emulator(list_backends) -> str:
    if EMULATOR not in names(list_backends()):
        pytest.skip("the files of IBM's devices are not installed")
    return EMULATOR


def test_an_emulator_tells_its_coupling_and_calibration_when_asked_for_itself(
    emulator, get, list_backends
):
    whole = get(emulator)
    assert whole.kind == backend_pb2.BACKEND_KIND_EMULATOR
    assert whole.num_qubits == 133
    assert len(whole.coupling) % 2 == 0
    assert max(whole.coupling) < 133
    assert "cz" in whole.basis_gates
    calibration = whole.calibration
    assert len(calibration.qubits) == 133
    assert calibration.time.seconds > 1_600_000_000
    assert len(calibration.digest) == 64
    (brief,) = list_backends(filter=f"name = {emulator}").backends
    assert not brief.coupling
    assert not brief.HasField("calibration")


def test_a_device_s_noise_is_added_by_its_emulator_and_told(emulator, stub, metadata):
    spec = pb.RunCircuitsSpec(circuits=[{"openqasm": BELL}], shots=4000, seed=1)
    spec.noise.device = emulator
    spec.mitigation.readout = True
    request = pb.RunCircuitsRequest(spec=spec)
    result = stub.RunCircuits(request, metadata=metadata, timeout=TIMEOUT_S).result
    circuit, evidence = result.circuits[0], result.evidence
    assert evidence.backend == emulator
    assert evidence.kind == backend_pb2.BACKEND_KIND_EMULATOR
    assert 0.8 < evidence.expected_fidelity < 1.0
    assert evidence.calibration_time.seconds > 1_600_000_000
    assert len(evidence.noise_digest) == 64
    assert set(circuit.counts) == {"00", "01", "10", "11"}
    assert "cz" in circuit.resources.operations
    assert "readout" in evidence.mitigation[0]
    odd = circuit.counts["01"] + circuit.counts["10"]
    corrected = circuit.mitigated["01"] + circuit.mitigated["10"]
    assert corrected < odd / 4000


def test_expectations_are_extrapolated_to_no_noise(emulator, stub, metadata):
    spec = pb.EstimateObservablesSpec(
        circuits=[{"openqasm": BELL}],
        observables=[{"terms": [{"coefficient": 1, "paulis": "ZZ"}]}],
        noise={"device": emulator},
        mitigation={"noise_factors": [1, 3, 5]},
        seed=1,
    )
    request = pb.EstimateObservablesRequest(spec=spec)
    result = stub.EstimateObservables(request, metadata=metadata, timeout=TIMEOUT_S).result
    (found,) = result.expectations
    assert abs(found.value - 1.0) < abs(found.raw_value - 1.0)
    assert "zero-noise" in " ".join(result.evidence.mitigation)


def test_emulators_are_not_chosen_for_those_who_asked_for_no_noise(stub, metadata):
    spec = pb.RunCircuitsSpec(circuits=[{"openqasm": BELL}])
    found = stub.EstimateRun(
        pb.EstimateRunRequest(run_circuits=spec), metadata=metadata, timeout=TIMEOUT_S
    )
    assert found.estimate.backend == "native"
    others = [one.backend for one in found.alternatives]
    assert not [name for name in others if name.startswith("emulator/")]
    assert found.estimate.run_time.ToNanoseconds() > 0


def test_an_estimate_is_refused_as_the_run_would_be(stub, metadata):
    request = pb.EstimateRunRequest(estimate_observables=pb.EstimateObservablesSpec())
    refusal = refused(stub.EstimateRun, request, metadata=metadata)
    assert refusal.fields == ["estimate_observables.circuits"]
    assert refused(stub.EstimateRun, pb.EstimateRunRequest(), metadata=metadata).fields == ["work"]


@pytest.fixture
def transpile(stub, metadata, list_backends):
    def call(**given) -> pb.TranspileCircuitResponse:
        usual = {"circuits": [{"openqasm": BELL, "label": "bell"}]}
        request = pb.TranspileCircuitRequest(**usual | given)
        try:
            return stub.TranspileCircuit(request, metadata=metadata, timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            if "pip install" in error.details():
                pytest.skip("the compiler is not installed")
            raise

    return call


def test_circuits_are_compiled_to_gates_and_pairs(transpile):
    coupling = [0, 1, 1, 0, 1, 2, 2, 1]
    program = HEADER + "qubit[3] q; bit[3] c; h q[0]; cx q[0], q[2]; c = measure q;"
    (one,) = transpile(
        circuits=[{"openqasm": program}], basis_gates=["rz", "sx", "cx"], coupling=coupling
    ).circuits
    assert one.openqasm.startswith("OPENQASM 3.0;")
    assert set(one.after.operations) <= {"rz", "sx", "cx", "gphase", "measure", "barrier"}
    assert one.before.operations["h"] == 1
    assert sorted(one.initial_layout) == [0, 1, 2]
    assert "qiskit" in one.compiler
    again = transpile(
        circuits=[{"openqasm": program}], basis_gates=["rz", "sx", "cx"], coupling=coupling
    ).circuits[0]
    assert again.openqasm == one.openqasm


def test_circuits_are_written_as_openqasm_2_where_asked_for(transpile):
    (one,) = transpile(
        basis_gates=["u", "cx"], format=pb.CIRCUIT_FORMAT_OPENQASM2, optimization_level=0
    ).circuits
    assert one.openqasm.startswith("OPENQASM 2.0;")


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("circuits", {"circuits": []}),
        ("basis_gates", {}),
        ("basis_gates[0]", {"basis_gates": ["nope"]}),
        ("basis_gates", {"backend": "native", "basis_gates": ["cx"]}),
        ("coupling", {"backend": "native", "coupling": [0, 1]}),
        ("coupling", {"basis_gates": ["cx", "u"], "coupling": [0]}),
        ("coupling[0]", {"basis_gates": ["cx", "u"], "coupling": [1, 1]}),
        ("coupling", {"basis_gates": ["cx", "u"], "coupling": [0, 1], "wide": True}),
        ("format", {"backend": "native", "format": 9}),
        ("optimization_level", {"backend": "native", "optimization_level": 4}),
    ],
)
def test_a_compilation_that_cannot_be_is_refused_by_its_field(path, given, stub, metadata):
    program = HEADER + "qubit[3] q; h q;" if given.pop("wide", False) else BELL
    request = pb.TranspileCircuitRequest(**{"circuits": [{"openqasm": program}]} | given)
    assert refused(stub.TranspileCircuit, request, metadata=metadata).fields == [path]
