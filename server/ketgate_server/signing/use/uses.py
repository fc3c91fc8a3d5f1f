"""Uses of private keys, written down before they are answered: the audit's entry, and with a request id
the reply, in one transaction that also sees whether a key was changed meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256

from ketgate_server.audit.log import Fact, record_many
from ketgate_server.errors import KetgateError
from ketgate_server.rpc.call import Call
from ketgate_server.signing.keys import rows
from ketgate_server.signing.keys.names import read_version
from ketgate_server.store import requests
from ketgate_server.store.base import Store, Transaction


class Stale(Exception):  # noqa: N818 - a state of what was read
    """The key was changed since it was read: do it again with what it is now."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that uses a private key."""

    call: Call
    request_id: str = ""
    digest: bytes = b""
    """As store.requests makes it."""
    taken: dict[str, int] = field(default_factory=dict, compare=False)
    """Uses that were counted for it already, by the keys' uids."""

    def with_content(self, content_sha256: bytes) -> Asked:
        """Of a message that came apart from its request."""
        return replace(self, digest=self.digest[:1] + sha256(self.digest + content_sha256).digest())


@dataclass(slots=True)
class Use:
    """One use, ready to be written down."""

    asked: Asked
    generation: int
    """Of keys, when they were read."""
    resource: str
    """The version that was used."""
    reply: bytes
    kept: bool = True
    """Whether the reply may be stored: never what holds plaintext or secrets."""
    facts: Mapping[str, str] | None = None
    behind: bool = field(init=False, default=False)
    """Whether keys were changed since, others than this one."""
    fact: Fact = field(init=False)
    """Made here rather than on the writer's thread, which all wait for."""

    def __post_init__(self) -> None:
        call = self.asked.call
        self.fact = Fact(
            call.identity.subject,
            call.identity.tenant,
            call.method,
            self.resource,
            request_digest=self.asked.digest,
            call_id=call.request_id,
            facts=self.facts,
        )


class UseLog:
    """Where uses are written down."""

    def __init__(self, store: Store, refresh: Callable[[], object] = lambda: None) -> None:
        """refresh: looks what keys are now."""
        self._store = store
        self._refresh = refresh

    def known(self, asked: Asked) -> bytes | None:
        """The reply of a request that was done before; None when it is new. Raises KetgateError
        REQUEST_ID_REUSED, REPLY_EXPIRED."""
        if not asked.request_id:
            return None
        with self._store.read() as reader:
            known = requests.find(
                reader,
                asked.call.identity.tenant,
                asked.call.method,
                asked.request_id,
                asked.digest,
            )
        return None if known is None else _reply_of(known)

    def write(self, use: Use) -> bytes:
        """Write a use down, and return its reply: the earlier one, when the same request was done by another
        call meanwhile. Raises Stale, and what known() does."""
        reply = self._store.run_batched(_write, use)
        if use.behind:
            with suppress(KetgateError):  # what was done is answered; the next use is refused
                self._refresh()
        return reply


def _reply_of(known: requests.Known) -> bytes:
    if known.reply is None:
        raise requests.reply_expired(known.resource)
    return known.reply


def _write(tx: Transaction, uses: Sequence[Use]) -> list[bytes | Exception]:
    results: list[bytes | Exception] = []
    generation = tx.peek(rows.COUNTER)
    facts: list[Fact] = []
    kept: list[tuple[str, str, str, bytes, str, bytes | None]] = []
    seen: dict[tuple[str, str, str], Use] = {}
    for use in uses:
        asked, identity = use.asked, use.asked.call.identity
        if asked.request_id:
            name = identity.tenant, asked.call.method, asked.request_id
            earlier = _earlier(tx, use, seen.get(name))
            if earlier is not None:
                results.append(earlier)
                continue
        if use.generation != generation:
            if _is_stale(tx, use, generation):
                results.append(Stale())
                continue
            use.behind = True
        if asked.request_id:
            seen[name] = use
            kept.append((*name, asked.digest, use.resource, use.reply if use.kept else None))
        facts.append(use.fact)
        results.append(use.reply)
    record_many(tx, facts)
    requests.remember_many(tx, kept)
    return results


def _is_stale(tx: Transaction, use: Use, generation: int) -> bool:
    """Whether the key or the version was changed since it was read; what happens to others' keys holds nobody up.
    A number that fell is that of an older copy."""
    if use.generation > generation:
        return True
    key_id, version = read_version(use.resource)
    changed = rows.changed(tx, use.asked.call.identity.tenant, key_id, version)
    return changed is None or changed > use.generation


def _earlier(tx: Transaction, use: Use, in_batch: Use | None) -> bytes | Exception | None:
    """What the same request did before, in the store or in this batch; or why it is no repeat."""
    asked = use.asked
    if in_batch is not None:
        if in_batch.asked.digest == asked.digest:
            return in_batch.reply
        return requests.reused(asked.request_id, in_batch.resource)
    try:
        known = requests.find(
            tx, asked.call.identity.tenant, asked.call.method, asked.request_id, asked.digest
        )
        return None if known is None else _reply_of(known)
    except Exception as error:
        return error
