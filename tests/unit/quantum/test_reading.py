"""Large programs are read in a worker process, and only those."""

import pickle
import time
from collections.abc import Iterator
from typing import Any

import pytest
from ketgate.quantum.v1 import algorithm_service_pb2 as algorithm_pb
from ketgate.quantum.v1 import quantum_service_pb2 as pb
from ketgate_server.errors import KetgateError, LimitError, Reason
from ketgate_server.limits import LIMITS as SERVER_LIMITS
from ketgate_server.quantum import convert, reading
from ketgate_server.quantum.algorithms.convert_estimation import read_phase_estimation
from ketgate_server.quantum.algorithms.convert_vqe import read_vqe
from ketgate_server.quantum.base import Stopped
from ketgate_server.quantum.openqasm.read import ProgramError, ReadLimits, read
from ketgate_server.quantum.work import Caller
from ketgate_server.quantum.workers import faults

HEADER = 'OPENQASM 3.0; include "stdgates.inc";\nqubit[4] q;\n'
LIMITS = ReadLimits()


class OtherProcess:
    """Reads as a worker would: what goes there and back is pickled."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.remaining_s = 0.0
        self.stops = False

    def call(
        self, function: str, arguments: tuple[str], task: Any, named: dict[str, Any], *, group: str
    ) -> Any:
        assert (function, group) == (reading.FUNCTION, "openqasm")
        self.remaining_s = task.remaining_s()
        assert self.remaining_s > 1.0
        task.on_stop(lambda: None)
        self.calls.append(arguments[0])
        if self.stops:
            raise Stopped
        try:
            return pickle.loads(pickle.dumps(read(*arguments, **named)))
        except KetgateError as error:
            packed = pickle.loads(pickle.dumps(faults.pack(error, group)))
            raise faults.unpack(packed) from None


@pytest.fixture
def there() -> Iterator[OtherProcess]:
    other = OtherProcess()
    reading.use(other)  # type: ignore[arg-type]
    yield other
    reading.use(None)


def program(text: str, limits: ReadLimits = LIMITS) -> Any:
    return reading.read_program(text, label="", limits=limits, field="spec.circuits[0].openqasm")


def long(gate: str) -> str:
    lines = f"{gate} q[1];\n" * (reading.BYTES_HERE_MAX // 7)
    assert len(lines) > reading.BYTES_HERE_MAX
    return HEADER + lines


def test_a_small_program_is_read_here(there: OtherProcess) -> None:
    assert len(program(HEADER + "h q[0];").operations) == 1
    assert not there.calls


def test_a_long_one_is_read_there_once(there: OtherProcess) -> None:
    text = long("h")
    first = program(text)
    assert first == read(text)
    assert program(text) == first
    assert there.calls == [text]


def test_so_is_a_short_one_with_many_operations(there: OtherProcess) -> None:
    many = reading.OPERATIONS_HERE_MAX + 1
    text = HEADER + f"for int i in [1:{many}] {{ x q[0]; }}"
    assert len(program(text).operations) == many
    assert there.calls == [text]


def test_its_faults_are_told_as_if_it_were_read_here(there: OtherProcess) -> None:
    text = long("x") + "nonsense q[0];"
    with pytest.raises(ProgramError) as far:
        program(text)
    assert there.calls
    reading.use(None)
    with pytest.raises(ProgramError) as near:
        program(text)
    here = {name: value for name, value in vars(near.value).items() if name != "place"}
    assert vars(far.value) == here


def test_what_is_beyond_a_limit_starts_no_worker(there: OtherProcess) -> None:
    short = ReadLimits(program_bytes_max=40_000, operations_max=100, qubits_max=10)
    for text, name in (
        (long("y") * 2, "quantum.program_bytes_max"),
        (HEADER + "for int i in [1:101] { x q[0]; }", "quantum.operations_max"),
    ):
        with pytest.raises(LimitError) as caught:
            program(text, short)
        assert caught.value.limit == name
    assert not there.calls


def test_a_read_that_takes_too_long(there: OtherProcess) -> None:
    there.stops = True
    with pytest.raises(KetgateError, match=r"circuits\[0\].*not read within 120 s") as caught:
        program(long("z"))
    assert caught.value.reason is Reason.DEADLINE_EXCEEDED


def spec(gate: str, **more: Any) -> pb.RunCircuitsSpec:
    text = long(gate) + "bit c; c = measure q[0];"
    return pb.RunCircuitsSpec(circuits=[{"openqasm": text}], shots=1, **more)


def test_no_longer_than_the_request_s_own_limit(there: OtherProcess) -> None:
    there.stops = True
    given = spec("s")
    given.time_limit.FromSeconds(7)
    with pytest.raises(KetgateError, match=r"within 7 s \(spec\.time_limit\)") as caught:
        convert.read_run(given, SERVER_LIMITS, 1)
    assert there.remaining_s <= 7.0
    assert caught.value.reason is Reason.DEADLINE_EXCEEDED
    assert caught.value.field == "spec.time_limit"


def test_no_longer_than_the_caller_waits(there: OtherProcess) -> None:
    there.stops = True
    caller = Caller(deadline_s=time.monotonic() + 5.0)
    given = spec("t")
    given.time_limit.FromSeconds(60)
    with (
        reading.by_caller(caller),
        pytest.raises(KetgateError, match="not read before the deadline") as caught,
    ):
        convert.read_run(given, SERVER_LIMITS, 1)
    assert there.remaining_s <= 5.0
    assert caught.value.reason is Reason.DEADLINE_EXCEEDED


def test_nor_for_a_caller_who_went_away(there: OtherProcess) -> None:
    there.stops = True
    told: list[Any] = []
    caller = Caller(is_cancelled=lambda: bool(told), on_cancel=told.append)
    with reading.by_caller(caller), pytest.raises(KetgateError) as caught:
        convert.read_run(spec("sdg"), SERVER_LIMITS, 1)
    assert caught.value.reason is Reason.CANCELLED
    assert len(told) == 1


def test_a_limit_holds_where_there_is_no_worker() -> None:
    with (
        reading.within(0.0, "within 0 s", field="spec.time_limit"),
        pytest.raises(KetgateError, match="not read within 0 s"),
    ):
        program(HEADER + "h q[0];")


def test_every_spec_with_programs_tells_its_limit(there: OtherProcess) -> None:
    there.stops = True
    execution = algorithm_pb.ExecutionOptions(time_limit={"seconds": 4})
    vqe = algorithm_pb.VqeSpec(
        hamiltonian={"terms": [{"coefficient": 1.0, "paulis": "Z"}]},
        circuit={"openqasm": long("h")},
        execution=execution,
    )
    phase = algorithm_pb.PhaseEstimationSpec(
        unitary={"openqasm": long("sx")}, precision_bits=2, execution=execution
    )
    cases: list[tuple[Any, Any]] = [(read_vqe, vqe), (read_phase_estimation, phase)]
    for read_spec, given in cases:
        with pytest.raises(KetgateError, match=r"within 4 s \(spec\.execution\.time_limit\)"):
            read_spec(given, SERVER_LIMITS, 1)
        assert there.remaining_s <= 4.0
