"""Circuits, quantum algorithms and machine learning, asynchronously."""

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, Unpack, cast

import grpc
from numpy.typing import ArrayLike

from ketgate import _algorithm_requests, _learning_requests, _quantum, _variational_requests, _wire
from ketgate import _quantum_requests as requests
from ketgate._evidence import RunEstimate
from ketgate._job_requests import split_options
from ketgate._jobs_aio import Solving
from ketgate._learning_result import Classification
from ketgate._methods_aio import asked, listed
from ketgate._quantum_result import CircuitResult, RunResult
from ketgate._signature import describe_solving, described_as
from ketgate._transpiled import TranspiledCircuit
from ketgate._work import Work, program_is_shown

if TYPE_CHECKING:
    from ketgate.aio import Client

P = ParamSpec("P")
R = TypeVar("R")


class WorkCalls:
    """Methods that do heavy work, or with durable=True return the job that does."""

    def __init__(self, client: "Client") -> None:
        self._client = client

    async def _do(self, work: Work[R]) -> R:
        spec = await self._client.artifacts._refer(work.spec)
        request = work.request(spec)
        with program_is_shown(request):
            answer = await self._client._call(work.method, request, work.timeout_s)
        await self._client.artifacts._fetch(answer.result)
        return work.result(answer.result, work.spec)


def working(build: Callable[P, Work[R]]) -> Solving[P, R]:
    """A method of build's name, signature and description."""

    async def method(self: WorkCalls, /, *args: Any, durable: bool = False, **kwargs: Any) -> Any:
        options = split_options(kwargs, durable)
        work = build(*args, **kwargs)
        return await (self._client.jobs._create(work, options) if durable else self._do(work))

    return cast(Solving[P, R], describe_solving(method, build))


class Quantum(WorkCalls):
    """Circuits on a server's back ends: `client.quantum`, as the synchronous one."""

    run = working(requests.run)
    estimate = working(requests.estimate)
    backends = listed(requests.backends)
    backend = asked(requests.backend)

    @described_as(_quantum.Quantum.stream)
    async def stream(
        self, circuits: Any, shots: int = 1024, **options: Any
    ) -> AsyncIterator[CircuitResult | RunResult]:
        work = requests.run(circuits, shots, **options)
        spec = await self._client.artifacts._refer(work.spec)
        streamed = requests.Streamed(work.spec)
        request_id, metadata = _wire.call_metadata(self._client._endpoint)
        request = requests.STREAM.request_type(spec=spec)
        call = requests.STREAM.callable(self._client.channel, stream=True)(
            request, timeout=work.timeout_s, metadata=metadata
        )
        try:
            async for event in call:
                await self._client.artifacts._fetch(event)
                circuit = streamed.add(event)
                if circuit is not None:
                    yield CircuitResult(circuit)
            yield streamed.result()
        except grpc.RpcError as error:
            with program_is_shown(request):
                raise self._client._failed(error, request_id) from None
        finally:
            call.cancel()

    async def transpile(
        self, circuits: Any, **options: Unpack[requests.TranspileOptions]
    ) -> TranspiledCircuit | list[TranspiledCircuit]:
        """Compile circuits to a back end's gates and coupling. Of a list, a list."""
        request, single = requests.transpile(circuits, options)
        with program_is_shown(request):
            answer = await self._client._call(requests.TRANSPILE, request, requests.QUICK_S)
        return requests.transpiled(answer, single)

    async def estimate_run(
        self, circuits: Any, observables: Any = None, **options: Any
    ) -> RunEstimate:
        """Time, memory, shots and cost of what `run` would do, or with observables `estimate`."""
        work = (
            requests.run(circuits, **options)
            if observables is None
            else requests.estimate(circuits, observables, **options)
        )
        request = requests.estimate_run(work)
        with program_is_shown(request):
            answer = await self._client._call(requests.ESTIMATE_RUN, request, requests.QUICK_S)
        return requests.run_estimate(answer)


class Algorithms(WorkCalls):
    """Quantum algorithms, whole: `client.algorithms`, as the synchronous one."""

    qaoa = working(_variational_requests.qaoa)
    vqe = working(_variational_requests.vqe)
    grover = working(_algorithm_requests.grover)
    fourier_transform = working(_algorithm_requests.fourier_transform)
    phase_estimation = working(_algorithm_requests.phase_estimation)
    amplitude_estimation = working(_algorithm_requests.amplitude_estimation)
    value_at_risk = working(_algorithm_requests.value_at_risk)
    factor = working(_algorithm_requests.factor)


class Learning(WorkCalls):
    """Machine learning with quantum circuits: `client.learning`, as the synchronous one."""

    kernel = working(_learning_requests.kernel)
    train = working(_learning_requests.train)

    async def classify(self, model: Any, samples: ArrayLike) -> Classification:
        """Labels and scores of samples, shape (m, d), by a trained model."""
        request = _learning_requests.classify(model, samples)
        sent = await self._client.artifacts._refer(request)
        answer = await self._client._call(
            _learning_requests.CLASSIFY, sent, _learning_requests.CLASSIFY_S
        )
        await self._client.artifacts._fetch(answer)
        return _learning_requests.classification(request, answer)
