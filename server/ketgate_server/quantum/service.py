"""QuantumService: messages in, messages out. The work is done by the gateway."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from ketgate.quantum.v1 import backend_pb2
from ketgate.quantum.v1 import quantum_service_pb2 as pb

from ketgate_server.arrays import current
from ketgate_server.artifacts.convert_tensors import refer
from ketgate_server.errors import FieldError, NotFound
from ketgate_server.limits import Limit
from ketgate_server.quantum import convert, convert_backend, convert_result, filters, reading
from ketgate_server.quantum.catalogue import Entry
from ketgate_server.quantum.compiler import Compiler
from ketgate_server.quantum.convert_transpile import read_transpilation, write_transpiled
from ketgate_server.quantum.estimate import Estimate
from ketgate_server.quantum.evidence import Evidence
from ketgate_server.quantum.gateway import Gateway
from ketgate_server.quantum.routing import what_there_is
from ketgate_server.quantum.task import RunTask
from ketgate_server.quantum.work import Caller, Work
from ketgate_server.rpc.call import Call, Method

NAME = "ketgate.quantum.v1.QuantumService"
ROLE = "quantum.user"
PAGE_SIZE_MAX = 200
TOKEN_PREFIX = "after:"  # noqa: S105


def methods(gateway: Gateway, compiler: Compiler, limits: Mapping[str, Limit]) -> dict[str, Method]:
    servicer = QuantumServicer(gateway, compiler, limits)
    return {
        "ListBackends": Method(pb.ListBackendsRequest, ROLE, unary=servicer.list_backends),
        "GetBackend": Method(pb.GetBackendRequest, ROLE, unary=servicer.get_backend),
        "RunCircuits": Method(pb.RunCircuitsRequest, ROLE, unary=servicer.run_circuits),
        "RunCircuitsStream": Method(
            pb.RunCircuitsStreamRequest, ROLE, stream=servicer.run_circuits_stream
        ),
        "EstimateObservables": Method(
            pb.EstimateObservablesRequest, ROLE, unary=servicer.estimate_observables
        ),
        "TranspileCircuit": Method(
            pb.TranspileCircuitRequest, ROLE, unary=servicer.transpile_circuit
        ),
        "EstimateRun": Method(pb.EstimateRunRequest, ROLE, unary=servicer.estimate_run),
    }


class QuantumServicer:
    """Parse, call the gateway, build the answer."""

    def __init__(self, gateway: Gateway, compiler: Compiler, limits: Mapping[str, Limit]) -> None:
        self._gateway = gateway
        self._compiler = compiler
        self._limits = limits

    def list_backends(
        self,
        call: Call,  # noqa: ARG002
        request: pb.ListBackendsRequest,
    ) -> pb.ListBackendsResponse:
        self._gateway.used()
        terms = filters.parse(request.filter)
        after, size = _read_page(request)
        found = []
        for entry in self._gateway.catalogue.entries():
            if entry.name <= after:
                continue
            description = entry.describe()
            if all(term.holds(description) for term in terms):
                found.append((entry, description))
                if len(found) > size:
                    break
        more = found[size - 1][0].name if len(found) > size else ""
        return pb.ListBackendsResponse(
            backends=[
                convert_backend.write_backend(description, _retry_time_us(entry))
                for entry, description in found[:size]
            ],
            next_page_token=f"{TOKEN_PREFIX}{more}" if more else "",
        )

    def get_backend(
        self,
        call: Call,  # noqa: ARG002
        request: pb.GetBackendRequest,
    ) -> pb.GetBackendResponse:
        entry = self._gateway.catalogue.get(request.name)
        if entry is None:
            hint = what_there_is(request.name, self._gateway.catalogue)
            raise NotFound(request.name, hint=hint)
        written = convert_backend.write_backend(entry.describe(), _retry_time_us(entry), whole=True)
        return pb.GetBackendResponse(backend=written)

    def run_circuits(self, call: Call, request: pb.RunCircuitsRequest) -> pb.RunCircuitsResponse:
        work, checking_s = self._read_run(call, request)
        if request.validate_only:
            estimate, _ = self._gateway.estimate(work, _caller(call))
            return pb.RunCircuitsResponse(estimate=write_estimate(work, estimate))
        outcomes, evidence = self._gateway.run(work, _caller(call))
        result = pb.RunCircuitsResult(
            circuits=[
                convert_result.write_circuit_result(index, circuit, outcome, work.options.shots)
                for index, (circuit, outcome) in enumerate(zip(work.bound, outcomes, strict=True))
            ],
            evidence=_evidence(call, request.spec, evidence, checking_s),
        )
        self._refer(result)
        return pb.RunCircuitsResponse(result=result)

    def run_circuits_stream(
        self, call: Call, request: pb.RunCircuitsStreamRequest
    ) -> Iterator[pb.RunCircuitsStreamResponse]:
        work, checking_s = self._read_run(call, request)
        for index, event in enumerate(self._gateway.stream(work, _caller(call))):
            if isinstance(event, Evidence):
                evidence = _evidence(call, request.spec, event, checking_s)
                yield pb.RunCircuitsStreamResponse(evidence=evidence)
            else:
                circuit = work.bound[index]
                written = convert_result.write_circuit_result(
                    index, circuit, event, work.options.shots
                )
                self._refer(written)
                yield pb.RunCircuitsStreamResponse(circuit=written)

    def estimate_observables(
        self, call: Call, request: pb.EstimateObservablesRequest
    ) -> pb.EstimateObservablesResponse:
        work, checking_s = self._read_estimation(call, request)
        if request.validate_only:
            estimate, _ = self._gateway.estimate(work, _caller(call))
            return pb.EstimateObservablesResponse(estimate=write_estimate(work, estimate))
        outcomes, evidence = self._gateway.expectations(work, _caller(call))
        result = pb.EstimateObservablesResult(
            expectations=convert_result.write_expectations(work, outcomes),
            evidence=_evidence(call, request.spec, evidence, checking_s),
        )
        return pb.EstimateObservablesResponse(result=result)

    def transpile_circuit(
        self, call: Call, request: pb.TranspileCircuitRequest
    ) -> pb.TranspileCircuitResponse:
        with reading.by_caller(_caller(call)):
            asked = read_transpilation(request, self._limits, self._gateway.catalogue)
        deadline_s = time.monotonic() + call.remaining_s()
        task = RunTask(deadline_s, lambda: call.cancelled, call.on_cancel)
        compiled = self._compiler.compile(
            asked.circuits, asked.target, asked.level, asked.seed, task
        )
        return pb.TranspileCircuitResponse(circuits=write_transpiled(asked, compiled))

    def estimate_run(self, call: Call, request: pb.EstimateRunRequest) -> pb.EstimateRunResponse:
        """Of a job too: QPUs that the spec names are among the answers."""
        with reading.by_caller(_caller(call)):
            work = self._read_work(request)
        estimate, others = self._gateway.estimate(work, _caller(call), durable=True)
        return pb.EstimateRunResponse(
            estimate=write_estimate(work, estimate),
            alternatives=[convert_backend.write_estimate(other) for other in others],
        )

    def _read_work(self, request: pb.EstimateRunRequest) -> Work:
        limits, threads = self._limits, self._gateway.threads
        match request.WhichOneof("work"):
            case "run_circuits":
                return convert.read_run(request.run_circuits, limits, threads, "run_circuits")
            case "estimate_observables":
                given = request.estimate_observables
                return convert.read_estimation(given, limits, threads, "estimate_observables")
            case _:
                raise FieldError(
                    "work", expected="run_circuits or estimate_observables", given="neither"
                )

    def _read_run(
        self, call: Call, request: pb.RunCircuitsRequest | pb.RunCircuitsStreamRequest
    ) -> tuple[Work, float]:
        """The work, and how long reading it took, in seconds."""
        started_s = time.monotonic()
        if not request.HasField("spec"):
            raise FieldError("spec", expected="what to run", given="nothing")
        with reading.by_caller(_caller(call)):
            work = convert.read_run(request.spec, self._limits, self._gateway.threads)
        return work, time.monotonic() - started_s

    def _read_estimation(
        self, call: Call, request: pb.EstimateObservablesRequest
    ) -> tuple[Work, float]:
        started_s = time.monotonic()
        if not request.HasField("spec"):
            raise FieldError("spec", expected="what to estimate", given="nothing")
        with reading.by_caller(_caller(call)):
            work = convert.read_estimation(request.spec, self._limits, self._gateway.threads)
        return work, time.monotonic() - started_s

    def _refer(self, written: pb.RunCircuitsResult | pb.CircuitResult) -> None:
        """Large arrays become artifacts."""
        refer(written, self._limits["artifacts.inline_bytes_max"].value, current().keep)


def write_estimate(work: Work, estimate: Estimate) -> backend_pb2.RunEstimate:
    return convert_backend.write_estimate(
        estimate, [convert_result.write_resources(c, c.label) for c in work.bound]
    )


def _evidence(
    call: Call,
    spec: pb.RunCircuitsSpec | pb.EstimateObservablesSpec,
    evidence: Evidence,
    checking_s: float,
) -> pb.RunEvidence:
    return convert_result.write_evidence(
        evidence,
        digest=convert.digest(spec),
        checking_s=checking_s,
        total_s=time.monotonic() - call.arrival_s,
    )


def _caller(call: Call) -> Caller:
    return Caller(
        tenant=call.identity.tenant,
        arrival_s=call.arrival_s,
        deadline_s=time.monotonic() + call.remaining_s(),
        is_cancelled=lambda: call.cancelled,
        on_cancel=call.on_cancel,
    )


def _retry_time_us(entry: Entry) -> int | None:
    """When a resting back end is tried again."""
    rest = entry.breaker.rest
    return None if rest is None else time.time_ns() // 1000 + round(rest.remaining_s * 1e6)


def _read_page(request: pb.ListBackendsRequest) -> tuple[str, int]:
    """(name of the last back end of the page before, size)."""
    if request.page_size < 0:
        raise FieldError("page_size", expected="0 or more", given=request.page_size)
    token = request.page_token
    if token and not token.startswith(TOKEN_PREFIX):
        raise FieldError("page_token", expected="a token from the response before", given=token)
    size = min(request.page_size or PAGE_SIZE_MAX, PAGE_SIZE_MAX)
    return token.removeprefix(TOKEN_PREFIX), size
