"""Who may call what: the real server, over TLS."""

import threading
import time
from pathlib import Path

import grpc
import pytest
from ketgate.server.v1 import server_service_pb2 as pb
from ketgate_server.tokens import TokenStore

INFO = "/ketgate.server.v1.ServerService/GetServerInfo"
LIST_SOLVERS = "/ketgate.optimization.v1.OptimizationService/ListSolvers"
TIMEOUT_S = 200.0


def bearer(secret):
    return (("authorization", f"Bearer {secret}"),)


@pytest.fixture
def tokens(server):
    store = TokenStore.open(server.data_dir)  # as a command in another process has it
    yield store
    store.close()


@pytest.fixture
def call(channel):
    def call(metadata=(), method=INFO):
        answer = channel.unary_unary(method)(b"", metadata=metadata, timeout=TIMEOUT_S)
        return pb.GetServerInfoResponse.FromString(answer)

    return call


def test_no_token(call, refused):
    refusal = refused(call)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")


@pytest.mark.parametrize(
    "header",
    [
        "Bearer wrong",
        "Bearer ",
        "Bearer",
        "Basic x",
        "",
        "kg_abc",
        "Bearer " + "x" * 5000,
        "Bearer kg_" + "A" * 43,
    ],
)
def test_wrong_tokens_look_alike(call, refused, header):
    refusal = refused(lambda: call((("authorization", header),)))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")
    assert "kg_A" not in refusal.message


def test_the_scheme_is_read_in_any_case(server, call):
    assert call((("authorization", f"bearer {server.token}"),)).version


def test_a_token_knows_its_tenant_and_roles(call, tokens):
    secret, _ = tokens.create("tenant-test", tenant="desk-7", roles=("server.reader",))
    info = call(bearer(secret))
    assert (info.tenant, list(info.roles)) == ("desk-7", ["server.reader"])
    tokens.revoke("tenant-test")


def test_a_missing_role_is_named(call, tokens, refused):
    secret, _ = tokens.create("role-test", roles=("server.reader",))
    refusal = refused(lambda: call(bearer(secret), LIST_SOLVERS))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_MISSING")
    assert refusal.info.metadata["role"] == "optimization.user"
    assert "optimization.user" in refusal.message
    tokens.revoke("role-test")


def test_a_revoked_token_is_refused_soon(call, tokens, refused):
    secret, _ = tokens.create("revoke-test")
    assert call(bearer(secret)).version
    tokens.revoke("revoke-test")
    end_s = time.monotonic() + TIMEOUT_S  # a second is what we promise; the machine may be busy
    while time.monotonic() < end_s:
        try:
            call(bearer(secret))
        except grpc.RpcError:
            break
    assert refused(lambda: call(bearer(secret))).reason == "TOKEN_INVALID"


def test_an_expired_token_is_refused(call, tokens, refused):
    secret, record = tokens.create("expiry-test", expires_in_s=0.5)
    while time.time() < record.expire_time.timestamp():
        pass
    assert refused(lambda: call(bearer(secret))).reason == "TOKEN_INVALID"
    tokens.revoke("expiry-test")


def test_a_token_is_asked_for_before_the_message_is_read(channel, refused):
    never = threading.Event()
    silent = iter(lambda: never.wait(TIMEOUT_S), True)
    refusal = refused(lambda: channel.stream_unary(INFO)(silent, timeout=TIMEOUT_S))
    never.set()
    assert refusal.reason == "TOKEN_MISSING"


def test_secrets_stay_out_of_the_log_and_the_store(server, call):
    call(server.metadata)
    secret = server.token
    assert secret not in server.log_file.read_text()
    for file in Path(server.data_dir).iterdir():
        if file.is_file() and file.name != "admin.token":
            assert secret.encode() not in file.read_bytes(), file


def test_the_audience_of_plaintext_is_this_machine(start_server):
    plain = start_server("--insecure")
    assert plain.ready["ca_file"] is None
    with plain.channel() as channel:
        answer = channel.unary_unary(INFO)(b"", metadata=plain.metadata, timeout=TIMEOUT_S)
    assert pb.GetServerInfoResponse.FromString(answer).version
