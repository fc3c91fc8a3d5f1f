"""Methods that take a stream of requests and give one answer."""

import threading
import time

import grpc
import pytest
from ketgate.server.v1 import server_service_pb2 as pb
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.rpc.grpc_call import GrpcCall

TIMEOUT_S = 200.0


def test_every_message_arrives(puppet):
    answer = puppet.call_upload(iter([b""] * 5))
    assert pb.GetServerInfoResponse.FromString(answer).version == "5"


def test_a_stream_without_a_message_is_refused(puppet, refused):
    refusal = refused(lambda: puppet.call_upload(iter(())))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "MALFORMED_MESSAGE",
    )


def test_hostile_bytes_amid_a_stream_are_refused(puppet, refused):
    refusal = refused(lambda: puppet.call_upload(iter([b"", b"\xff\xff"])))
    assert refusal.reason == "MALFORMED_MESSAGE"
    assert "GetServerInfoRequest" in refusal.message


def test_a_refusal_ends_a_stream_that_goes_on(puppet, gate, refused):
    def upload(_call, requests):
        next(requests)
        raise KetgateError(Reason.FIELD_INVALID, "start: expected something else")

    puppet.upload = upload

    def endless():
        while True:
            yield b""

    assert refused(lambda: puppet.call_upload(endless())).reason == "FIELD_INVALID"
    assert puppet.edge.wait_idle(TIMEOUT_S)


def test_a_stream_without_a_token_is_refused_before_it_is_read(puppet, refused):
    refusal = refused(lambda: puppet.call_upload(iter([b"\xff"]), metadata=()))
    assert refusal.reason == "TOKEN_MISSING"


def test_uploads_count_as_streams(make_puppet, gate, refused):
    puppet = make_puppet(calls_max=2, streams_max=1)
    puppet.upload = lambda call, _: gate.unary(call)
    running = puppet.channel.stream_unary("/test.Puppet/Upload").future(
        iter([b""]), metadata=puppet.metadata, timeout=TIMEOUT_S
    )
    gate.wait_entered()
    refusal = refused(lambda: puppet.call_upload(iter([b""])))
    assert refusal.info.metadata["limit"] == "rpc.streams_max"
    gate.open.set()
    running.result()


def test_silence_between_two_messages_is_broken_off(puppet, gate, monkeypatch):
    monkeypatch.setattr("ketgate_server.rpc.edge.MESSAGE_TIMEOUT_S", 0.0)

    def contents():
        yield b""
        gate.open.wait(TIMEOUT_S)

    call = puppet.channel.stream_unary("/test.Puppet/Upload").future(
        contents(), metadata=puppet.metadata
    )
    end_s = time.monotonic() + TIMEOUT_S
    while not call.done() and time.monotonic() < end_s:
        puppet.edge.break_off_silent_calls()
    assert call.code() is grpc.StatusCode.CANCELLED
    assert puppet.edge.wait_idle(TIMEOUT_S)


def test_a_stream_that_never_ends_is_broken_off(puppet, monkeypatch):
    monkeypatch.setattr("ketgate_server.rpc.edge.UPLOAD_TIMEOUT_S", 0.0)
    ended = threading.Event()

    def contents():
        while not ended.wait(0.01):
            yield b""

    call = puppet.channel.stream_unary("/test.Puppet/Upload").future(
        contents(), metadata=puppet.metadata
    )
    end_s = time.monotonic() + TIMEOUT_S
    while not call.done() and time.monotonic() < end_s:
        puppet.edge.break_off_silent_calls()
    ended.set()
    assert call.code() is grpc.StatusCode.CANCELLED
    assert puppet.edge.wait_idle(TIMEOUT_S)


@pytest.mark.parametrize("end", ["cancel", "deadline", "hang up"])
def test_a_stream_that_is_cut_off_is_not_taken_for_a_whole_one(make_puppet, monkeypatch, end):
    """The core says of both that there is no further message, and that the caller has gone in an
    event of its own. It may be late: one cut stream in six was taken for a whole one."""
    puppet = make_puppet()
    first, ended, found = threading.Event(), threading.Event(), []
    tell = GrpcCall._closed

    def late(call, event):
        ended.wait(TIMEOUT_S)
        tell(call, event)

    monkeypatch.setattr(GrpcCall, "_closed", late)

    def upload(_call, requests):
        try:
            next(requests)
            first.set()
            found.append(len([*requests]))
        except KetgateError as error:
            found.append(error.reason)
            raise
        finally:
            ended.set()

    puppet.upload = upload

    def contents():
        yield b""
        ended.wait(TIMEOUT_S)

    call = puppet.channel.stream_unary("/test.Puppet/Upload").future(
        contents(), metadata=puppet.metadata, timeout=0.5 if end == "deadline" else TIMEOUT_S
    )
    assert first.wait(TIMEOUT_S)
    if end == "cancel":
        call.cancel()
    elif end == "hang up":
        puppet.channel.close()
    assert ended.wait(TIMEOUT_S)
    assert found == [Reason.CANCELLED]
    assert puppet.edge.wait_idle(TIMEOUT_S)
