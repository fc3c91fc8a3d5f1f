"""ServerService: what this server is, what it has and lacks, and its limits."""

import time
from collections.abc import Iterable, Mapping

from google.protobuf.timestamp_pb2 import Timestamp
from ketgate.server.v1 import server_service_pb2 as pb

from ketgate_server import __version__
from ketgate_server.limits import Limit
from ketgate_server.parts import PARTS, part_version
from ketgate_server.processor import instruction_set
from ketgate_server.rpc.call import Call, Method, Service

SERVICE = "ketgate.server.v1.ServerService"


def create_service(
    limits: Mapping[str, Limit], processors: int, services: Iterable[str]
) -> Service:
    """services: full names of all that is served."""
    info = _describe(limits, processors, services)

    def get_server_info(call: Call, _: pb.GetServerInfoRequest) -> pb.GetServerInfoResponse:
        answer = pb.GetServerInfoResponse()
        answer.CopyFrom(info)
        answer.tenant = call.identity.tenant
        answer.roles.extend(sorted(call.identity.roles))
        return answer

    return Service(
        SERVICE, {"GetServerInfo": Method(pb.GetServerInfoRequest, role="", unary=get_server_info)}
    )


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
