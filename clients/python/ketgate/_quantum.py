"""Circuits on simulators, emulators and QPUs, synchronously: `client.quantum`."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, Unpack, cast

import grpc

from ketgate import _quantum_requests as requests
from ketgate import _wire
from ketgate._evidence import RunEstimate
from ketgate._job_requests import split_options
from ketgate._jobs import Solving
from ketgate._methods import asked, listed
from ketgate._quantum_result import CircuitResult, RunResult
from ketgate._signature import describe_solving
from ketgate._transpiled import TranspiledCircuit
from ketgate._work import Work, program_is_shown

if TYPE_CHECKING:
    from ketgate._client import Client

P = ParamSpec("P")
R = TypeVar("R")


class WorkCalls:
    """Methods that do heavy work, or with durable=True return the job that does."""

    def __init__(self, client: "Client") -> None:
        self._client = client

    def _do(self, work: Work[R]) -> R:
        spec = self._client.artifacts._refer(work.spec)
        request = work.request(spec)
        with program_is_shown(request):
            answer = self._client._call(work.method, request, work.timeout_s)
        self._client.artifacts._fetch(answer.result)
        return work.result(answer.result, work.spec)


def working(build: Callable[P, Work[R]]) -> Solving[P, R]:
    """A method of build's name, signature and description."""

    def method(self: WorkCalls, /, *args: Any, durable: bool = False, **kwargs: Any) -> Any:
        options = split_options(kwargs, durable)
        work = build(*args, **kwargs)
        return self._client.jobs._create(work, options) if durable else self._do(work)

    return cast(Solving[P, R], describe_solving(method, build))


class Quantum(WorkCalls):
    """Circuits on a server's back ends: `client.quantum`.

    `run` and `estimate` return their result; with durable=True a DurableJob, which is the only way
    to a QPU: it holds nothing while it waits in the provider's queue, and survives a crash.
    """

    run = working(requests.run)
    estimate = working(requests.estimate)
    backends = listed(requests.backends)
    backend = asked(requests.backend)

    def stream(
        self, circuits: Any, shots: int = 1024, **options: Any
    ) -> Iterator[CircuitResult | RunResult]:
        """As run; yields the CircuitResult of each circuit as soon as it is there, and the RunResult
        at the end. Leaving the loop ends the run.
        """
        work = requests.run(circuits, shots, **options)
        spec = self._client.artifacts._refer(work.spec)
        streamed = requests.Streamed(work.spec)
        request_id, metadata = _wire.call_metadata(self._client._endpoint)
        request = requests.STREAM.request_type(spec=spec)
        call = requests.STREAM.callable(self._client.channel, stream=True)(
            request, timeout=work.timeout_s, metadata=metadata
        )
        try:
            for event in call:
                self._client.artifacts._fetch(event)
                circuit = streamed.add(event)
                if circuit is not None:
                    yield CircuitResult(circuit)
            yield streamed.result()
        except grpc.RpcError as error:
            with program_is_shown(request):
                raise self._client._failed(error, request_id) from None
        finally:
            call.cancel()

    def transpile(
        self, circuits: Any, **options: Unpack[requests.TranspileOptions]
    ) -> TranspiledCircuit | list[TranspiledCircuit]:
        """Compile circuits to a back end's gates and coupling. Of a list, a list.

        backend: whose gates and coupling count; or else basis_gates (names) and coupling (pairs).
        optimization_level: 0 to 3; default 1. seed: default 0. format: "openqasm3" (default) or
        "openqasm2". parameters: as for `run`.
        """
        request, single = requests.transpile(circuits, options)
        with program_is_shown(request):
            answer = self._client._call(requests.TRANSPILE, request, requests.QUICK_S)
        return requests.transpiled(answer, single)

    def estimate_run(self, circuits: Any, observables: Any = None, **options: Any) -> RunEstimate:
        """Time, memory, shots and cost of what `run` would do, or with observables `estimate`;
        nothing is run. The options are theirs.
        """
        work = (
            requests.run(circuits, **options)
            if observables is None
            else requests.estimate(circuits, observables, **options)
        )
        request = requests.estimate_run(work)
        with program_is_shown(request):
            answer = self._client._call(requests.ESTIMATE_RUN, request, requests.QUICK_S)
        return requests.run_estimate(answer)
