"""The parts of records that no query asks for, as the canonical JSON that rows keep."""

from __future__ import annotations

import json
from typing import Any

from ketgate_server.signing.keys import policy
from ketgate_server.signing.keys.record import KeyRecord, VersionRecord


def canonical(value: object) -> bytes:
    """JSON of one form for one value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def key_body(key: KeyRecord) -> bytes:
    return canonical(
        {
            "create_time_us": key.create_time_us,
            "creator": key.creator,
            "labels": dict(key.labels),
            "policy": policy.as_json(key.policy),
            "exportable": key.exportable,
            "rotation_period_us": key.rotation_period_us,
            "destroy_delay_us": key.destroy_delay_us,
            "provider": key.provider,
        }
    )


def version_body(version: VersionRecord) -> bytes:
    return canonical(
        {
            "algorithm": version.algorithm.id,
            "provider": version.provider,
            "origin": version.origin.value,
            "create_time_us": version.create_time_us,
            "destroyed_time_us": version.destroyed_time_us,
        }
    )


def read_body(body: bytes) -> dict[str, Any]:
    """Raises ValueError for what is no body."""
    found = json.loads(body)
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found
