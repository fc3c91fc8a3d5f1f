"""ServerService: what this server is, what it has and lacks, and its limits."""

import time
from collections.abc import Iterable, Iterator, Mapping

from google.protobuf.timestamp_pb2 import Timestamp
from ketgate.server.v1 import server_service_pb2 as pb

from ketgate_server import __version__
from ketgate_server.limits import Limit
from ketgate_server.parts import PARTS, part_version
from ketgate_server.processor import instruction_set
from ketgate_server.rpc.call import Answers, Call
from ketgate_server.rpc.endpoint import Endpoint
from ketgate_server.rpc.handler import parse

SERVICE = "ketgate.server.v1.ServerService"


def endpoints(
    limits: Mapping[str, Limit], processors: int, services: Iterable[str]
) -> dict[str, Endpoint]:
    """services: full names of all that is served.

    What is the same for all callers is serialised once; a message may be sent in pieces, so the
    caller's own fields are appended.
    """
    common = _describe(limits, processors, services).SerializeToString()

    def get_server_info(call: Call, requests: Iterator[bytes]) -> Answers:
        parse(pb.GetServerInfoRequest, requests)
        identity = call.identity
        own = pb.GetServerInfoResponse(tenant=identity.tenant, roles=sorted(identity.roles))
        yield common + own.SerializeToString()

    return {f"/{SERVICE}/GetServerInfo": Endpoint(get_server_info, role="")}


def _describe(
    limits: Mapping[str, Limit], processors: int, services: Iterable[str]
) -> pb.GetServerInfoResponse:
    start_time = Timestamp()
    start_time.FromNanoseconds(time.time_ns())
    info = pb.GetServerInfoResponse(
        version=__version__,
        start_time=start_time,
        processors=processors,
        instruction_set=instruction_set(),
        services=sorted(services),
    )
    for name in sorted(limits):
        limit = limits[name]
        info.limits.add(
            name=name, value=limit.value, unit=limit.unit, description=limit.description
        )
    for name in sorted(PARTS):
        part, version = PARTS[name], part_version(name)
        info.parts.add(
            name=name,
            installed=version is not None,
            version=version or "",
            purpose=part.purpose,
            install_command="" if version else part.install_command,
        )
    return info
