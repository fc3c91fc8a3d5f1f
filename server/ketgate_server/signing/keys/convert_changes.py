"""Changes that wait for approvals, as the contract has them."""

from __future__ import annotations

from ketgate.signing.v1 import key_pb2 as pb
from ketgate.signing.v1 import key_service_pb2 as service_pb

from ketgate_server.signing.keys import convert_policy
from ketgate_server.signing.keys.changes import ChangeRecord
from ketgate_server.signing.keys.listing import read_size
from ketgate_server.signing.keys.names import key_name, read_key, version_name


def change(found: ChangeRecord) -> pb.KeyChange:
    made = pb.KeyChange(
        name=found.name,
        key=key_name(found.key_id),
        state=f"KEY_CHANGE_STATE_{found.state.value}",
        requester=found.requester,
        approvals=found.approvals,
        approvals_needed=found.approvals_needed,
        justification=found.justification,
    )
    if found.version:
        made.destroy_version = version_name(found.key_id, found.version)
    elif found.policy is not None:
        made.set_policy.CopyFrom(convert_policy.policy(found.policy))
    made.create_time.FromMicroseconds(found.create_time_us)
    made.expire_time.FromMicroseconds(found.expire_time_us)
    if found.end_time_us is not None:
        made.end_time.FromMicroseconds(found.end_time_us)
    return made


def read_page(request: service_pb.ListKeyChangesRequest) -> tuple[str, str, int]:
    """Id of the key, or nothing; the page's token; and its size. Raises FieldError."""
    size = read_size(request.page_size)
    key_id = read_key(request.key, "key") if request.key else ""
    return key_id, request.page_token, size
