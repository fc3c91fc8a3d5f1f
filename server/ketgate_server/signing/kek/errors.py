"""Errors of the key store's opening, for the operator: each message says what to do."""

from ketgate_server.store.errors import StoreError


class KeyStoreSealed(StoreError):  # noqa: N818 - a state of the store
    """The key store cannot be opened, so the server does not start."""


class SecretMissing(KeyStoreSealed):
    """There is no such file, or no such key in the token."""
