"""Every refusal becomes the exception that says what, where and what to do; some are tried again."""

import asyncio
import re
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import ketgate
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from ketgate._connect import Endpoint
from ketgate._errors import REMEDIES
from ketgate._retry import Attempts, Retry
from ketgate._status import _BY_REASON, from_status
from ketgate._transport import explain
from ketgate.optimization.v1 import optimization_service_pb2 as service_pb2
from ketgate.optimization.v1 import result_pb2
from ketgate.server.v1 import server_service_pb2
from ketgate.type.v1 import error_pb2, tensor_pb2

from .fake_server import FakeServer, answering, failing

Code = grpc.StatusCode
INFO = server_service_pb2.GetServerInfoResponse(version="1.2.3")
QUICK = Retry(attempts_max=3, delay_s_initial=0.001)


def incumbent(objective: float) -> service_pb2.SolveStreamResponse:
    values = tensor_pb2.Tensor(dtype=tensor_pb2.DATA_TYPE_UINT8, shape=[1], data=b"\1")
    solution = result_pb2.Solution(values=values, objective=objective, occurrences=1, solver="tabu")
    return service_pb2.SolveStreamResponse(
        incumbent={"solution": solution, "solver": "tabu", "work": 3}
    )


RESULT = service_pb2.SolveStreamResponse(
    result=result_pb2.SolveResult(status=result_pb2.SOLVE_STATUS_OPTIMAL, objective=-1.0)
)

CASES = [
    (Code.INVALID_ARGUMENT, "FIELD_INVALID", ketgate.InvalidArgument),
    (Code.INVALID_ARGUMENT, "MALFORMED_MESSAGE", ketgate.InvalidArgument),
    (Code.RESOURCE_EXHAUSTED, "LIMIT_EXCEEDED", ketgate.LimitExceeded),
    (Code.RESOURCE_EXHAUSTED, "SERVER_BUSY", ketgate.ServerBusy),
    (Code.UNAUTHENTICATED, "TOKEN_MISSING", ketgate.Unauthenticated),
    (Code.UNAUTHENTICATED, "TOKEN_INVALID", ketgate.Unauthenticated),
    (Code.UNAUTHENTICATED, "TLS_REQUIRED", ketgate.Unauthenticated),
    (Code.PERMISSION_DENIED, "ROLE_MISSING", ketgate.PermissionDenied),
    (Code.FAILED_PRECONDITION, "PART_NOT_INSTALLED", ketgate.PartNotInstalled),
    (Code.FAILED_PRECONDITION, "SOLVER_UNSUITABLE", ketgate.SolverUnsuitable),
    (Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", ketgate.DeadlineExceeded),
    (Code.CANCELLED, "CANCELLED", ketgate.Cancelled),
    (Code.UNAVAILABLE, "DRAINING", ketgate.Unavailable),
    (Code.UNIMPLEMENTED, "METHOD_UNKNOWN", ketgate.KetgateError),
    (Code.INTERNAL, "INTERNAL", ketgate.InternalError),
    (Code.ALREADY_EXISTS, "REQUEST_ID_REUSED", ketgate.AlreadyExists),
    (Code.FAILED_PRECONDITION, "REPLY_EXPIRED", ketgate.FailedPrecondition),
    (Code.NOT_FOUND, "RESOURCE_NOT_FOUND", ketgate.NotFound),
    (Code.OUT_OF_RANGE, "REVISION_COMPACTED", ketgate.OutOfRange),
    (Code.ABORTED, "WATCH_TOO_SLOW", ketgate.Aborted),
    (Code.FAILED_PRECONDITION, "JOB_UNFINISHED", ketgate.FailedPrecondition),
    (Code.ABORTED, "ETAG_MISMATCH", ketgate.Aborted),
    (Code.UNAVAILABLE, "STORE_UNAVAILABLE", ketgate.Unavailable),
    (Code.OUT_OF_RANGE, "OFFSET_MISMATCH", ketgate.OutOfRange),
    (Code.DATA_LOSS, "DIGEST_MISMATCH", ketgate.DataLoss),
    (Code.FAILED_PRECONDITION, "ARTIFACT_IN_USE", ketgate.FailedPrecondition),
    (Code.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED", ketgate.QuotaExceeded),
    # Those that grpc itself makes carry no reason.
    (Code.RESOURCE_EXHAUSTED, "", ketgate.LimitExceeded),
    (Code.UNAVAILABLE, "", ketgate.Unavailable),
    (Code.DATA_LOSS, "", ketgate.KetgateError),
    (Code.FAILED_PRECONDITION, "A_REASON_OF_LATER", ketgate.KetgateError),
]


def test_a_closed_client_says_so(fake: FakeServer) -> None:
    client = ketgate.connect(fake.address, insecure=True)
    client.close()
    for call in (client.info, lambda: client.optimize.qubo([[1.0]])):
        with pytest.raises(ketgate.KetgateError, match="this client is closed") as caught:
            call()
        assert caught.value.reason == "CLIENT_CLOSED"

    async def closed() -> None:
        client = ketgate.aio.connect(fake.address, insecure=True)
        await client.close()
        with pytest.raises(ketgate.KetgateError, match="this client is closed"):
            await client.info()

    asyncio.run(closed())
    assert not fake.calls


@pytest.mark.parametrize(
    ("resource", "remedy"),
    [
        ("keys/desk", "`ketgate key list`"),
        ("keys/desk/versions/3", "`ketgate key show ID`"),
        ("keyChanges/x", "`ketgate key changes`"),
        ("jobs/x", "`ketgate jobs list`"),
        ("artifacts/x", "`ketgate artifacts list`"),
        ("things/x", "a list shows"),
        ("", "a list shows"),
    ],
)
def test_what_is_not_there_is_looked_for_in_its_list(
    fake: FakeServer, client: ketgate.Client, resource: str, remedy: str
) -> None:
    """Of a key it was said that retention may have removed it."""
    fake.behave(failing(Code.NOT_FOUND, "RESOURCE_NOT_FOUND", metadata={"resource": resource}))
    with pytest.raises(ketgate.NotFound) as caught:
        client.info()
    assert remedy in caught.value.remedy
    assert ("etention" in caught.value.remedy) is (resource in ("jobs/x", "things/x", ""))


@pytest.mark.parametrize(("code", "reason", "kind"), CASES)
def test_each_refusal_has_its_exception(
    fake: FakeServer,
    client: ketgate.Client,
    code: Code,
    reason: str,
    kind: type[ketgate.KetgateError],
) -> None:
    fake.behave(failing(code, reason))
    with pytest.raises(kind) as caught:
        client.info()
    error = caught.value
    assert error.code == code.name
    assert "it went wrong" in error.message
    if reason:
        assert error.reason == reason
        assert error.request_id == "r-1"
        assert "r-1" in str(error)
    if reason in REMEDIES:
        assert error.remedy == REMEDIES[reason]
        # "Change that field" follows from the message itself, and is not printed.
        assert (error.remedy in str(error)) is (reason != "FIELD_INVALID")


def test_every_reason_of_the_contract_is_known() -> None:
    reasons = {name.removeprefix("ERROR_REASON_") for name, _ in error_pb2.ErrorReason.items()} - {
        "UNSPECIFIED"
    }
    assert reasons <= set(REMEDIES)
    assert reasons - {"METHOD_UNKNOWN", "SERVICE_UNKNOWN"} <= set(_BY_REASON)


def test_the_status_of_a_failed_job_is_the_same_exception() -> None:
    packed = any_pb2.Any()
    packed.Pack(error_details_pb2.ErrorInfo(reason="WORKER_LOST", domain="ketgate.dev"))
    status = status_pb2.Status(
        code=Code.ABORTED.value[0], message="its workers died", details=[packed]
    )
    error = from_status(status)
    assert type(error) is ketgate.Aborted
    assert (error.code, error.reason, error.message) == (
        "ABORTED",
        "WORKER_LOST",
        "its workers died",
    )
    assert error.remedy == REMEDIES["WORKER_LOST"]
    plain = from_status(status_pb2.Status(code=99))
    assert (type(plain), plain.code) == (ketgate.KetgateError, "UNKNOWN")


def test_details_are_told(fake: FakeServer, client: ketgate.Client) -> None:
    text = "spec.qubo: expected a number, given nan; look twice"
    fake.behave(
        failing(Code.INVALID_ARGUMENT, "FIELD_INVALID", text, fields=("spec.qubo", "spec.seed"))
    )
    with pytest.raises(ketgate.InvalidArgument) as invalid:
        client.info()
    assert isinstance(invalid.value, ValueError)
    assert invalid.value.field == "spec.qubo"
    assert (invalid.value.expected, invalid.value.given) == ("a number", "nan")
    assert [field for field, _ in invalid.value.violations] == ["spec.qubo", "spec.seed"]
    fake.behave(failing(Code.RESOURCE_EXHAUSTED, "LIMIT_EXCEEDED", limit="rpc.message_bytes_max"))
    with pytest.raises(ketgate.LimitExceeded) as limit:
        client.info()
    assert limit.value.limit == "rpc.message_bytes_max"
    fake.behave(failing(Code.RESOURCE_EXHAUSTED, "SERVER_BUSY", retry_after_s=1.5))
    with pytest.raises(ketgate.ServerBusy) as busy:
        client.info()
    assert busy.value.retry_after_s == 1.5
    fake.behave(failing(Code.FAILED_PRECONDITION, "PART_NOT_INSTALLED", metadata={"part": "highs"}))
    with pytest.raises(ketgate.PartNotInstalled) as part:
        client.info()
    assert part.value.part == "highs"


def test_details_that_are_no_status_do_no_harm(fake: FakeServer, client: ketgate.Client) -> None:
    def garbled(_: bytes, context: Any) -> Iterator[Any]:
        context.set_trailing_metadata((("grpc-status-details-bin", b"\xff\xff\xff"),))
        yield context.abort(Code.INTERNAL, "odd")

    fake.behave(garbled)
    with pytest.raises(ketgate.InternalError, match="odd"):
        client.info()


def test_calls_carry_token_request_id_and_deadline(
    fake: FakeServer, client: ketgate.Client
) -> None:
    fake.behave(answering(INFO))
    assert client.info().version == "1.2.3"
    _, metadata, remaining = fake.calls[0]
    assert metadata["authorization"] == "Bearer kg_secret"
    assert len(metadata["x-request-id"]) == 32
    assert remaining is not None
    assert 5 < remaining <= 11  # the server's clock starts a little later than the client's
    fake.behave(answering(RESULT))
    client.optimize.qubo([[-1.0]], time_limit=20)
    assert fake.calls[0][2] == pytest.approx(30, abs=5)  # its limit and the grace


def test_busy_is_tried_again_as_often_as_told(fake: FakeServer) -> None:
    busy = failing(Code.RESOURCE_EXHAUSTED, "SERVER_BUSY", retry_after_s=0.001)
    with ketgate.connect(fake.address, insecure=True, retry=QUICK) as client:
        fake.behave(busy, failing(Code.UNAVAILABLE, "DRAINING"), answering(INFO))
        assert client.info().version == "1.2.3"
        assert len(fake.calls) == 3
        assert len({metadata["x-request-id"] for _, metadata, _ in fake.calls}) == 3
        fake.behave(busy)
        with pytest.raises(ketgate.ServerBusy):
            client.info()
        assert len(fake.calls) == 3
        fake.behave(failing(Code.INVALID_ARGUMENT, "FIELD_INVALID"))
        with pytest.raises(ketgate.InvalidArgument):
            client.info()
        assert len(fake.calls) == 1
        fake.behave(busy, answering(incumbent(-1.0), RESULT))
        assert client.optimize.qubo([[-1.0]]).proven
        assert len(fake.calls) == 2


def test_attempts_end_with_the_drain_that_was_told_of() -> None:
    gone = ketgate.Unavailable("the server cannot be reached")
    drain = ketgate.Unavailable("the server is stopping", reason="DRAINING", request_id="r-1")
    attempts = Attempts(QUICK)
    attempts.after(drain)
    attempts.after(gone)
    with pytest.raises(ketgate.Unavailable, match="stopping, and it has not come back") as caught:
        attempts.after(gone)
    assert (caught.value.reason, caught.value.request_id) == ("DRAINING", "r-1")
    with pytest.raises(ketgate.Unavailable, match=r"^the server cannot") as plain:
        Attempts(Retry(1)).after(gone)
    assert plain.value is gone


def test_what_has_brought_something_is_not_tried_again() -> None:
    cut = ketgate.Unavailable("the connection was closed")
    cut.best = object()
    with pytest.raises(ketgate.Unavailable):
        Attempts(QUICK).after(cut)


VERIFY = (
    "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: Tls handshake "
    "failed (TSI_PROTOCOL_FAILURE): SSL_ERROR_SSL: error:1000007d:SSL "
    "routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED: self signed certificate: OK"
)
VERSION = VERIFY.replace("CERTIFICATE_VERIFY_FAILED: self signed", "WRONG_VERSION_NUMBER: Invalid")


@pytest.mark.parametrize(
    ("message", "told", "passes"),
    [
        (VERIFY, r"not trusted by ca_file mine\.pem \(self signed certificate\)", False),
        (VERSION, "does not speak TLS", False),
        ("x: Hostname Verification Check failed.", "is for another name", False),
        ("Handshake failed: deadline", "no secure connection", True),
        ("last error: Socket closed", "was closed", True),
        ("Connection refused", "cannot be reached", True),
    ],
)
def test_failures_of_the_connection_are_told_apart(message: str, told: str, passes: bool) -> None:
    failure = explain(message, Endpoint("here:1", b"PEM", ca_file="mine.pem"))
    assert re.search(told, failure.message)
    assert "here:1" in failure.message
    assert failure.passes is passes
    assert failure.remedy
    error = ketgate.Unavailable(failure.message)
    error.passes = failure.passes
    assert (QUICK.delay_s(error, 1, 0.0) is not None) is passes


def test_waits_grow_and_heed_the_server() -> None:
    retry = Retry(attempts_max=4, delay_s_initial=0.1, delay_s_max=0.3, total_s_max=5)
    busy = ketgate.ServerBusy("busy")
    first, third = retry.delay_s(busy, 1, 0.0), retry.delay_s(busy, 3, 0.0)
    assert first is not None
    assert third is not None
    assert 0.05 <= first <= 0.1
    assert 0.15 <= third <= 0.3
    assert retry.delay_s(busy, 4, 0.0) is None
    assert retry.delay_s(busy, 1, 4.99) is None
    busy.retry_after_s = 2.0
    assert retry.delay_s(busy, 1, 0.0) == 2.0
    assert retry.delay_s(ketgate.InternalError("no"), 1, 0.0) is None
    with pytest.raises(ValueError, match="attempts_max"):
        Retry(attempts_max=0)


def test_a_server_that_is_not_there(fake: FakeServer) -> None:
    fake.stop()
    with (
        ketgate.connect(fake.address, insecure=True, retry=Retry(1)) as client,
        pytest.raises(
            ketgate.Unavailable, match=f"the server at {fake.address} cannot be reached"
        ) as caught,
    ):
        client.info()
    assert "ketgate serve" in caught.value.remedy


def test_a_stream_cut_by_its_deadline_gives_the_best_so_far(
    fake: FakeServer, client: ketgate.Client
) -> None:
    fake.behave(
        failing(
            Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", before=(incumbent(-1.0), incumbent(-2.0))
        )
    )
    result = client.optimize.qubo([[-2.0]])
    assert (result.status, result.stop_reason) == (
        ketgate.Status.FEASIBLE,
        ketgate.StopReason.DEADLINE,
    )
    assert result.objective == -2.0
    assert result.array.tolist() == [1]
    assert result.warnings
    assert [i.objective for i in result.incumbents] == [-1.0, -2.0]


def test_a_stream_cut_by_a_fault_gives_its_best_with_the_exception(fake: FakeServer) -> None:
    with ketgate.connect(fake.address, insecure=True, retry=QUICK) as client:
        fake.behave(failing(Code.UNAVAILABLE, "", before=(incumbent(-1.0),)))
        with pytest.raises(ketgate.Unavailable) as caught:
            client.optimize.qubo([[-2.0]])
        assert len(fake.calls) == 1, "what had come must not be thrown away by trying again"
    assert caught.value.best.objective == -1.0
    assert caught.value.best.by_name == {0: 1}


def test_a_stream_without_a_result_is_a_fault_of_the_server(
    fake: FakeServer, client: ketgate.Client
) -> None:
    fake.behave(answering(incumbent(-1.0)))
    with pytest.raises(ketgate.InternalError, match="without a result"):
        client.optimize.qubo([[-2.0]])


def test_progress_function_sees_events_and_can_end_the_solve(
    fake: FakeServer, client: ketgate.Client
) -> None:
    ended = threading.Event()

    def endless(_: bytes, context: Any) -> Iterator[Any]:
        context.add_callback(ended.set)
        for step in range(1000):
            yield incumbent(-float(step))
        ended.wait(30)

    fake.behave(endless)
    seen: list[ketgate.ProgressEvent] = []

    def watch(event: ketgate.ProgressEvent) -> bool:
        seen.append(event)
        return len(seen) < 3

    result = client.optimize.qubo([[-2.0]], progress=watch)
    assert [event.objective for event in seen] == [0.0, -1.0, -2.0]
    assert result.stop_reason is ketgate.StopReason.CANCELLED
    assert result.objective == -2.0
    assert ended.wait(30), "the call was not cancelled"


def test_an_error_in_the_progress_function_ends_the_call(
    fake: FakeServer, client: ketgate.Client
) -> None:
    def broken(_: ketgate.ProgressEvent) -> None:
        raise ZeroDivisionError

    fake.behave(answering(incumbent(-1.0), RESULT))
    with pytest.raises(ZeroDivisionError):
        client.optimize.qubo([[-2.0]], progress=broken)


def test_the_asynchronous_client_fails_alike(fake: FakeServer) -> None:
    async def run() -> None:
        async with ketgate.aio.connect(
            fake.address, insecure=True, token="kg_secret", retry=QUICK
        ) as client:
            fake.behave(failing(Code.PERMISSION_DENIED, "ROLE_MISSING"))
            with pytest.raises(ketgate.PermissionDenied):
                await client.info()
            fake.behave(failing(Code.RESOURCE_EXHAUSTED, "SERVER_BUSY"), answering(INFO))
            assert (await client.info()).version == "1.2.3"
            assert fake.calls[0][1]["authorization"] == "Bearer kg_secret"
            fake.behave(
                failing(Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", before=(incumbent(-1.0),))
            )
            result = await client.optimize.qubo([[-2.0]])
            assert result.stop_reason is ketgate.StopReason.DEADLINE
            fake.behave(failing(Code.INTERNAL, "INTERNAL", before=(incumbent(-1.0),)))
            with pytest.raises(ketgate.InternalError) as caught:
                await client.optimize.qubo([[-2.0]])
            assert caught.value.best.objective == -1.0
            fake.behave(answering(incumbent(-1.0), incumbent(-2.0), RESULT))
            result = await client.optimize.qubo(
                [[-2.0]], progress=lambda event: event.objective > -2
            )
            assert result.stop_reason is ketgate.StopReason.CANCELLED
            events = [event async for event in client.optimize.stream(ketgate.specs.qubo([[-2.0]]))]
            assert isinstance(events[-1], ketgate.Result)
            assert len(events) == 3

    asyncio.run(run())
