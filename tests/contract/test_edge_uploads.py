"""Methods that take a stream of requests and give one answer."""

import threading
import time

import grpc
from ketgate.server.v1 import server_service_pb2 as pb
from ketgate_server.errors import KetgateError, Reason

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
