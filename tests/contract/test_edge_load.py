"""Load, cancellation, deadlines and the drain: what a caller and a service see."""

import gc
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from ketgate.server.v1 import server_service_pb2 as pb
from ketgate_server import shutdown
from ketgate_server.errors import FieldError, KetgateError, Reason
from ketgate_server.rpc import health
from ketgate_server.rpc.grpc_call import GrpcCall
from ketgate_server.rpc.server import ARRIVALS_ASKED

TIMEOUT_S = 200.0


def version(answer):
    return pb.GetServerInfoResponse.FromString(answer).version


def test_one_unary_call_too_many_is_refused_at_once(make_puppet, gate, refused):
    puppet = make_puppet(calls_max=3, streams_max=1)
    puppet.unary = gate.unary
    running = [puppet.future() for _ in range(2)]
    gate.wait_entered(2)
    refusal = refused(puppet.call_unary)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "SERVER_BUSY")
    assert refusal.details["RetryInfo"].retry_delay.ToMilliseconds() > 0
    assert refusal.info.metadata["limit"] == "rpc.calls_max"
    gate.open.set()
    assert [version(call.result()) for call in running] == ["done", "done"]
    puppet.call_unary()  # the places are free again


def test_streams_leave_unary_calls_their_threads(make_puppet, gate, refused):
    puppet = make_puppet(calls_max=2, streams_max=1)
    puppet.stream = gate.stream
    stream = puppet.call_stream()
    gate_first = next(stream)
    gate.wait_entered()
    assert version(gate_first) == "first"
    assert refused(puppet.call_stream).info.metadata["limit"] == "rpc.streams_max"
    puppet.call_unary()
    gate.open.set()
    assert version(next(stream)) == "done"
    with pytest.raises(StopIteration):
        next(stream)
    list(puppet.call_stream())


def test_large_requests_share_a_budget(make_puppet, gate, refused):
    puppet = make_puppet(message_bytes_max=200_000, requests_bytes_max=200_000)
    puppet.unary = gate.unary
    large = b"\xa2\x06\xa0\x8d\x06" + bytes(100_000)
    running = puppet.channel.unary_unary("/test.Puppet/Unary").future(
        large, metadata=puppet.metadata, timeout=TIMEOUT_S
    )
    gate.wait_entered()
    assert (
        refused(lambda: puppet.call_unary(large)).info.metadata["limit"] == "rpc.requests_bytes_max"
    )
    gate.open.set()
    running.result()
    puppet.call_unary(large)


def test_a_cancelled_call_reaches_the_service(puppet, gate):
    puppet.unary = gate.unary
    call = puppet.future()
    gate.wait_entered()
    call.cancel()
    assert gate.cancelled.wait(TIMEOUT_S)
    assert puppet.edge.wait_idle(TIMEOUT_S)


def test_a_cancelled_stream_reaches_the_service(puppet, gate):
    puppet.stream = gate.stream
    stream = puppet.call_stream()
    next(stream)
    gate.wait_entered()
    stream.cancel()
    assert gate.cancelled.wait(TIMEOUT_S)
    assert puppet.edge.wait_idle(TIMEOUT_S)


def test_a_passed_deadline_reaches_the_service(puppet, gate):
    puppet.unary = gate.unary
    with pytest.raises(grpc.RpcError) as caught:
        puppet.call_unary(timeout=0.2)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert gate.cancelled.wait(TIMEOUT_S)


def test_the_service_sees_the_time_that_is_left(puppet):
    seen = []

    def unary(call):
        seen.append(call.remaining_s())
        return pb.GetServerInfoResponse()

    puppet.unary = unary
    puppet.call_unary(timeout=20)
    puppet.call_unary(timeout=None)
    assert 0 < seen[0] <= 20
    assert seen[1] == float("inf")


def test_the_normal_end_of_a_call_cancels_nothing(puppet):
    cancelled = []

    def unary(call):
        call.on_cancel(lambda: cancelled.append(call))
        return pb.GetServerInfoResponse()

    puppet.unary = unary
    for _ in range(20):
        puppet.call_unary()
    puppet.server.stop()  # every callback of grpcio has run
    assert cancelled == []


def test_drain_refuses_new_calls_and_lets_running_ones_end(puppet, gate, refused):
    puppet.unary = gate.unary
    running = puppet.future()
    gate.wait_entered()
    puppet.edge.begin_drain()
    refusal = refused(puppet.call_unary)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
    assert refusal.details["RetryInfo"].retry_delay.ToMilliseconds() > 0
    assert not puppet.edge.wait_idle(0.01)
    gate.open.set()
    assert version(running.result()) == "done"
    assert puppet.edge.wait_idle(TIMEOUT_S)


def test_calls_told_to_stop_answer_with_the_best_so_far(puppet, gate):
    puppet.unary = gate.unary
    running = puppet.future()
    gate.wait_entered()
    puppet.edge.begin_drain()
    puppet.edge.cancel_calls()
    assert version(running.result()) == "best so far"
    assert puppet.edge.wait_idle(TIMEOUT_S)


def test_a_call_stopped_with_nothing_to_return_is_told_of_the_drain(puppet, gate, refused):
    def unary(call):
        gate.unary(call)
        raise KetgateError(Reason.CANCELLED, "cancelled while waiting for a free slot")

    puppet.unary = unary
    running = puppet.future()
    gate.wait_entered()
    puppet.edge.begin_drain()
    puppet.edge.cancel_calls()
    refusal = refused(running.result)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
    assert refusal.details["RetryInfo"].retry_delay.ToMilliseconds() > 0


def test_a_full_server_that_drains_says_so(make_puppet, gate, refused):
    puppet = make_puppet(calls_max=2, streams_max=1)
    puppet.unary = gate.unary
    running = puppet.future()
    gate.wait_entered()
    assert refused(puppet.call_unary).reason == "SERVER_BUSY"
    puppet.edge.begin_drain()
    assert refused(puppet.call_unary).reason == "DRAINING"
    gate.open.set()
    running.result()


def test_an_idle_server_says_for_a_moment_that_it_stops(puppet, refused, monkeypatch):
    monkeypatch.setattr(shutdown, "NOTICE_S", TIMEOUT_S)
    stop = shutdown.StopRequest()
    with ThreadPoolExecutor(1) as threads:
        vital = health.Health(())
        ended = threads.submit(shutdown.drain, puppet.edge, vital, 2 * TIMEOUT_S, stop)
        try:
            while puppet.metrics.registry.get_sample_value("ketgate_draining") != 1:
                pass
            assert refused(puppet.call_unary).reason == "DRAINING"
            assert not ended.done()
        finally:
            stop.insisted.set()
        assert ended.result(TIMEOUT_S) is True


def test_on_cancel_after_the_cancel_runs_at_once(puppet, gate):
    late = []

    def unary(call):
        answer = gate.unary(call)
        call.on_cancel(lambda: late.append("told"))
        return answer

    puppet.unary = unary
    running = puppet.future()
    gate.wait_entered()
    puppet.edge.cancel_calls()
    running.result()
    assert late == ["told"]


def test_a_call_that_sends_nothing_is_broken_off(puppet, gate, monkeypatch):
    monkeypatch.setattr("ketgate_server.rpc.edge.MESSAGE_TIMEOUT_S", 0.0)
    silent = iter(lambda: gate.open.wait(TIMEOUT_S), True)  # no request, and no end of them
    call = puppet.channel.stream_unary("/test.Puppet/Unary").future(
        silent, metadata=puppet.metadata
    )
    end_s = time.monotonic() + TIMEOUT_S
    while not call.done() and time.monotonic() < end_s:
        puppet.edge.break_off_silent_calls()
    assert call.code() is grpc.StatusCode.CANCELLED
    assert puppet.edge.wait_idle(TIMEOUT_S)


def test_trailers_and_request_ids(puppet):
    def unary(call):
        call.set_trailer("x-own", "1")
        return pb.GetServerInfoResponse()

    puppet.unary = unary
    call = puppet.channel.unary_unary("/test.Puppet/Unary")
    _, made = call.with_call(b"", metadata=puppet.metadata)
    trailers = dict(made.trailing_metadata())
    assert trailers["x-own"] == "1"
    assert trailers["x-ketgate-version"]
    assert len(trailers["x-request-id"]) == 16
    _, given = call.with_call(b"", metadata=(*puppet.metadata, ("x-request-id", "mine-7")))
    assert dict(given.trailing_metadata())["x-request-id"] == "mine-7"
    _, insane = call.with_call(b"", metadata=(*puppet.metadata, ("x-request-id", "x" * 129)))
    assert len(dict(insane.trailing_metadata())["x-request-id"]) == 16


@pytest.mark.parametrize("kind", ["unary", "stream", "upload", "refused"])
def test_calls_leave_nothing_to_the_collector(puppet, refused, kind):
    """It is told to come rarely: what calls leave to it, messages above all, is kept for long."""
    puppet.stream = lambda _: iter([pb.GetServerInfoResponse(version="x" * 1000)] * 3)

    def refuse(_):
        raise FieldError("spec", expected="something", given="nothing")

    if kind == "refused":
        puppet.unary = refuse
    one = {
        "unary": puppet.call_unary,
        "refused": lambda: refused(puppet.call_unary),
        "stream": lambda: list(puppet.call_stream()),
        "upload": lambda: puppet.call_upload(iter([b""] * 3)),
    }[kind]
    one()
    assert puppet.edge.wait_idle(TIMEOUT_S)
    gc.collect()
    gc.disable()
    try:
        for _ in range(100):
            one()
        assert puppet.edge.wait_idle(TIMEOUT_S)
        kept = [thing for thing in gc.get_objects() if isinstance(thing, GrpcCall)]
    finally:
        gc.enable()
    assert len(kept) < 5


@pytest.mark.parametrize("kind", ["stream", "upload"])
def test_a_call_that_gets_no_thread_is_refused_and_gives_its_place_back(
    make_puppet, refused, monkeypatch, kind
):
    """Its caller was left to wait, and its place was lost."""
    puppet = make_puppet(streams_max=1)

    def no_thread(*_):
        raise RuntimeError("can't start new thread")

    def make_call():
        return puppet.call_stream() if kind == "stream" else puppet.call_upload(iter([b""]))

    with monkeypatch.context() as patched:
        patched.setattr(puppet.edge._stream_lane._pool, "submit", no_thread)
        for _ in range(2):
            refusal = refused(make_call)
            assert (refusal.reason, "thread" in refusal.message) == ("SERVER_BUSY", True)
            assert puppet.edge.wait_idle(TIMEOUT_S)
    list(make_call())


@pytest.mark.parametrize("stranger", [True, False])
def test_a_call_that_cannot_be_refused_is_broken_off(puppet, monkeypatch, stranger):
    """Its caller was left to wait, and a stranger's place was lost."""

    def unary(call):
        assert not call.cancelled  # watched: the core keeps the call until it ends
        raise ValueError

    def no_memory(*_):
        raise MemoryError

    puppet.unary = unary
    monkeypatch.setattr("ketgate_server.rpc.edge.wire_status", no_memory)
    with pytest.raises(grpc.RpcError) as caught:
        puppet.call_unary(metadata=() if stranger else puppet.metadata)
    assert caught.value.code() is grpc.StatusCode.CANCELLED
    assert puppet.edge.wait_idle(TIMEOUT_S)


def test_calls_that_fail_before_they_are_taken_cost_no_later_call(puppet, monkeypatch):
    """Each was one fewer that the core might announce, until there were none."""

    def no_memory(_):
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr("ketgate_server.rpc.server.GrpcCall", no_memory)
        for _ in range(ARRIVALS_ASKED + 1):
            with pytest.raises(grpc.RpcError) as caught:
                puppet.call_unary()
            assert caught.value.code() is grpc.StatusCode.CANCELLED
    puppet.call_unary()


def test_who_goes_before_the_request_is_not_said_to_have_sent_none(puppet, monkeypatch):
    """That the caller had gone was asked for by itself, and came now and then after the end."""
    gone = threading.Event()
    monkeypatch.setattr(GrpcCall, "_closed", lambda *_: gone.wait(TIMEOUT_S))

    def nothing():
        gone.wait(TIMEOUT_S)
        return
        yield b""

    call = puppet.channel.stream_unary("/test.Puppet/Unary").future(
        nothing(), metadata=puppet.metadata
    )
    end_s = time.monotonic() + TIMEOUT_S
    while not puppet.edge._calls and time.monotonic() < end_s:
        time.sleep(0)  # lets the server take it
    call.cancel()
    while not puppet.log_file.read_text() and time.monotonic() < end_s:
        time.sleep(0)
    gone.set()
    assert json.loads(puppet.log_file.read_text())["reason"] == "CANCELLED"


def test_a_store_that_does_not_answer_holds_up_only_who_needs_it(puppet, refused, monkeypatch):
    """Tokens are looked up in it: the threads that take calls off the wire waited for it, all of them."""
    entered, go = threading.Semaphore(0), threading.Event()

    def revision():
        entered.release()
        assert go.wait(TIMEOUT_S)
        return 0

    monkeypatch.setattr(puppet.store, "revision", revision)
    monkeypatch.setattr("ketgate_server.rpc.auth.CHECK_INTERVAL_S", -1.0)
    waiting = [puppet.future() for _ in range(4)]
    assert entered.acquire(timeout=TIMEOUT_S)
    unknown = puppet.channel.unary_unary("/test.Puppet/Unknown")
    refusal = refused(lambda: unknown(b"", timeout=20.0))
    assert refusal.reason == "METHOD_UNKNOWN"
    assert not any(future.done() for future in waiting)
    go.set()
    for future in waiting:
        future.result(TIMEOUT_S)
