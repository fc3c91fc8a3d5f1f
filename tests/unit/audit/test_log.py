"""Entries: in the order of commits, with the effect or not at all."""

from hashlib import sha256

import pytest
from ketgate.audit.v1 import audit_service_pb2 as pb
from ketgate_server.audit import log
from ketgate_server.audit.log import Fact
from ketgate_server.errors import FieldError
from ketgate_server.store.base import Store, Transaction

from tests.unit.audit.conftest import append, fact


def rows(store: Store) -> list[tuple[int, str, bytes, bytes, bytes]]:
    with store.read() as reader:
        return reader.rows(
            "SELECT idx, tenant, commitment, salt, payload FROM audit_entries ORDER BY idx"
        )


def test_an_entry_says_what_it_was_given(store: Store) -> None:
    salt, seen = log.new_salt(), []

    def operation(tx: Transaction) -> int:
        seen.append(tx.now_us)
        return log.record(
            tx,
            actor="ci",
            tenant="acme",
            action="/ketgate.jobs.v1.JobService/CreateJob",
            resource="jobs/1",
            outcome="OK",
            request_digest=b"d" * 32,
            call_id="call",
            facts={"b": "2", "a": "1"},
            salt=salt,
        )

    assert store.run(operation) == 0
    [(index, tenant, commitment, stored_salt, payload)] = rows(store)
    assert (index, tenant, stored_salt) == (0, "acme", salt)
    assert commitment == sha256(salt + payload).digest()
    message = pb.AuditPayload.FromString(payload)
    assert message.time.ToMicroseconds() == seen[0]
    assert (message.tenant, message.actor, message.resource) == ("acme", "ci", "jobs/1")
    assert message.action == "/ketgate.jobs.v1.JobService/CreateJob"
    assert (message.outcome, message.call_id) == ("OK", "call")
    assert message.request_digest == b"d" * 32
    assert dict(message.facts) == {"a": "1", "b": "2"}


def test_indices_have_no_gaps_whatever_fails(store: Store) -> None:
    assert append(store, 3) == 0

    def refused(tx: Transaction) -> None:
        raise FieldError("name", expected="something else", given="this")

    with pytest.raises(FieldError):
        store.run(refused)
    with pytest.raises(ValueError, match="salt: expected 32 bytes, given 4"):
        store.run(lambda tx: log.record_many(tx, [fact(0), fact(1, salt=b"salt")]))
    assert append(store, 2) == 3
    assert store.run(lambda tx: log.record_many(tx, [])) == 5
    assert [row[0] for row in rows(store)] == [0, 1, 2, 3, 4]


def test_an_operation_that_is_repeated_writes_the_same(store: Store) -> None:
    """A batch that fails as a whole is run again, one by one: the same facts give the same salts."""
    one = Fact("a", "default", "test.done")
    first = log.record_many
    store.run(lambda tx: (first(tx, [one]), first(tx, [one]))[1])
    [(_, _, _, salt, payload), (_, _, _, again, same)] = rows(store)
    assert (salt, payload) == (again, same)


def test_salts_differ(store: Store) -> None:
    append(store, 100)
    assert len({row[3] for row in rows(store)}) == 100


def test_a_log_is_made_once(store: Store) -> None:
    for _ in range(2):
        store.run(log.create(log.new_salt()))
    [(index, tenant, _, _, payload)] = rows(store)
    assert (index, tenant) == (0, "")
    assert pb.AuditPayload.FromString(payload).action == "log.created"
