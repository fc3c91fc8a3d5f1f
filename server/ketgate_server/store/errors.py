"""Errors of the store, for the operator: each message says what to do."""


class StoreError(Exception):
    """The database cannot be used as it is."""


class TokenError(StoreError):
    """A token cannot be made or revoked as asked."""
