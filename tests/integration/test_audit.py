"""The audit log of a real server: what a user, an auditor and a tamperer find in it."""

import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import ketgate
import pytest
from click.testing import Result
from ketgate._cli.app import build
from ketgate.audit.v1 import audit_service_pb2 as pb
from ketgate_server.tokens import TokenStore
from typer.testing import CliRunner

TIMEOUT_S = 200.0
BEGINNING = [
    "log.created",
    "signing.kek.created",
    "audit.key.created",
    "server.started",
    "token.created",
]
SERVICE = "/ketgate.audit.v1.AuditService"


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def command(server: Any | None, *arguments: object) -> Result:
    """Run `ketgate audit` in this process, which saves it a start."""
    environment = {name: None for name in os.environ if name.startswith("KETGATE_")}
    if server is not None:
        environment["KETGATE_READY_FILE"] = str(server.ready_file)
    words = ["audit", *map(str, arguments)]
    return CliRunner().invoke(build(words), words, env=environment | {"COLUMNS": "120"})


def tampered(run: Result) -> str:
    assert isinstance(run.exception, ketgate.AuditTampered), run.output
    return str(run.exception)


def connect(server: Any, **options: Any) -> ketgate.Client:
    return ketgate.connect(ready_file=server.ready_file, **options)


def new_token(server: Any, name: str, tenant: str, role: str) -> str:
    store = TokenStore.open(server.data_dir)
    try:
        return store.create(name, tenant=tenant, roles=(role,))[0]
    finally:
        store.close()


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(ketgate.KetgateError) as caught:
        call()
    return caught.value.reason


def test_a_log_from_the_first_start_to_an_auditor_s_desk(start_server: Any, tmp_path: Path) -> None:
    server = start_server()
    with connect(server) as admin:
        assert [entry.action for entry in admin.audit.entries()] == BEGINNING
        with connect(server, token="kg_wrong") as stranger:
            assert refused(stranger.info) == "TOKEN_INVALID"
        user = new_token(server, "auditor", "desk", "audit.reader")
        with connect(server, token=user) as reader:
            assert refused(lambda: reader.audit.redact(1, "no right to")) == "ROLE_MISSING"
            # The failed login and the refusal may still be on their way to the store.
            admin.audit.redact(1, "a test")
            found = {entry.action: entry for entry in admin.audit.entries()}
            failed = found["login.failed"]
            assert (failed.actor, failed.outcome) == ("unknown", "TOKEN_INVALID")
            entries = [e for e in admin.audit.entries() if e.action == f"{SERVICE}/RedactEntry"]
            assert [(e.actor, e.tenant, e.outcome) for e in entries] == [
                ("auditor", "desk", "ROLE_MISSING"),
                ("admin", "", "OK"),
            ]
            mine = list(reader.audit.entries())
            assert {e.actor for e in mine if not e.withheld and not e.redacted} == {
                "auditor",
                "command",
            }
            assert reader.audit.verify().withheld > 0
        exported = tmp_path / "log.jsonl"
        size = admin.audit.export(exported).head.size
    server.process.kill()
    server.process.wait()
    checked = command(None, "verify", exported, "--json")
    told = json.loads(checked.stdout)
    assert (told["size"], told["redacted"], told["warning"]) == (size, 1, None)
    exported.write_text(exported.read_text().replace('"index":2,', '"index":3,'))
    assert "expected entry 2, found entry 3" in tampered(command(None, "verify", exported))


def test_commands(start_server: Any, tmp_path: Path) -> None:
    server = start_server()
    head = json.loads(command(server, "head", "--json").stdout)
    assert (head["size"], len(head["root"])) == (5, 64)
    assert head["algorithm"] == "ML-DSA-65"
    assert "server.started" in command(server, "list").stdout
    [last] = json.loads(command(server, "list", "--count", 1, "--json").stdout)
    assert (last["action"], last["tenant"]) == ("token.created", "default")
    proof = json.loads(command(server, "prove", 3).stdout)
    assert proof["entry"]["action"] == "server.started"
    exported = tmp_path / "log.jsonl"
    assert command(server, "export", exported).exit_code == 0
    [offline] = json.loads(command(None, "list", "--file", exported, "--count", 1, "--json").stdout)
    assert offline == last
    assert "says nothing any more" in command(server, "redact", 3, "--reason", "a test").stdout
    assert "the log is whole: 6 entries (1 redacted)" in command(server, "verify").stdout
    assert "--start: expected an entry that there is" in str(
        command(server, "list", "--start", 9999).exception
    )
    (tmp_path / "order.txt").write_text("buy 100")
    none = command(None, "verify", tmp_path / "order.txt")
    assert isinstance(none.exception, ketgate.InvalidArgument)
    assert "`ketgate audit export` writes one" in str(none.exception)
    wrong = command(None, "verify", exported, "--key", "0" * 64)
    assert "should be by 000" in tampered(wrong)


def test_a_database_that_was_edited_is_noticed(start_server: Any) -> None:
    """Somebody with the files, but not the key's use at the right time: the log was signed before."""
    server = start_server()
    with connect(server) as client:
        before = client.audit.head()
        [database] = Path(server.data_dir).glob("*.db")
        connection = sqlite3.connect(database, timeout=200.0)
        with connection:
            connection.execute("UPDATE audit_entries SET commitment = zeroblob(32) WHERE idx = 1")
        connection.close()
        with pytest.raises(ketgate.AuditTampered, match="entry 1: what it says is not"):
            client.audit.verify()
        with pytest.raises(ketgate.AuditTampered, match="entry 1"):
            client.audit.prove(1)
        assert client.audit.head().root == before.root


def test_the_log_goes_on_after_a_kill(start_server: Any) -> None:
    server = start_server()
    with connect(server) as client:
        before = client.audit.head()
    server.process.kill()
    server.process.wait()
    again = start_server(data_dir=server.data_dir)
    with connect(again) as client:
        after = client.audit.verify()
        assert (after.head.log_id, after.head.key_id) == (before.log_id, before.key_id)
        actions = [entry.action for entry in client.audit.entries()]
        assert actions[:6] == [*BEGINNING, "server.started"]
    assert again.stop() == 0
    third = start_server("--log-level", "debug", data_dir=server.data_dir)
    with connect(third) as client:
        *_, stopped, started, changed = client.audit.entries(6)
        assert (stopped.action, started.action) == ("server.stopped", "server.started")
        assert changed.action == "settings.changed"
        assert changed.facts["log_level"] == "info -> debug"


def test_the_key_is_rotated_while_the_server_runs(start_server: Any, tmp_path: Path) -> None:
    server = start_server()
    with connect(server) as client:
        before = client.audit.head()
        exported = tmp_path / "before.jsonl"
        client.audit.export(exported)
        run = command(None, "rotate-key", "--data-dir", server.data_dir)
        assert run.exit_code == 0, run.output
        after = client.audit.verify().head
        assert (after.log_id, after.algorithm) == (before.log_id, "ML-DSA-65")
        assert after.key_id != before.key_id
        assert after.key_id in run.output
        client.audit.export(tmp_path / "after.jsonl")
    again = command(None, "verify", tmp_path / "after.jsonl", "--key", before.key_id)
    assert (again.exit_code, "the key was rotated" in again.output) == (0, True)
    assert "should be by" in tampered(command(None, "verify", exported, "--key", after.key_id))
    # Whoever followed the rotation knows the key before: what was exported until then is no forgery.
    seen = command(None, "verify", exported)
    assert (seen.exit_code, "warning" in seen.output) == (0, False)
    pins = Path(os.environ["XDG_STATE_HOME"]) / "ketgate" / "audit-pins.json"
    told = json.loads(pins.read_text())
    told["logs"][after.log_id]["heads"] = told["logs"][after.log_id]["heads"][-1:]
    pins.write_text(json.dumps(told))
    unseen = command(None, "verify", exported)
    assert (unseen.exit_code, "was signed with until it was rotated" in unseen.output) == (0, True)
    assert server.stop() == 0
    restarted = start_server(data_dir=server.data_dir)
    with connect(restarted, retry=None) as client:
        assert client.audit.head(accept=True).key_id == after.key_id


def test_a_log_of_an_earlier_version_goes_on(start_server: Any, tmp_path: Path) -> None:
    """It was signed by an Ed25519 key in a file, of which the log says nothing that the server reads."""
    data_dir = tmp_path / "store"
    server = start_server("--set", f"audit_key_file={data_dir}/keys/audit.pem")
    with connect(server) as client:
        before = client.audit.head()
    assert before.algorithm == "Ed25519"
    assert server.stop() == 0
    [database] = Path(server.data_dir).glob("*.db")
    connection = sqlite3.connect(database, timeout=200.0)
    with connection:
        connection.execute("DELETE FROM audit_keys")
    connection.close()
    pins = Path(os.environ["XDG_STATE_HOME"]) / "ketgate" / "audit-pins.json"
    address = (
        json.loads(server.ready_file.read_text())["address"] if server.ready_file.exists() else ""
    )
    assert pins.exists()
    again = start_server("--listen", address or "127.0.0.1:0", data_dir=server.data_dir)
    with connect(again) as client:
        client.audit._log.server = next(iter(json.loads(pins.read_text())["servers"]))
        after = client.audit.head()
        assert (after.log_id, after.algorithm) == (before.log_id, "ML-DSA-65")
        [rotation] = after.rotations
        assert rotation.facts["previous_key_id"] == before.key_id


def test_bad_requests(channel: grpc.Channel, metadata: Any) -> None:
    call = channel.unary_unary(f"{SERVICE}/GetInclusionProof")
    request = pb.GetInclusionProofRequest(index=1 << 62)
    with pytest.raises(grpc.RpcError) as caught:
        call(request.SerializeToString(), metadata=metadata, timeout=TIMEOUT_S)
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error.details().startswith("index: expected 0 to ")
