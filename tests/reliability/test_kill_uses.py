"""A server that is killed while it signs, issues certificates and gets last approvals: what was answered is
answered again byte for byte and is in the audit, and a policy is the one of its change or was not changed."""

import hashlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import ketgate
import pytest
from ketgate.signing.v1 import key_pb2, signature_pb2
from ketgate.signing.v1 import key_service_pb2 as pb
from ketgate.signing.v1 import key_service_pb2_grpc as services
from ketgate.signing.v1 import signing_service_pb2 as use_pb
from ketgate.signing.v1 import signing_service_pb2_grpc as use_services
from ketgate_server.tokens import TokenStore

from ..conftest import ServerProcess, launch

ROUNDS = 3
CALLERS = 3
ANSWERS_MIN = 15
"""Of each caller in each round, before the end is near."""
TIMEOUT_S = 60.0
METHODS = {"Sign", "SignBatch", "SignStream", "IssueCertificate", "ApproveKeyChange"}
APPLIED = key_pb2.KEY_CHANGE_STATE_APPLIED

Metadata = tuple[tuple[str, str], ...]


@dataclass
class Asked:
    """A call with a request id."""

    method: str
    request: Any
    """Of a stream, its messages."""
    reply: bytes = b""

    def call(self, channel: grpc.Channel, metadata: Metadata) -> Any:
        stubs: list[Any] = [services.KeyServiceStub(channel)]
        stubs.append(use_services.SigningServiceStub(channel))
        stub = next(stub for stub in stubs if hasattr(stub, self.method))
        request = iter(self.request) if isinstance(self.request, list) else self.request
        return getattr(stub, self.method)(request, metadata=metadata, timeout=TIMEOUT_S)


@dataclass
class Caller:
    """Uses one key, one call after another, until the server is gone."""

    number: int
    running: ServerProcess
    approver: Metadata
    round: int
    answered: list[Asked] = field(default_factory=list)
    unanswered: list[Asked] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)
    """Of which a signature was answered."""
    wrong: list[str] = field(default_factory=list)

    @property
    def key(self) -> str:
        return f"keys/u-{self.round}-{self.number}"

    def run(self) -> None:
        randomness = random.Random(f"{self.round} {self.number}")
        with self.running.channel() as channel:
            try:
                self._create(channel)
                for step in range(10_000):
                    self._step(channel, randomness.choice(sorted(METHODS)), step)
            except grpc.RpcError as error:
                if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                    self.wrong.append(f"{error.code()}: {error.details()}")

    def _create(self, channel: grpc.Channel) -> None:
        request = pb.CreateKeyRequest(
            key_id=self.key.removeprefix("keys/"),
            algorithm="ALGORITHM_ML_DSA_44",
            policy=policy(b"first"),
        )
        services.KeyServiceStub(channel).CreateKey(
            request, metadata=self.running.metadata, timeout=TIMEOUT_S
        )

    def _step(self, channel: grpc.Channel, method: str, step: int) -> None:
        request_id, message = os.urandom(8).hex(), f"{self.key} {step}".encode()
        start = use_pb.SignRequest(key=self.key, request_id=request_id)
        match method:
            case "Sign":
                start.message = message
                self._ask(channel, Asked(method, start))
                self.messages.append(message)
            case "SignBatch":
                items = [signature_pb2.SignItem(message=message)] * 2
                request = use_pb.SignBatchRequest(key=self.key, items=items, request_id=request_id)
                self._ask(channel, Asked(method, request))
            case "SignStream":
                parts = [{"start": start}, {"chunk": message[:5]}, {"chunk": message[5:]}]
                self._ask(channel, Asked(method, [use_pb.SignStreamRequest(**p) for p in parts]))
                self.messages.append(message)
            case "IssueCertificate":
                order = {"issuer": "CN=Desk", "validity": {"seconds": 60}}
                request = use_pb.IssueCertificateRequest(
                    key=self.key, request_id=request_id, **order
                )
                self._ask(channel, Asked(method, request))
            case "ApproveKeyChange":
                wanted = pb.SetKeyPolicyRequest(name=self.key, policy=policy(message))
                wanted.request_id = request_id
                made = self._ask(channel, Asked("SetKeyPolicy", wanted))
                approval = pb.ApproveKeyChangeRequest(name=made.change.name, request_id=request_id)
                self._ask(channel, Asked(method, approval), self.approver)

    def _ask(self, channel: grpc.Channel, asked: Asked, metadata: Metadata | None = None) -> Any:
        self.unanswered.append(asked)
        reply = asked.call(channel, metadata or self.running.metadata)
        self.unanswered.pop()
        asked.reply = reply.SerializeToString()
        self.answered.append(asked)
        return reply


def policy(context: bytes) -> key_pb2.KeyPolicy:
    """One that takes an approval to change, and by whose context it is known."""
    quorum = key_pb2.Quorum(approvals_needed=1, approvers=["approver"])
    return key_pb2.KeyPolicy(quorum=quorum, contexts=[b"", context])


def serve_and_kill(running: ServerProcess, approver: Metadata, number: int) -> list[Caller]:
    """Callers at work until the server is killed amid it."""
    callers = [Caller(i, running, approver, number) for i in range(CALLERS)]
    threads = [threading.Thread(target=caller.run) for caller in callers]
    for thread in threads:
        thread.start()
    end_s = time.monotonic() + TIMEOUT_S
    while min(len(caller.answered) for caller in callers) < ANSWERS_MIN + number:
        assert time.monotonic() < end_s, [caller.wrong for caller in callers]
        time.sleep(0.003)  # another process's work: there is nothing to wait on
    os.kill(running.process.pid, signal.SIGKILL)
    running.process.wait()
    for thread in threads:
        thread.join()
    assert not any(caller.wrong for caller in callers), [caller.wrong for caller in callers]
    return callers


def check(running: ServerProcess, caller: Caller) -> None:
    """What was answered is answered again; what was not can be asked again, and holds from then on."""

    def again(asked: Asked) -> bytes:
        approval = asked.method == "ApproveKeyChange"
        metadata = caller.approver if approval else running.metadata
        return bytes(asked.call(channel, metadata).SerializeToString())

    with running.channel() as channel:
        check_policies(channel, running.metadata, caller)
        for asked in caller.answered:
            assert again(asked) == asked.reply, asked.method
        for asked in caller.unanswered:
            assert again(asked) == again(asked), asked.method
        check_policies(channel, running.metadata, caller)


def check_policies(channel: grpc.Channel, metadata: Metadata, caller: Caller) -> None:
    """The key's policy is that of the last change that was applied, and all that were answered are."""
    stub = services.KeyServiceStub(channel)
    options: dict[str, Any] = {"metadata": metadata, "timeout": TIMEOUT_S}
    changes = list(list_changes(lambda r: stub.ListKeyChanges(r, **options), caller.key))
    applied = [change for change in changes if change.state == APPLIED]
    approved = {a.request.name for a in caller.answered if a.method == "ApproveKeyChange"}
    assert approved <= {change.name for change in applied}
    newest = max(applied, key=lambda c: c.end_time.ToNanoseconds(), default=None)
    found = stub.GetKey(pb.GetKeyRequest(name=caller.key), **options).key.policy
    assert found == (policy(b"first") if newest is None else newest.set_policy)


def list_changes(call: Callable[[Any], Any], key: str) -> Iterator[Any]:
    token = ""
    while True:
        page = call(pb.ListKeyChangesRequest(key=key, page_token=token))
        yield from page.changes
        token = page.next_page_token
        if not token:
            return


def check_audit(running: ServerProcess, callers: list[Caller]) -> None:
    """The log is whole, and tells of every message whose signature was answered."""
    with ketgate.connect(ready_file=running.ready_file) as client:
        client.audit.verify()
        told = {entry.facts.get("content_sha256") for entry in client.audit.entries()}
    for caller in callers:
        assert {hashlib.sha256(message).hexdigest() for message in caller.messages} <= told


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


@pytest.mark.timeout(300)
def test_a_server_that_is_killed_amid_uses_of_keys(folder: Path) -> None:
    running, methods = launch(folder), set[str]()
    tokens = TokenStore.open(running.data_dir)
    secret, _ = tokens.create("approver", roles=("server.reader",))
    tokens.close()
    approver = (("authorization", f"Bearer {secret}"),)
    try:
        for number in range(ROUNDS):
            callers = serve_and_kill(running, approver, number)
            methods |= {asked.method for caller in callers for asked in caller.answered}
            running = launch(folder, data_dir=running.data_dir)
            for caller in callers:
                check(running, caller)
            check_audit(running, callers)
        assert methods >= METHODS
    finally:
        running.process.kill()
        running.process.wait()
