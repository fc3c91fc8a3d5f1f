"""Between what the log keeps and the contract's messages."""

from typing import TYPE_CHECKING

from google.protobuf.timestamp_pb2 import Timestamp
from ketgate.audit.v1 import audit_service_pb2 as pb

if TYPE_CHECKING:
    from ketgate_server.audit.log import Fact


def timestamp(time_us: int) -> Timestamp:
    """time_us: microseconds since 1970."""
    seconds, micros = divmod(time_us, 1_000_000)
    return Timestamp(seconds=seconds, nanos=micros * 1000)


def payload_time(time_us: int) -> bytes:
    """The start of an AuditPayload: when it happened. A message may come in pieces, so that entries
    of one transaction share this one."""
    return pb.AuditPayload(time=timestamp(time_us)).SerializeToString()


def payload(fact: "Fact", when: bytes) -> bytes:
    """Bytes of an AuditPayload. when: payload_time() of the transaction."""
    message = pb.AuditPayload(
        tenant=fact.tenant,
        actor=fact.actor,
        action=fact.action,
        resource=fact.resource,
        outcome=fact.outcome,
        request_digest=fact.request_digest,
        call_id=fact.call_id,
    )
    if fact.facts:
        message.facts.update(fact.facts)
        return when + message.SerializeToString(deterministic=True)
    return when + message.SerializeToString()
