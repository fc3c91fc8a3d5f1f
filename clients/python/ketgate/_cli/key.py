"""`ketgate key`, put together of its parts."""

from ketgate._cli import key_life, key_material, key_policy
from ketgate._cli.key_app import key

__all__ = ["key", "key_life", "key_material", "key_policy"]
