"""Who asks for a change of keys, for the audit and so that a repeat is known."""

from __future__ import annotations

from dataclasses import dataclass

from ketgate_server.rpc.call import Identity

SERVER = "server"


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and by which request. Without a request_id, a repeat is done again."""

    identity: Identity
    call_id: str = ""
    method: str = ""
    """The full method; for what the server does by itself a name, as "signing.key.rotated"."""
    request_id: str = ""
    request_digest: bytes = b""
    by_server: bool = False
    """The server itself, whom no key's policy names."""

    @property
    def tenant(self) -> str:
        return self.identity.tenant


def server_asker(tenant: str, action: str) -> Asker:
    """The server itself, at work on a tenant's keys."""
    return Asker(Identity(SERVER, tenant, frozenset()), method=action, by_server=True)
