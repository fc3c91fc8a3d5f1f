"""A server that is killed while keys are made, rotated, imported and changed: what was answered is there,
nothing is half made, and repeats get the same answers."""

import os
import random
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from ketgate.signing.v1 import key_pb2
from ketgate.signing.v1 import key_service_pb2 as pb
from ketgate.signing.v1 import key_service_pb2_grpc as services
from ketgate.signing.v1 import signing_service_pb2 as use_pb
from ketgate.signing.v1 import signing_service_pb2_grpc as use_services
from ketgate_server.signing.keys.wrapping import Wrapping, wrap

from ..conftest import ServerProcess, launch

ROUNDS = 4
CALLERS = 3
ANSWERS_MIN = 12
"""In each round, before the end is near."""
TIMEOUT_S = 60.0


@dataclass
class Answered:
    """A call that was answered, and its answer's bytes."""

    method: str
    request: Any
    reply: bytes


@dataclass
class Caller:
    """Changes keys of its own, one call after another, until the server is gone."""

    number: int
    running: ServerProcess
    round: int
    answered: list[Answered] = field(default_factory=list)
    asked: list[tuple[str, Any]] = field(default_factory=list)
    """Without an answer: it may be done or not."""
    wrong: list[str] = field(default_factory=list)

    def run(self) -> None:
        randomness = random.Random(f"{self.round} {self.number}")
        with self.running.channel() as channel:
            stub = services.KeyServiceStub(channel)
            try:
                for step in range(10_000):
                    self._step(stub, randomness, step)
            except grpc.RpcError as error:
                if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                    self.wrong.append(f"{error.code()}: {error.details()}")

    def _step(self, stub: Any, randomness: random.Random, step: int) -> None:
        key_id = f"k-{self.round}-{self.number}-{step // 8}"
        name = f"keys/{key_id}"
        if step % 8 == 0:
            algorithm = randomness.choice(["ALGORITHM_ED25519", "ALGORITHM_ML_DSA_44"])
            self._call(stub, "CreateKey", pb.CreateKeyRequest(key_id=key_id, algorithm=algorithm))
            return
        version = f"{name}/versions/1"
        match randomness.choice(["rotate", "import", "import", "disable", "enable", "destroy"]):
            case "rotate":
                self._call(stub, "RotateKey", pb.RotateKeyRequest(name=name))
            case "import":
                self._import(stub, f"{key_id}-i{step}")
            case "disable":
                self._call(stub, "DisableKeyVersion", pb.DisableKeyVersionRequest(name=version))
                self._call(stub, "EnableKeyVersion", pb.EnableKeyVersionRequest(name=version))
            case "enable":
                mask = FieldMask(paths=["labels"])
                key = key_pb2.Key(name=name, labels={"step": str(step)})
                self._call(stub, "UpdateKey", pb.UpdateKeyRequest(key=key, update_mask=mask))
            case "destroy":
                self._call(stub, "DestroyKeyVersion", pb.DestroyKeyVersionRequest(name=version))
                self._call(stub, "RestoreKeyVersion", pb.RestoreKeyVersionRequest(name=version))
                self._call(stub, "EnableKeyVersion", pb.EnableKeyVersionRequest(name=version))

    def _import(self, stub: Any, key_id: str) -> None:
        how = Wrapping.ML_KEM_768_AES_256_GCM
        wanted = pb.CreateWrappingKeyRequest(wrapping_algorithm=f"WRAPPING_ALGORITHM_{how.value}")
        made = self._call(stub, "CreateWrappingKey", wanted).wrapping_key
        wrapped = wrap(how, made.public_key, os.urandom(32), "wrapped_key")
        request = pb.ImportKeyRequest(
            key_id=key_id,
            algorithm="ALGORITHM_ED25519",
            wrapped=pb.WrappedKey(wrapping_key=made.name, wrapped_key=wrapped),
        )
        self._call(stub, "ImportKey", request)

    def _call(self, stub: Any, method: str, request: Any) -> Any:
        request.request_id = os.urandom(8).hex()
        self.asked.append((method, request))
        reply = getattr(stub, method)(request, metadata=self.running.metadata, timeout=TIMEOUT_S)
        self.asked.pop()
        self.answered.append(Answered(method, request, reply.SerializeToString()))
        return reply


def serve_and_kill(running: ServerProcess, number: int) -> list[Caller]:
    """Callers at work until the server is killed amid it."""
    callers = [Caller(i, running, number) for i in range(CALLERS)]
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
    return callers


def check(running: ServerProcess, callers: list[Caller]) -> None:
    """What was answered is answered again; what was asked can be asked again; all keys work."""
    with running.channel() as channel:
        stub, use = services.KeyServiceStub(channel), use_services.SigningServiceStub(channel)
        options = {"metadata": running.metadata, "timeout": TIMEOUT_S}
        for caller in callers:
            assert not caller.wrong, caller.wrong
            for done in caller.answered:
                again = getattr(stub, done.method)(done.request, **options)
                assert again.SerializeToString() == done.reply, done.method
            for method, request in caller.asked:
                once = getattr(stub, method)(request, **options)
                assert getattr(stub, method)(request, **options) == once
        keys = list_all(stub, options)
        named = {
            done.request.key_id
            for c in callers
            for done in c.answered
            if done.method == "CreateKey"
        }
        assert named <= {key.name.removeprefix("keys/") for key in keys}
        for key in keys:
            versions = stub.ListKeyVersions(
                pb.ListKeyVersionsRequest(key=key.name), **options
            ).versions
            assert [found.version for found in versions] == list(range(len(versions), 0, -1))
            for found in versions:
                if found.state != key_pb2.KEY_VERSION_STATE_ENABLED:
                    continue
                message = {"key": found.name, "message": found.name.encode()}
                made = use.Sign(use_pb.SignRequest(**message), **options).signature
                proof = use_pb.VerifyRequest(**message, signature=made.signature)
                assert use.Verify(proof, **options).verdict.valid


def list_all(stub: Any, options: dict[str, Any]) -> list[Any]:
    found, token = [], ""
    while True:
        page = stub.ListKeys(pb.ListKeysRequest(page_token=token), **options)
        found += page.keys
        token = page.next_page_token
        if not token:
            return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


@pytest.mark.timeout(300)
def test_a_server_that_is_killed_amid_changes_of_keys(folder: Path) -> None:
    running, methods = launch(folder), set[str]()
    try:
        for number in range(ROUNDS):
            callers = serve_and_kill(running, number)
            methods |= {done.method for caller in callers for done in caller.answered}
            running = launch(folder, data_dir=running.data_dir)
            check(running, callers)
        assert {"CreateKey", "RotateKey", "ImportKey", "DestroyKeyVersion"} <= methods
    finally:
        running.process.kill()
        running.process.wait()
