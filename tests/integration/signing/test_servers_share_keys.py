"""Three servers over one database: what happens to a key on one holds on the others with their next use of it,
whatever they have opened and kept until then."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from ketgate._audit_entry import read_head
from ketgate._audit_rotation import follow
from ketgate.audit.v1 import audit_service_pb2, audit_service_pb2_grpc
from ketgate.signing.v1 import (
    key_pb2,
    key_service_pb2_grpc,
    signature_pb2,
    signing_service_pb2_grpc,
)
from ketgate.signing.v1 import key_service_pb2 as keys
from ketgate.signing.v1 import signing_service_pb2 as uses
from ketgate_server import audit_signer
from ketgate_server.config import load

from ...conftest import ServerProcess, launch
from ...postgres import PostgresServer

TIMEOUT_S = 100.0
MESSAGE = b"message"
SERVERS = 3
CHUNK, CHUNKS = bytes(1 << 18), 80
"""More than a connection holds: what is asked for the last of them was read by the server."""


class Caller:
    """The administrator at one server."""

    def __init__(self, server: ServerProcess, token: str) -> None:
        self._channel = server.channel()
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._stubs = (
            key_service_pb2_grpc.KeyServiceStub(self._channel),
            signing_service_pb2_grpc.SigningServiceStub(self._channel),
            audit_service_pb2_grpc.AuditServiceStub(self._channel),
        )

    def __call__(self, method: str, request: Any) -> Any:
        stub = next(stub for stub in self._stubs if hasattr(stub, method))
        return getattr(stub, method)(request, metadata=self._metadata, timeout=TIMEOUT_S)

    def create(self, key_id: str, algorithm: str) -> str:
        request = keys.CreateKeyRequest(key_id=key_id, algorithm=f"ALGORITHM_{algorithm}")
        return str(self("CreateKey", request).key.name)

    def sign(self, key: str, request_id: str = "") -> Any:
        request = uses.SignRequest(key=key, message=MESSAGE, request_id=request_id)
        return self("Sign", request).signature

    def head(self, known_key_id: str = "") -> Any:
        request = audit_service_pb2.GetSignedTreeHeadRequest(known_key_id=known_key_id)
        return read_head(self("GetSignedTreeHead", request).head)

    def close(self) -> None:
        self._channel.close()


class Servers:
    """Servers of one database, with one key-encryption key."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self.kek_file = folder / "kek.key"
        self.running: list[ServerProcess] = []
        self.callers: list[Caller] = []
        self._token = ""
        self.running.append(self.launch(0))
        self._token = self.running[0].token  # the others make none
        with ThreadPoolExecutor() as together:
            self.running += together.map(self.launch, range(1, SERVERS))
        self.callers += [Caller(running, self._token) for running in self.running]

    def launch(self, number: int, **signing: str) -> ServerProcess:
        folder = self.folder / str(number)
        folder.mkdir(exist_ok=True)
        given = [
            f"store_url={self.url}",
            f"signing.kek_file={signing.pop('kek_file', self.kek_file)}",
        ]
        given += [f"signing.{name}={value}" for name, value in signing.items()]
        return launch(folder, *(part for one in given for part in ("--set", one)))

    def restart(self, number: int, **signing: str) -> Caller:
        self.callers[number].close()
        assert self.running[number].stop() == 0
        self.running[number] = self.launch(number, **signing)
        self.callers[number] = Caller(self.running[number], self._token)
        return self.callers[number]

    def close(self) -> None:
        for caller in self.callers:
            caller.close()
        for running in self.running:
            running.process.kill()
            running.process.wait()


@pytest.fixture(scope="module")
def servers(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Servers]:
    started = Servers(tmp_path_factory.mktemp("servers"), postgres_server.new_database())
    yield started
    started.close()


def refusal(call: Callable[[], Any]) -> str:
    """The reason for which a call is refused; empty where it is not."""
    try:
        call()
    except grpc.RpcError as error:
        trailers = dict(error.trailing_metadata())
        status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
        for packed in status.details:
            if packed.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
                return str(error_details_pb2.ErrorInfo.FromString(packed.value).reason)
        raise
    return ""


def uses_of(a: Caller, prefix: str) -> dict[str, dict[str, Any]]:
    """Every method that uses a key of the store, with a request that succeeds, by the key that it uses."""
    sign, kem, seal, mac = (
        a.create(f"{prefix}-{name}", algorithm)
        for name, algorithm in (
            ("sign", "ML_DSA_44"),
            ("kem", "ML_KEM_768"),
            ("seal", "HPKE_MLKEM768_X25519"),
            ("mac", "HMAC_SHA256"),
        )
    )
    signature = a.sign(sign).signature
    ciphertext = a("Encapsulate", uses.EncapsulateRequest(key=kem)).ciphertext
    sealed = a("Seal", uses.SealRequest(key=seal, plaintext=MESSAGE)).ciphertext
    code = a("ComputeMac", uses.ComputeMacRequest(key=mac, message=MESSAGE)).mac
    start = uses.SignStreamRequest(start=uses.SignRequest(key=sign))
    verify = uses.VerifyRequest(key=sign, signature=signature)
    item = signature_pb2.SignItem(message=MESSAGE)
    signed = signature_pb2.VerifyItem(message=MESSAGE, signature=signature)
    order = uses.IssueCertificateRequest(key=sign, issuer="CN=Desk", validity={"seconds": 60})
    return {
        sign: {
            "Sign": uses.SignRequest(key=sign, message=MESSAGE),
            "SignBatch": uses.SignBatchRequest(key=sign, items=[item] * 3),
            "SignStream": [start, uses.SignStreamRequest(chunk=MESSAGE)],
            "Verify": uses.VerifyRequest(key=sign, message=MESSAGE, signature=signature),
            "VerifyBatch": uses.VerifyBatchRequest(key=sign, items=[signed] * 3),
            "VerifyStream": [
                uses.VerifyStreamRequest(start=verify),
                uses.VerifyStreamRequest(chunk=MESSAGE),
            ],
            "CreateSigningRequest": uses.CreateSigningRequestRequest(key=sign, subject="CN=Desk"),
            "IssueCertificate": order,
        },
        kem: {
            "Encapsulate": uses.EncapsulateRequest(key=kem),
            "Decapsulate": uses.DecapsulateRequest(key=kem, ciphertext=ciphertext),
        },
        seal: {
            "Seal": uses.SealRequest(key=seal, plaintext=MESSAGE),
            "Open": uses.OpenRequest(key=seal, ciphertext=sealed),
        },
        mac: {
            "ComputeMac": uses.ComputeMacRequest(key=mac, message=MESSAGE),
            "VerifyMac": uses.VerifyMacRequest(key=mac, message=MESSAGE, mac=code),
        },
    }


def refusals(caller: Caller, wanted: dict[str, dict[str, Any]]) -> set[str]:
    """The reasons of all these calls; {""} where none is refused."""

    def one(method: str, request: Any) -> str:
        again = (lambda: iter(request)) if isinstance(request, list) else (lambda: request)
        return refusal(lambda: caller(method, again()))

    return {one(*call) for calls in wanted.values() for call in calls.items()}


def change_all(caller: Caller, method: str, wanted: dict[str, Any]) -> None:
    request = getattr(keys, f"{method}Request")
    for key in wanted:
        caller(method, request(name=f"{key}/versions/1"))


def test_a_key_that_is_disabled_on_one_is_used_on_none(servers: Servers) -> None:
    a, b, c = servers.callers
    wanted = uses_of(a, "disabled")
    assert refusals(b, wanted) == refusals(c, wanted) == {""}  # what they have opened stays open
    change_all(a, "DisableKeyVersion", wanted)
    assert refusals(b, wanted) == refusals(c, wanted) == {"KEY_UNUSABLE"}
    change_all(b, "EnableKeyVersion", wanted)
    assert refusals(c, wanted) == refusals(a, wanted) == {""}
    change_all(c, "DestroyKeyVersion", wanted)
    assert refusals(a, wanted) == refusals(b, wanted) == {"KEY_UNUSABLE"}
    change_all(a, "RestoreKeyVersion", wanted)
    change_all(b, "EnableKeyVersion", wanted)
    assert refusals(c, wanted) == {""}


def test_leave_that_is_taken_away_on_one_is_gone_on_all(servers: Servers) -> None:
    a, b, c = servers.callers
    wanted = uses_of(a, "policy")
    assert refusals(b, wanted) == refusals(c, wanted) == {""}
    grant = key_pb2.KeyGrant(members=["admin"], uses=["KEY_USE_MANAGE"])
    for key in wanted:
        policy = key_pb2.KeyPolicy(grants=[grant])
        a("SetKeyPolicy", keys.SetKeyPolicyRequest(name=key, policy=policy))
    assert refusals(b, wanted) == refusals(c, wanted) == {"POLICY_DENIED"}


def test_a_stream_in_progress_is_signed_with_no_key_that_was_disabled(servers: Servers) -> None:
    a, b, _ = servers.callers
    key = a.create("stream", "ML_DSA_44")
    assert b.sign(key).signature

    def parts() -> Iterator[Any]:
        yield uses.SignStreamRequest(start=uses.SignRequest(key=key))
        for _ in range(CHUNKS):
            yield uses.SignStreamRequest(chunk=CHUNK)
        a("DisableKeyVersion", keys.DisableKeyVersionRequest(name=f"{key}/versions/1"))
        yield uses.SignStreamRequest(chunk=CHUNK)

    assert refusal(lambda: b("SignStream", parts())) == "KEY_UNUSABLE"


def test_a_new_version_is_the_primary_one_of_all(servers: Servers) -> None:
    a, b, c = servers.callers
    key = a.create("rotated", "ML_DSA_44")
    before = b.sign(key)
    a("RotateKey", keys.RotateKeyRequest(name=key))
    after = b.sign(key)
    assert (before.key_version, after.key_version) == (f"{key}/versions/1", f"{key}/versions/2")
    for signature in (before, after):
        request = uses.VerifyRequest(key=key, message=MESSAGE, signature=signature.signature)
        verdict = c("Verify", request).verdict
        assert (verdict.valid, verdict.key_version) == (True, signature.key_version)


def test_one_request_at_all_servers_is_one_signature(servers: Servers) -> None:
    key = servers.callers[0].create("once", "ML_DSA_44")
    for caller in servers.callers:
        caller.sign(key)
    found: list[bytes] = []
    together = threading.Barrier(len(servers.callers))

    def ask(caller: Caller) -> None:
        together.wait()
        found.append(caller.sign(key, "order-7").SerializeToString())

    threads = [threading.Thread(target=ask, args=(caller,)) for caller in servers.callers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(threads)
    assert len(set(found)) == 1


def test_the_audit_is_signed_by_the_new_key_on_all(servers: Servers) -> None:
    a, *others = servers.callers
    before = a.head()
    for caller in others:
        assert caller.head().key_id == before.key_id
    given = {"store_url": servers.url, "signing": {"kek_file": str(servers.kek_file)}}
    settings, _ = load({"data_dir": str(servers.folder / "command"), **given})
    signer = audit_signer.rotate(settings)
    for caller in servers.callers:
        head = caller.head(before.key_id)
        assert (head.key_id, head.log_id) == (signer.key_id, before.log_id)
        assert len(follow(head, before.key_id)) == 1


def test_the_key_encryption_key_is_changed_while_others_run(servers: Servers) -> None:
    """What the others have not opened yet is not corrupt, and nothing is written that nobody would rewrap."""
    a, b, _ = servers.callers
    kept, other = a.create("kept", "ML_DSA_44"), a.create("other", "ML_DSA_44")
    assert b.sign(kept).signature
    new = servers.folder / "new.key"
    new.write_bytes(os.urandom(32))
    new.chmod(0o600)
    a = servers.restart(0, kek_file=str(new), previous_kek_file=str(servers.kek_file))
    servers.kek_file = new
    assert a.sign(kept).signature
    assert refusal(lambda: b.sign(kept)) in ("", "KEY_STORE_SEALED")
    assert refusal(lambda: b.sign(other)) == "KEY_STORE_SEALED"
    assert refusal(lambda: b.create("late", "ML_DSA_44")) == "KEY_STORE_SEALED"
    assert b.head().key_id == a.head().key_id
    b = servers.restart(1)
    assert b.sign(kept).signature
    assert b.sign(other).signature
    assert not any("is corrupt" in json.dumps(server.log()) for server in servers.running)
