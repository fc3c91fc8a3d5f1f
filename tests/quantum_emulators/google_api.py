"""Google's Quantum Engine service over gRPC on loopback, as far as cirq-google asks it to run
programs. One processor, from the specification and calibration that the SDK ships; programs run on
Cirq's simulator. A job moves one state further each time it is asked after.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

from .http_service import Faults

PROCESSOR = "rainbow"
SERVICE = "google.cloud.quantum.v1alpha1.QuantumEngineService"
STATES = ["READY", "RUNNING", "SUCCESS"]
CODES = {
    "throttled": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "expired": grpc.StatusCode.UNAUTHENTICATED,
    "forbidden": grpc.StatusCode.PERMISSION_DENIED,
    "invalid": grpc.StatusCode.INVALID_ARGUMENT,
    "internal": grpc.StatusCode.INTERNAL,
    "unavailable": grpc.StatusCode.UNAVAILABLE,
}


@dataclass
class Job:
    """One job of a program."""

    message: Any
    state: int = 0
    ended: str = ""
    """CANCELLED or FAILURE."""

    @property
    def status(self) -> str:
        return self.ended or STATES[self.state]


@dataclass
class GoogleApi(grpc.GenericRpcHandler):  # type: ignore[misc]
    """The service. "lost": it is done, and the answer is UNAVAILABLE."""

    faults: Faults = field(default_factory=Faults)
    programs: dict[str, Any] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    health: str = "OK"
    never_ends: bool = False
    fails: str = ""
    """Why jobs fail instead of running."""

    def service(self, handler_call_details: Any) -> Any:
        from cirq_google.cloud import quantum

        method = handler_call_details.method.rpartition("/")[2]
        request_type = getattr(quantum, f"{method}Request")

        def act(data: bytes, context: grpc.ServicerContext) -> bytes:
            fault = self.faults.next(method)
            if fault in CODES:
                context.abort(CODES[fault], f"told to be {fault}")
            answer = getattr(self, method)(request_type.deserialize(data), context)
            if fault == "lost":
                context.abort(grpc.StatusCode.UNAVAILABLE, "the connection was lost")
            return bytes(type(answer).serialize(answer)) if answer is not None else b""

        return grpc.unary_unary_rpc_method_handler(act)

    def ListQuantumProcessors(self, request: Any, context: Any) -> Any:  # noqa: N802
        from cirq_google.cloud import quantum

        told = self.GetQuantumProcessor(request, context)
        return quantum.ListQuantumProcessorsResponse(processors=[told])

    def GetQuantumProcessor(self, request: Any, context: Any) -> Any:  # noqa: N802
        from cirq_google.cloud import quantum
        from cirq_google.engine.util import pack_any
        from cirq_google.engine.virtual_engine_factory import create_device_spec_from_processor_id

        name = getattr(request, "name", "")
        if name and not name.endswith("/" + PROCESSOR):
            context.abort(grpc.StatusCode.NOT_FOUND, "no such processor")
        specification = create_device_spec_from_processor_id(PROCESSOR)
        return quantum.QuantumProcessor(
            name=f"projects/ours/processors/{PROCESSOR}",
            health=quantum.QuantumProcessor.Health[self.health],
            device_spec=pack_any(specification),
        )

    def GetQuantumCalibration(self, request: Any, context: Any) -> Any:  # noqa: N802
        import cirq_google
        from cirq_google.cloud import quantum
        from cirq_google.engine.util import pack_any

        told = cirq_google.engine.load_median_device_calibration(PROCESSOR)
        return quantum.QuantumCalibration(name=request.name, data=pack_any(told.to_proto()))

    def CreateQuantumProgram(self, request: Any, context: Any) -> Any:  # noqa: N802
        program = request.quantum_program
        if program.name in self.programs:
            context.abort(grpc.StatusCode.ALREADY_EXISTS, "the program is there")
        self.programs[program.name] = program
        return program

    def GetQuantumProgram(self, request: Any, context: Any) -> Any:  # noqa: N802
        return self.programs[request.name]

    def CreateQuantumJob(self, request: Any, context: Any) -> Any:  # noqa: N802
        job = request.quantum_job
        if job.name in self.jobs:
            context.abort(grpc.StatusCode.ALREADY_EXISTS, "the job is there")
        self.jobs[job.name] = Job(job)
        return job

    def GetQuantumJob(self, request: Any, context: Any) -> Any:  # noqa: N802
        from cirq_google.cloud import quantum

        job = self.jobs.get(request.name)
        if job is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such job")
            raise AssertionError
        status = quantum.ExecutionStatus(state=quantum.ExecutionStatus.State[job.status])
        if job.ended == "FAILURE":
            status.failure = quantum.ExecutionStatus.Failure(error_message=self.fails)
        told = quantum.QuantumJob(name=request.name, execution_status=status)
        if not job.ended and job.state < len(STATES) - (2 if self.never_ends else 1):
            job.state += 1
            if job.status == "SUCCESS" and self.fails:
                job.ended = "FAILURE"
        return told

    def CancelQuantumJob(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.jobs[request.name].ended = "CANCELLED"

    def GetQuantumResult(self, request: Any, context: Any) -> Any:  # noqa: N802
        import cirq
        import cirq_google
        from cirq_google.api import v2
        from cirq_google.cloud import quantum
        from cirq_google.engine.util import pack_any, unpack_any

        program = self.programs[request.parent.rpartition("/jobs/")[0]]
        proto = unpack_any(program.code, v2.program_pb2.Program())
        serializer = cirq_google.CIRCUIT_SERIALIZER
        if len(proto.keyed_circuits):
            circuits = [one[-1] for one in serializer.deserialize_multi_program(proto)]
        else:
            circuits = [serializer.deserialize(proto)]
        wanted = unpack_any(
            self.jobs[request.parent].message.run_context, v2.run_context_pb2.RunContext()
        )
        shots = wanted.parameter_sweeps[0].repetitions
        out = v2.result_pb2.Result()
        for circuit in circuits:
            result = cirq.Simulator(seed=1).run(circuit, repetitions=shots)
            v2.results_to_proto([[result]], v2.find_measurements(circuit), out=out)
        return quantum.QuantumResult(parent=request.parent, result=pack_any(out))


@contextmanager
def serving(service: GoogleApi) -> Iterator[str]:
    """HOST:PORT of a server of it."""
    server = grpc.server(ThreadPoolExecutor(4), handlers=[service])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
