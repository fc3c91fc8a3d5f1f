"""What every gRPC server is expected to have: health, reflection, information, metrics, logs."""

import re
import time
import urllib.request

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub
from ketgate.server.v1 import server_service_pb2 as pb
from ketgate.server.v1 import server_service_pb2_grpc
from ketgate_server.limits import LIMITS
from ketgate_server.parts import PARTS

SERVING = health_pb2.HealthCheckResponse.SERVING
TIMEOUT_S = 200.0
SERVER_SERVICE = "ketgate.server.v1.ServerService"
OPTIMIZATION_SERVICE = "ketgate.optimization.v1.OptimizationService"


@pytest.mark.parametrize("service", ["", SERVER_SERVICE, OPTIMIZATION_SERVICE])
def test_health_is_open_and_per_service(channel, service):
    stub = health_pb2_grpc.HealthStub(channel)
    request = health_pb2.HealthCheckRequest(service=service)
    assert stub.Check(request, timeout=TIMEOUT_S).status == SERVING


def test_health_of_an_unknown_service(channel, refused):
    stub = health_pb2_grpc.HealthStub(channel)
    request = health_pb2.HealthCheckRequest(service="no.Such")
    assert refused(lambda: stub.Check(request, timeout=TIMEOUT_S)).code is grpc.StatusCode.NOT_FOUND
    watch = stub.Watch(request, timeout=TIMEOUT_S)
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    watch.cancel()


def test_health_watch_tells_of_the_drain(start_server):
    running = start_server()
    with running.channel() as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(
            health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S
        )
        assert next(watch).status == SERVING
        running.process.terminate()
        seen = []
        try:
            seen += [answer.status for answer in watch]
        except grpc.RpcError:
            pass  # the connection ends with the server
    assert health_pb2.HealthCheckResponse.NOT_SERVING in seen
    assert running.process.wait(TIMEOUT_S) == 0


def info_call(name):
    return f"/grpc.reflection.{name}.ServerReflection/ServerReflectionInfo"


def reflect(channel, metadata, name, *requests):
    call = channel.stream_stream(
        info_call(name),
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    return list(call(iter(requests), metadata=metadata, timeout=TIMEOUT_S))


@pytest.mark.parametrize("name", ["v1", "v1alpha"])
def test_reflection_lists_and_describes_everything(channel, metadata, name):
    (listed,) = reflect(
        channel, metadata, name, reflection_pb2.ServerReflectionRequest(list_services="")
    )
    names = {service.name for service in listed.list_services_response.service}
    assert names >= {SERVER_SERVICE, OPTIMIZATION_SERVICE, "grpc.health.v1.Health"}
    questions = [
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=service) for service in names
    ]
    for answer in reflect(channel, metadata, name, *questions):
        assert answer.file_descriptor_response.file_descriptor_proto, answer


def test_reflection_needs_a_token(channel, refused):
    call = channel.stream_stream(info_call("v1"))
    assert refused(lambda: call(iter((b"",)), timeout=TIMEOUT_S)).reason == "TOKEN_MISSING"


def test_reflection_refuses_what_is_no_message(channel, metadata, refused):
    call = channel.stream_stream(info_call("v1"))
    refusal = refused(lambda: call(iter((b"\xff",)), metadata=metadata, timeout=TIMEOUT_S))
    assert refusal.reason == "MALFORMED_MESSAGE"


@pytest.mark.parametrize("setting", ["open", "off"])
def test_reflection_can_be_opened_and_shut(start_server, refused, setting):
    running = start_server("--set", f"reflection={setting}")
    with running.channel() as channel:
        if setting == "off":
            call = channel.stream_stream(info_call("v1"))
            refusal = refused(lambda: call(iter((b"",)), timeout=TIMEOUT_S))
            assert refusal.reason == "METHOD_UNKNOWN"
        else:
            stub = ServerReflectionStub(channel)
            request = reflection_pb2.ServerReflectionRequest(list_services="")
            assert list(stub.ServerReflectionInfo(iter((request,)), timeout=TIMEOUT_S))


def test_server_info(channel, metadata):
    stub = server_service_pb2_grpc.ServerServiceStub(channel)
    info = stub.GetServerInfo(pb.GetServerInfoRequest(), metadata=metadata, timeout=TIMEOUT_S)
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", info.version)
    assert {limit.name: limit.value for limit in info.limits} == {
        name: limit.value for name, limit in LIMITS.items()
    }
    assert {part.name for part in info.parts} == set(PARTS)
    assert all(part.version if part.installed else part.install_command for part in info.parts)
    assert info.processors >= 1
    assert info.instruction_set in {"base", "avx2", "avx512"}
    assert set(info.services) >= {SERVER_SERVICE, OPTIMIZATION_SERVICE, "grpc.health.v1.Health"}
    assert (info.tenant, list(info.roles)) == ("default", ["admin"])
    assert 0 <= time.time() - info.start_time.ToSeconds() < 86_400


def scrape(server):
    with urllib.request.urlopen(
        f"http://{server.ready['metrics_address']}/metrics", timeout=TIMEOUT_S
    ) as answer:
        return answer.read().decode()


def test_metrics_count_calls_with_bounded_labels(server, channel, metadata):
    calls = channel.unary_unary(f"/{SERVER_SERVICE}/GetServerInfo")
    calls(b"", metadata=metadata, timeout=TIMEOUT_S)
    for i in range(50):
        with pytest.raises(grpc.RpcError):
            channel.unary_unary(f"/no.Such/Method{i}")(b"", timeout=TIMEOUT_S)
    end_s = time.monotonic() + TIMEOUT_S
    unknown = 'ketgate_calls_total{code="UNIMPLEMENTED",method="unknown"}'
    while unknown not in (text := scrape(server)) and time.monotonic() < end_s:
        pass  # counted within some 20 ms
    assert unknown in text
    assert f'ketgate_calls_total{{code="OK",method="/{SERVER_SERVICE}/GetServerInfo"}}' in text
    assert "no.Such" not in text
    for name in (
        "ketgate_call_seconds_bucket",
        "ketgate_calls_in_progress",
        "process_resident_memory_bytes",
    ):
        assert name in text


def test_each_call_is_one_line_of_log(server, channel, metadata):
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    channel.unary_unary(f"/{SERVER_SERVICE}/GetServerInfo")(
        b"",
        metadata=(*metadata, ("x-request-id", 'log-test "1"'), ("traceparent", trace)),
        timeout=TIMEOUT_S,
    )
    end_s = time.monotonic() + TIMEOUT_S
    lines = []
    while not lines and time.monotonic() < end_s:
        lines = [line for line in server.log() if line.get("request_id") == 'log-test "1"']
    (line,) = lines
    assert line["method"] == f"/{SERVER_SERVICE}/GetServerInfo"
    assert (line["code"], line["tenant"], line["subject"]) == ("OK", "default", "admin")
    assert line["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert line["duration_ms"] >= 0
    assert line["peer"].startswith("ipv4:127.0.0.1:")
