"""AuditService: heads and proofs that a client can check, and who sees what."""

from pathlib import Path

import pytest
from ketgate._merkle import leaf_hash, verify_consistency, verify_inclusion
from ketgate._tree_head import log_id, open_head
from ketgate.audit.v1 import audit_service_pb2 as pb
from ketgate_server.audit.heads import Heads
from ketgate_server.audit.sequencer import Sequencer
from ketgate_server.audit.signer import open_signer
from ketgate_server.errors import FieldError, KetgateError, Reason
from ketgate_server.rpc.call import Service
from ketgate_server.store.base import Store

from tests.unit.audit.conftest import Caller, append, payload

SIZE = 300


def head(caller: Caller) -> pb.TreeHead:
    return open_head(caller("GetSignedTreeHead", pb.GetSignedTreeHeadRequest()).head)


def entries(caller: Caller, **request: object) -> pb.ListEntriesResponse:
    return caller("ListEntries", pb.ListEntriesRequest(**request))


@pytest.fixture(autouse=True)
def _entries(store: Store) -> None:
    append(store, SIZE // 2)
    append(store, SIZE // 2, tenant="other", first=SIZE // 2)


def test_a_head_says_the_newest_size_and_root(store: Store, reader: Caller) -> None:
    first = head(reader)
    assert first.size == SIZE
    assert first.log_id == log_id(entries(reader).entries[0].commitment)
    assert len(first.log_id) == 32
    append(store, 1)
    second = head(reader)
    assert (second.size, second.log_id) == (SIZE + 1, first.log_id)
    assert second.root_hash != first.root_hash
    assert second.time.ToMicroseconds() >= first.time.ToMicroseconds()


def test_a_head_of_an_empty_log(store: Store, reader: Caller) -> None:
    store.run(lambda tx: tx.execute("DELETE FROM audit_entries"))
    assert head(reader).size == 0


def test_heads_are_signed_once_for_a_while(
    store: Store, sequencer: Sequencer, tmp_path: Path
) -> None:
    now = [100.0]
    made = Heads(store, open_signer(tmp_path / "audit.pem"), lambda _: None, lambda: now[0])
    sequencer.catch_up(60.0)
    first = made.at(SIZE)
    now[0] += 0.99
    assert made.at(SIZE) is first
    assert made.at(SIZE - 1) is not first
    first = made.at(SIZE)
    now[0] += 1.01
    assert made.at(SIZE) is not first


def test_proofs_verify_against_heads(store: Store, reader: Caller) -> None:
    old = head(reader)
    append(store, 77)
    new = head(reader)
    told = reader("GetConsistencyProof", pb.GetConsistencyProofRequest(old_size=old.size))
    assert told.new_size == new.size
    assert verify_consistency(
        old.size, old.root_hash, told.new_size, new.root_hash, list(told.hashes)
    )
    for of in (old, new):
        for index in (0, 1, 149, 255, 256, 299):
            request = pb.GetInclusionProofRequest(index=index, size=of.size)
            proof = reader("GetInclusionProof", request)
            entry = entries(reader, start_index=index, page_size=1).entries[0]
            assert proof.leaf_hash == leaf_hash(entry.commitment)
            assert verify_inclusion(
                proof.leaf_hash, index, proof.size, list(proof.hashes), of.root_hash
            )


@pytest.mark.parametrize(
    ("method", "request_", "field"),
    [
        ("GetInclusionProof", pb.GetInclusionProofRequest(index=SIZE), "index"),
        ("GetInclusionProof", pb.GetInclusionProofRequest(index=-1), "index"),
        ("GetInclusionProof", pb.GetInclusionProofRequest(index=5, size=5), "index"),
        ("GetInclusionProof", pb.GetInclusionProofRequest(size=SIZE + 1), "size"),
        ("GetInclusionProof", pb.GetInclusionProofRequest(size=-1), "size"),
        ("GetConsistencyProof", pb.GetConsistencyProofRequest(old_size=-1), "old_size"),
        ("GetConsistencyProof", pb.GetConsistencyProofRequest(old_size=SIZE + 1), "old_size"),
        ("GetConsistencyProof", pb.GetConsistencyProofRequest(old_size=5, new_size=4), "old_size"),
        ("GetConsistencyProof", pb.GetConsistencyProofRequest(new_size=SIZE + 1), "new_size"),
        ("ListEntries", pb.ListEntriesRequest(start_index=-1), "start_index"),
        ("ListEntries", pb.ListEntriesRequest(page_size=-1), "page_size"),
        ("ListEntries", pb.ListEntriesRequest(page_token="-1"), "page_token"),
        ("ListEntries", pb.ListEntriesRequest(page_token="9" * 30), "page_token"),
        ("RedactEntry", pb.RedactEntryRequest(index=-1, reason="x"), "index"),
        ("RedactEntry", pb.RedactEntryRequest(index=1), "reason"),
        ("RedactEntry", pb.RedactEntryRequest(index=1, reason="x" * 201), "reason"),
        ("RedactEntry", pb.RedactEntryRequest(index=1, reason="a\nb"), "reason"),
        (
            "RedactEntry",
            pb.RedactEntryRequest(index=1, reason="x", request_id="ü"),
            "request_id",
        ),
    ],
)
def test_requests_that_ask_for_what_is_not_there(
    admin: Caller, method: str, request_: object, field: str
) -> None:
    with pytest.raises(FieldError) as caught:
        admin(method, request_)
    assert caught.value.field == field


def test_pages(reader: Caller) -> None:
    seen, token = [], ""
    while True:
        page = entries(reader, start_index=3, page_size=70, page_token=token)
        seen += [entry.index for entry in page.entries]
        token = page.next_page_token
        if not token:
            break
    assert seen == list(range(3, SIZE))
    assert len(entries(reader).entries) == 100
    assert len(entries(reader, page_size=100_000).entries) == SIZE
    assert not entries(reader, start_index=SIZE).entries


def test_other_tenants_entries_are_withheld(reader: Caller, admin: Caller) -> None:
    mine = entries(reader, page_size=1000).entries
    for entry in mine[: SIZE // 2]:
        assert payload(entry).tenant == "default"
        assert len(entry.salt) == 32
    for entry in mine[SIZE // 2 :]:
        assert (entry.salt, entry.payload, entry.redacted) == (b"", b"", False)
        assert len(entry.commitment) == 32
    everything = entries(admin, page_size=1000).entries
    assert [e.commitment for e in everything] == [e.commitment for e in mine]
    assert {payload(entry).tenant for entry in everything} == {"default", "other"}


def test_roles(service: Service) -> None:
    roles = {name: method.role for name, method in service.methods.items()}
    assert roles.pop("RedactEntry") == "admin"
    assert set(roles.values()) == {"audit.reader"}


def redaction(index: int = 200, reason: str = "erasure", request_id: str = "") -> object:
    return pb.RedactEntryRequest(index=index, reason=reason, request_id=request_id)


def test_redacting_drops_what_was_said_and_keeps_the_tree(
    store: Store, admin: Caller, reader: Caller
) -> None:
    before = head(reader)
    commitment = entries(reader, start_index=200, page_size=1).entries[0].commitment
    entry = admin("RedactEntry", redaction()).entry
    expected = pb.AuditEntry(index=200, commitment=commitment, redacted=True)
    assert entry == expected
    assert entries(admin, start_index=200, page_size=1).entries[0] == expected
    after = head(reader)
    assert after.size == SIZE + 1
    told = reader("GetConsistencyProof", pb.GetConsistencyProofRequest(old_size=SIZE))
    assert verify_consistency(
        SIZE, before.root_hash, after.size, after.root_hash, list(told.hashes)
    )
    with store.read() as read:
        assert not read.rows(
            "SELECT 1 FROM audit_entries WHERE idx = 200 AND "
            "(salt IS NOT NULL OR payload IS NOT NULL)"
        )


def test_a_redaction_is_an_entry_of_the_tenant_that_it_concerns(admin: Caller) -> None:
    admin("RedactEntry", redaction(reason="asked by the person"))
    said = payload(entries(admin, start_index=SIZE).entries[0])
    assert (said.actor, said.tenant, said.resource) == ("root", "other", "audit/200")
    assert said.action == "/ketgate.audit.v1.AuditService/RedactEntry"
    assert dict(said.facts) == {"reason": "asked by the person"}
    assert len(said.request_digest) == 32
    assert said.call_id == "call-1"


def test_redacting_again_changes_nothing(admin: Caller, reader: Caller) -> None:
    first = admin("RedactEntry", redaction(request_id="one"))
    for repeat in (redaction(request_id="one"), redaction(request_id="two"), redaction()):
        assert admin("RedactEntry", repeat) == first
    assert head(reader).size == SIZE + 1
    with pytest.raises(KetgateError) as caught:
        admin("RedactEntry", redaction(index=7, request_id="one"))
    assert caught.value.reason is Reason.REQUEST_ID_REUSED
    assert not entries(admin, start_index=7, page_size=1).entries[0].redacted


def test_redacting_what_is_not_there(admin: Caller, reader: Caller) -> None:
    with pytest.raises(KetgateError) as caught:
        admin("RedactEntry", redaction(index=SIZE, request_id="one"))
    assert caught.value.reason is Reason.RESOURCE_NOT_FOUND
    admin("RedactEntry", redaction(index=7, request_id="one"))  # a refusal does not take the id
    assert head(reader).size == SIZE + 1
