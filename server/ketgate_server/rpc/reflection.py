"""gRPC reflection, as v1 and v1alpha. The two differ by their package's name only; the public
servicer knows v1alpha."""

from collections.abc import Iterable, Iterator

from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_reflection.v1alpha import reflection, reflection_pb2

from ketgate_server.rpc.call import Answers, Call
from ketgate_server.rpc.endpoint import Endpoint
from ketgate_server.rpc.handler import parse

V1ALPHA = reflection.SERVICE_NAME
V1 = V1ALPHA.replace(".v1alpha.", ".v1.")

REQUESTS_MAX = 100_000
"""Of one stream, so that none is held for ever."""


def endpoints(services: Iterable[str], role: str | None) -> dict[str, Endpoint]:
    """The reflection methods for these services and for themselves. role: as in Endpoint."""
    _add_v1_descriptors()
    servicer = reflection.ReflectionServicer((*services, V1ALPHA, V1))

    def info(_: Call, requests: Iterator[bytes]) -> Answers:
        for answer in servicer.ServerReflectionInfo(_parsed(requests), None):
            yield answer.SerializeToString()

    endpoint = Endpoint(info, streams=True, takes_stream=True, role=role)
    return {f"/{name}/ServerReflectionInfo": endpoint for name in (V1ALPHA, V1)}


def _parsed(requests: Iterator[bytes]) -> Iterator[reflection_pb2.ServerReflectionRequest]:
    for _, content in zip(range(REQUESTS_MAX), requests, strict=False):
        yield parse(reflection_pb2.ServerReflectionRequest, iter((content,)))


def _add_v1_descriptors() -> None:
    """Make v1's own messages known, so that reflection can describe itself under that name too."""
    pool = descriptor_pool.Default()  # type: ignore[no-untyped-call]
    file = descriptor_pb2.FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(file)
    file.name = "grpc/reflection/v1/reflection.proto"
    file.package = "grpc.reflection.v1"
    for message in file.message_type:
        for field in message.field:
            if field.type_name:
                field.type_name = field.type_name.replace(".v1alpha.", ".v1.")
    for method in file.service[0].method:
        method.input_type = method.input_type.replace(".v1alpha.", ".v1.")
        method.output_type = method.output_type.replace(".v1alpha.", ".v1.")
    file.ClearField("options")
    pool.AddSerializedFile(file.SerializeToString())
