"""What the audit is told of a refused call."""

from types import SimpleNamespace
from typing import Any

import pytest
from google.protobuf.message import Message
from ketgate.jobs.v1 import job_service_pb2
from ketgate.signing.v1 import key_service_pb2 as keys
from ketgate.signing.v1 import signing_service_pb2 as signing
from ketgate_server.errors import Reason
from ketgate_server.rpc.call import Identity
from ketgate_server.rpc.witness import tell

EMMA = Identity("emma", "red", frozenset())


@pytest.mark.parametrize(
    ("request_", "resource"),
    [
        (None, ""),
        (job_service_pb2.CancelJobRequest(name="jobs/1"), "jobs/1"),
        (signing.SignRequest(key="keys/a", message=b"m"), "keys/a"),
        (signing.DecapsulateRequest(key="keys/a/versions/2"), "keys/a/versions/2"),
        (signing.SignStreamRequest(start=signing.SignRequest(key="keys/a")), "keys/a"),
        (signing.SignStreamRequest(chunk=b"c"), ""),
        (keys.UpdateKeyRequest(key={"name": "keys/a"}), "keys/a"),
        (keys.CreateKeyRequest(key_id="a"), "a"),
        (keys.DestroyKeyVersionRequest(name="keys/a/versions/1"), "keys/a/versions/1"),
        (keys.CreateWrappingKeyRequest(), ""),
    ],
)
def test_a_refusal_names_what_it_was_about(request_: Message | None, resource: str) -> None:
    """Who tried which key without leave is what an audit is read for."""
    told: list[dict[str, Any]] = []
    witness: Any = SimpleNamespace(refused=lambda **facts: told.append(facts))
    route: Any = SimpleNamespace(method="/m", endpoint=SimpleNamespace(mutates=True))
    call: Any = SimpleNamespace(identity=EMMA, request=request_, request_id="call", peer="")
    tell(witness, route, call, Reason.POLICY_DENIED)
    [facts] = told
    assert facts["resource"] == resource
    assert facts["actor"] == "emma"
