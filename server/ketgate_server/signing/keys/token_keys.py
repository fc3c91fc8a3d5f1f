"""Private keys in a token are destroyed there, just before their versions are here."""

from __future__ import annotations

import logging

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.signing.keys import states
from ketgate_server.signing.keys.due import Destruction
from ketgate_server.signing.keys.store import KeyStore
from ketgate_server.signing.provider import Form, KeyInvalid, OperationFailed

_log = logging.getLogger(__name__)


def destroy_in_token(keys: KeyStore, due: Destruction) -> None:
    """Before a version whose time has come is destroyed; does nothing for one that is in no token.

    In this order: a server that is killed in between does both again, while after the other one nobody
    would know which key of the token it was. Raises PROVIDER_FAILED, and the destruction is tried again
    later.
    """
    key = keys.get(due.tenant, due.key_id)
    version = keys.version(due.tenant, due.key_id, due.version)
    if key is None or version is None or key.uid != due.key_uid or version.envelope is None:
        return
    if not states.has_elapsed(version, keys.store.now_us()):
        return
    material = keys.vault.open(keys.owner(key, version), version.envelope)
    if material.form is not Form.TOKEN:
        return
    destroy = getattr(keys.providers.named(version.provider), "destroy", None)
    if destroy is None:
        # The operator gave the token up: nobody can use the key through this service any more.
        _log.warning(
            "%s of tenant %r is destroyed; its key %s is left in a token that is not set any more",
            version.name,
            due.tenant,
            material.content.hex(),
        )
        return
    try:
        destroy(material)
    except (OperationFailed, KeyInvalid) as error:
        raise KetgateError(
            Reason.PROVIDER_FAILED, f"{version.name} cannot be destroyed now: {error}"
        ) from None
