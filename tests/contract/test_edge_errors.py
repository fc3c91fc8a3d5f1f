"""Every kind of refusal, as a client sees it: code, reason, and the detail that says what to do."""

import grpc
import pytest
from ketgate.server.v1 import server_service_pb2 as pb
from ketgate_server.errors import (
    CATALOGUE,
    FieldError,
    KetgateError,
    LimitError,
    PartMissing,
    Reason,
)


def raising(error):
    def method(call):
        raise error

    return method


def test_bytes_that_are_no_message(puppet, refused):
    refusal = refused(lambda: puppet.call_unary(b"\xff\xff\xff"))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_MESSAGE")
    assert "BadRequest" not in refusal.details
    assert "3 bytes" in refusal.message


def test_no_message_at_all(puppet, refused):
    call = puppet.channel.stream_unary("/test.Puppet/Unary")
    refusal = refused(lambda: call(iter(()), metadata=puppet.metadata, timeout=200))
    assert refusal.reason == "MALFORMED_MESSAGE"


def test_unknown_fields_are_accepted(puppet):
    puppet.call_unary(b"\xa0\x06\x01")


@pytest.mark.parametrize("kind", ["unary", "stream"])
def test_field_error_names_the_field(puppet, refused, kind):
    error = FieldError("spec.ising.linear", expected="3 numbers", given=[1.0, 2.0], hint="add one")
    puppet.unary = puppet.stream = raising(error)
    refusal = refused(puppet.call_unary if kind == "unary" else puppet.call_stream)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    (violation,) = refusal.details["BadRequest"].field_violations
    assert violation.field == "spec.ising.linear"
    assert violation.description == refusal.message
    assert refusal.info.metadata["field"] == "spec.ising.linear"
    assert refusal.message == "spec.ising.linear: expected 3 numbers, given [1.0, 2.0]; add one"


def test_limit_error_names_the_limit(puppet, refused):
    puppet.unary = raising(
        LimitError("optimization.spins_max", allowed=5, given=6, field="spec.ising")
    )
    refusal = refused(puppet.call_unary)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "LIMIT_EXCEEDED")
    (violation,) = refusal.details["QuotaFailure"].violations
    assert violation.subject == "optimization.spins_max"
    assert "RetryInfo" not in refusal.details


def test_missing_part_has_the_command_that_installs_it(puppet, refused):
    puppet.unary = raising(PartMissing("highs", "pip install highspy"))
    refusal = refused(puppet.call_unary)
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "PART_NOT_INSTALLED",
    )
    assert "pip install highspy" in refusal.message
    assert refusal.info.metadata["part"] == "highs"


def test_a_fault_of_ours_tells_the_request_id_and_nothing_else(puppet, refused):
    puppet.unary = raising(RuntimeError("password is hunter2"))
    refusal = refused(
        lambda: puppet.call_unary(metadata=(*puppet.metadata, ("x-request-id", "abc 1")))
    )
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert "hunter2" not in str(refusal.status)
    assert "abc 1" in refusal.message
    puppet.log.close()
    assert "hunter2" in puppet.log_file.read_text()  # the operator sees the cause


def test_out_of_memory_is_a_limit(puppet, refused):
    puppet.unary = raising(MemoryError())
    refusal = refused(puppet.call_unary)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "LIMIT_EXCEEDED")


@pytest.mark.parametrize("reason", sorted(CATALOGUE))
def test_every_reason_reaches_the_client_with_its_code(puppet, refused, reason):
    puppet.unary = raising(KetgateError(reason, "what is wrong", field="spec", retry_after_s=1.5))
    refusal = refused(puppet.call_unary)
    assert refusal.reason == reason.value
    assert refusal.code.name == CATALOGUE[reason].code
    assert refusal.message == "what is wrong"
    assert refusal.details["RetryInfo"].retry_delay.ToMilliseconds() == 1500


@pytest.mark.parametrize(
    "text",
    [
        "\N{GREEK SMALL LETTER ALPHA}" * 5000,
        "\ud800 lone",
        "a\0b\r\nc",
        "100 %s %n",
        "\U0001f600" * 300,
        "",
    ],
)
def test_odd_characters_do_not_break_the_status(puppet, refused, text):
    puppet.unary = raising(
        KetgateError(
            Reason.FIELD_INVALID, text, field=text or "spec", metadata={"given": text, text: ""}
        )
    )
    refusal = refused(puppet.call_unary)
    assert refusal.reason == "FIELD_INVALID"
    assert len(refusal.message.encode()) <= 800


def test_an_error_in_the_middle_of_a_stream(puppet, refused):
    def stream(call):
        yield pb.GetServerInfoResponse(version="1")
        raise FieldError("spec", expected="a", given="b")

    puppet.stream = stream
    answers = puppet.call_stream()
    assert pb.GetServerInfoResponse.FromString(next(answers)).version == "1"
    assert refused(lambda: next(answers)).reason == "FIELD_INVALID"


def test_unknown_method_needs_no_token_to_be_told(puppet, refused):
    refusal = refused(lambda: puppet.channel.unary_unary("/test.Puppet/Nothing")(b"", timeout=200))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNIMPLEMENTED, "METHOD_UNKNOWN")
    assert "/test.Puppet/Nothing" in refusal.message


def test_a_message_over_the_limit_is_refused_by_the_transport(make_puppet):
    puppet = make_puppet(message_bytes_max=1000)
    with pytest.raises(grpc.RpcError) as caught:
        puppet.call_unary(b"\xa2\x06\xd0\x0f" + bytes(2000))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    puppet.call_unary()  # the connection lives on


def test_metadata_over_the_limit_is_refused(make_puppet):
    puppet = make_puppet(metadata_bytes_max=2000)
    with pytest.raises(grpc.RpcError) as caught:
        puppet.call_unary(metadata=(*puppet.metadata, ("x-padding", "x" * 4000)))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    puppet.call_unary()


def test_a_method_that_there_is_not_has_no_series_before_it_is_called(puppet, refused):
    def names_unknown():
        return any(
            sample.labels.get("method") == "unknown"
            for family in puppet.metrics.registry.collect()
            for sample in family.samples
        )

    assert not names_unknown()
    method = puppet.channel.unary_unary("/no.Such/Method")
    assert refused(lambda: method(b"", timeout=200)).reason == "METHOD_UNKNOWN"
    puppet.server.stop()
    puppet.log.close()  # what is counted comes by its thread
    assert names_unknown()
