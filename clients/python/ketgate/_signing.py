"""Keys and their use, synchronously: `client.signing`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ketgate import _encryption_asks as encryption
from ketgate import _key_asks as of_keys
from ketgate import _key_material_asks as material
from ketgate import _signing_asks as uses
from ketgate import _signing_flows as flows
from ketgate._methods import asked, flowing, listed

if TYPE_CHECKING:
    from ketgate._client import Client


class Signing:
    """Keys of the token's tenant, and what is done with them: `client.signing`. Keys are made and changed with the
    role "signing.admin", and used with "signing.user", as far as their policies allow.

    >>> client.signing.create_key("desk")
    >>> signed = client.signing.sign("keys/desk", b"an order")
    >>> assert client.signing.verify(signed, b"an order", key="keys/desk")
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    algorithms = asked(of_keys.algorithms)
    create_key = asked(of_keys.create_key)
    get_key = asked(of_keys.get_key)
    keys = listed(of_keys.keys)
    update_key = asked(of_keys.update_key)
    set_policy = asked(of_keys.set_policy)
    rotate = asked(of_keys.rotate)
    version = asked(of_keys.version)
    versions = listed(of_keys.versions)
    enable = asked(of_keys.enable)
    disable = asked(of_keys.disable)
    destroy = asked(of_keys.destroy)
    restore = asked(of_keys.restore)
    export_public_key = asked(material.export_public_key)
    import_public_key = asked(material.import_public_key)
    change = asked(of_keys.change)
    changes = listed(of_keys.changes)
    approve = asked(of_keys.approve)
    reject = asked(of_keys.reject)

    sign = asked(uses.sign)
    verify = asked(uses.verify)
    sign_file = asked(uses.sign_file)
    verify_file = asked(uses.verify_file)
    encapsulate = asked(encryption.encapsulate)
    decapsulate = asked(encryption.decapsulate)
    seal = asked(encryption.seal)
    open = asked(encryption.open)
    random = asked(encryption.random)
    mac = asked(encryption.mac)
    verify_mac = asked(encryption.verify_mac)
    certificate_request = asked(encryption.certificate_request)
    issue_certificate = asked(encryption.issue_certificate)

    sign_many = flowing(flows.sign_many)
    verify_many = flowing(flows.verify_many)
    import_key = flowing(flows.import_key)
    export_private_key = flowing(flows.export_private_key)
