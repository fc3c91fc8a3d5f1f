"""Keys of the log that follow each other: what is recorded, and what a client takes for proven."""

import base64
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from ketgate._audit import Audit
from ketgate._audit_check import LogCheck
from ketgate._audit_export import export_head, verify_export
from ketgate._audit_log import newest
from ketgate._audit_pins import Pins
from ketgate._audit_rotation import follow
from ketgate._connect import Endpoint
from ketgate._flow import run
from ketgate._tree_head import AuditTampered, log_id
from ketgate.audit.v1 import audit_service_pb2 as pb
from ketgate_server.audit import keys, log, nodes
from ketgate_server.audit.sequencer import Sequencer
from ketgate_server.audit.service import create_service
from ketgate_server.audit.signer import Signer, open_signer
from ketgate_server.errors import FieldError, KetgateError
from ketgate_server.rpc.call import Identity, Service
from ketgate_server.store.base import Store

from tests.unit.audit.conftest import Caller, append, said
from tests.unit.audit.test_client import LoopClient, of

Serve = Callable[[Signer], Service]


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def signers(store: Store, tmp_path: Path) -> list[Signer]:
    """Keys, the first of which signs."""
    store.run(log.create(log.new_salt()))
    made = [open_signer(tmp_path / f"{i}.pem") for i in range(4)]
    keys.use(store, made[0], lambda _: None)
    return made


@pytest.fixture
def serve(store: Store, sequencer: Sequencer, signers: list[Signer]) -> Serve:
    known = {one.key_id: one for one in signers}
    return lambda signer: create_service(store, sequencer, signer, known.get)


def rotate(store: Store, old: Signer | None, new: Signer) -> None:
    keys.use(store, new, lambda _: old)


def auditor(service: Service) -> Audit:
    """Who may not read what the server's own entries say."""
    client = LoopClient(service)
    client.caller = Caller(service, Identity("auditor", "desk", frozenset({"audit.reader"})))
    return Audit(client)  # type: ignore[arg-type]


def test_a_key_is_recorded_once(store: Store, signers: list[Signer]) -> None:
    rotate(store, None, signers[0])
    rotate(store, signers[0], signers[1])
    rotate(store, signers[0], signers[1])
    assert [action for action, _, _ in said(store, 1)] == [keys.CREATED, "audit.key.rotated"]
    with store.read() as reader:
        assert keys.active(reader) == signers[1].key_id


def test_a_client_follows_keys_that_vouch_for_each_other(
    store: Store, signers: list[Signer], serve: Serve
) -> None:
    service = serve(signers[0])
    client = auditor(service)
    assert client.head().key_id == signers[0].key_id
    for old, new in pairwise(signers):
        append(store, 2)
        rotate(store, old, new)
    # The service has the first key still, and takes the last as it sees who signs.
    head = client.head()
    assert head.key_id == signers[3].key_id
    assert len(head.rotations) == 3
    assert Pins().log(head.log_id).key_id == signers[3].key_id  # type: ignore[union-attr]
    assert client.head().rotations == ()
    assert client.verify().head.key_id == signers[3].key_id


def test_who_knows_a_key_in_between_gets_the_rest(
    store: Store, signers: list[Signer], serve: Serve
) -> None:
    client = auditor(serve(signers[0]))
    rotate(store, signers[0], signers[1])
    client.head()
    rotate(store, signers[1], signers[2])
    assert [e.facts["key_id"] for e in client.head().rotations] == [signers[2].key_id]


def test_a_key_without_the_old_ones_signature_is_asked_about(
    store: Store, signers: list[Signer], serve: Serve
) -> None:
    client = auditor(serve(signers[0]))
    client.head()
    rotate(store, None, signers[1])
    assert said(store)[-1][0] == keys.REPLACED
    with pytest.raises(AuditTampered, match="did not sign for the new one") as caught:
        client.head()
    assert "--accept" in caught.value.remedy
    assert client.head(accept=True).key_id == signers[1].key_id


def test_a_gap_in_the_chain_is_asked_about(
    store: Store, signers: list[Signer], serve: Serve
) -> None:
    client = auditor(serve(signers[0]))
    client.head()
    rotate(store, None, signers[1])
    rotate(store, signers[1], signers[2])
    with pytest.raises(AuditTampered, match="did not sign for the new one"):
        client.head()


def forge(signers: list[Signer], how: str, facts: Any) -> None:
    if how == "other key":
        facts["public_key"] = base64.b64encode(signers[2].public_key).decode()
    elif how == "signature":
        facts["signature"] = base64.b64encode(signers[2].sign(b"x")).decode()
    elif how == "no base64":
        facts["signature"] = "!"
    elif how == "algorithm":
        facts["previous_algorithm"] = "none"
    else:
        del facts[how]


@pytest.mark.parametrize(
    "how", ["other key", "signature", "no base64", "algorithm", "public_key", "previous_key_id"]
)
def test_a_rotation_that_is_not_as_it_was_signed_is_refused(
    store: Store, signers: list[Signer], serve: Serve, how: str
) -> None:
    """Even with a commitment that fits: an operator who has the new key, but not the old."""
    from hashlib import sha256

    client, loop = of(serve(signers[0]))
    client.head()
    rotate(store, signers[0], signers[1])

    def change(name: str, answer: Any) -> Any:
        if name == "GetSignedTreeHead":
            [entry] = answer.head.rotations
            payload = pb.AuditPayload.FromString(entry.payload)
            forge(signers, how, payload.facts)
            entry.payload = payload.SerializeToString(deterministic=True)
            entry.commitment = sha256(entry.salt + entry.payload).digest()
        return answer

    loop.change = change
    with pytest.raises(AuditTampered):
        client.head()


def test_a_rotation_is_followed_at_another_address(
    store: Store, signers: list[Signer], serve: Serve
) -> None:
    """A server that was started again at another port was refused, as its rotations were not asked for: which log it
    has is told by its answer only."""
    before = of(serve(signers[0]))[0].head()
    rotate(store, signers[0], signers[1])
    elsewhere, _ = of(serve(signers[1]), Endpoint("127.0.0.1:7444", insecure=True))
    head = elsewhere.head()
    assert (head.log_id, head.key_id) == (before.log_id, signers[1].key_id)
    assert [entry.facts["previous_key_id"] for entry in head.rotations] == [before.key_id]


def test_a_rotation_must_be_in_the_log(store: Store, signers: list[Signer], serve: Serve) -> None:
    """The old key's holder may sign for another; what is not in the log is not followed."""
    client, loop = of(serve(signers[0]))
    client.head()
    append(store, 3)
    rotate(store, signers[0], signers[1])

    def change(name: str, answer: Any) -> Any:
        if name == "GetSignedTreeHead":
            answer.head.rotations[0].index -= 1
        return answer

    loop.change = change
    with pytest.raises(AuditTampered, match="cannot prove that it is in the log"):
        client.head()


def test_a_signature_for_another_log_is_none(store: Store, signers: list[Signer]) -> None:
    from ketgate._key_rotation import read_rotation

    rotate(store, signers[0], signers[1])
    facts = said(store)[-1][2]
    with store.read() as reader:
        name = log_id(bytes(nodes.commitments(reader, 0, 1)[0]))
    assert read_rotation(name, facts).key_id == signers[1].key_id
    with pytest.raises(AuditTampered, match="did not sign"):
        read_rotation("0" * 32, facts)


def test_an_export_brings_the_keys_along(
    store: Store, signers: list[Signer], serve: Serve, tmp_path: Path
) -> None:
    path = tmp_path / "log.jsonl"
    rotate(store, signers[0], signers[1])
    rotate(store, signers[1], signers[2])
    auditor(serve(signers[2])).export(path)
    verify_export(path)
    assert len(follow(export_head(path), signers[0].key_id)) == 2
    assert len(follow(export_head(path), signers[1].key_id)) == 1
    assert follow(export_head(path), signers[2].key_id) == []
    with pytest.raises(AuditTampered, match="did not sign"):
        follow(export_head(path), signers[3].key_id)


def test_a_log_without_the_entry_that_came_along_is_noticed(
    store: Store, signers: list[Signer], serve: Serve
) -> None:
    rotate(store, signers[0], signers[1])
    client = auditor(serve(signers[1]))
    head = run(newest(""), client._do)
    check = LogCheck(head, ())
    entries = [entry.raw for entry in client.entries()]
    check._rotations = {1: bytes(32)}
    check.add(entries[0])
    with pytest.raises(AuditTampered, match="entry 1 is not the one about a new key"):
        check.add(entries[1])


def test_entries_about_keys_are_not_redacted(
    store: Store, signers: list[Signer], serve: Serve
) -> None:
    rotate(store, signers[0], signers[1])
    admin = Caller(serve(signers[1]), Identity("root", "default", frozenset({"admin"})))
    for index in (1, 2):
        with pytest.raises(FieldError) as caught:
            admin("RedactEntry", pb.RedactEntryRequest(index=index, reason="erase"))
        assert caught.value.field == "index"


def test_a_server_without_the_new_key_says_so(
    store: Store, sequencer: Sequencer, signers: list[Signer]
) -> None:
    service = create_service(store, sequencer, signers[0], lambda _: None)
    rotate(store, signers[0], signers[1])
    with pytest.raises(KetgateError, match="its operator is to start it"):
        Caller(service, Identity("a", "default", frozenset({"admin"})))(
            "GetSignedTreeHead", pb.GetSignedTreeHeadRequest()
        )


@pytest.mark.parametrize("key", ["x", "0" * 63, "G" * 64])
def test_a_known_key_that_is_none(signers: list[Signer], serve: Serve, key: str) -> None:
    caller = Caller(serve(signers[0]), Identity("a", "default", frozenset({"admin"})))
    with pytest.raises(FieldError) as caught:
        caller("GetSignedTreeHead", pb.GetSignedTreeHeadRequest(known_key_id=key))
    assert caught.value.field == "known_key_id"
