"""Keys, versions, changes and policies as tables and as JSON."""

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict, fields, is_dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rich.markup import escape

from ketgate._cli.durations import local, short
from ketgate._cli.files import read_file
from ketgate._cli.show import WIDE, console, print_table
from ketgate._errors import InvalidArgument
from ketgate._key_types import Grant, Key, KeyAlgorithm, KeyChange, KeyVersion, Policy, Quorum

POLICY_BYTES_MAX = 1 << 20
_BASE64 = "base64:"
"""Before a context that is no text."""


def document(shown: Any) -> Any:
    """A dataclass of the package as JSON has it."""
    if isinstance(shown, Policy):
        return policy_document(shown)
    if is_dataclass(shown) and not isinstance(shown, type):
        return {field.name: document(getattr(shown, field.name)) for field in fields(shown)}
    if isinstance(shown, datetime):
        return shown.isoformat()
    if isinstance(shown, timedelta):
        return f"{shown.total_seconds():.9f}".rstrip("0").rstrip(".") + "s"  # as protobuf has it
    if isinstance(shown, bytes):
        return base64.b64encode(shown).decode()
    return shown


def policy_document(policy: Policy) -> dict[str, Any]:
    """What read_policy reads."""
    return asdict(policy) | {"contexts": [_context_text(context) for context in policy.contexts]}


def _context_text(context: bytes | str) -> str:
    if isinstance(context, str):
        return context
    try:
        text = context.decode()
    except UnicodeDecodeError:
        text = ""
    if text.isprintable() and not text.startswith(_BASE64) and (text or not context):
        return text
    return _BASE64 + base64.b64encode(context).decode()


def read_policy(path: Path, option: str) -> Policy:
    """A policy out of JSON as `ketgate key show --json` has it. Raises InvalidArgument that names the member."""
    try:
        given = json.loads(read_file(path, option, POLICY_BYTES_MAX))
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"{option}: {path} is no JSON: {error}", field=option) from None
    members = _members(given, Policy, option)
    grants = [
        Grant(**_members(grant, Grant, f"grants[{i}]"))
        for i, grant in enumerate(_list(members.get("grants", []), "grants"))
    ]
    contexts = [
        _context(text, f"contexts[{i}]")
        for i, text in enumerate(_list(members.get("contexts", []), "contexts"))
    ]
    quorum = members.get("quorum")
    if quorum is not None:
        quorum = Quorum(**_members(quorum, Quorum, "quorum"))
    return Policy(
        grants,
        contexts,
        _number(members.get("uses_per_second", 0.0), float, "uses_per_second"),
        _number(members.get("burst", 0), int, "burst"),
        quorum,
    )


def _members(given: Any, kind: Any, where: str) -> dict[str, Any]:
    """An object with the members that a dataclass has, and those that it must have."""
    names = {field.name for field in fields(kind)}
    if not isinstance(given, dict):
        raise _wrong(where, f"an object with some of {', '.join(sorted(names))}", given)
    for name in given:
        if name not in names:
            raise _wrong(where, f"members of {', '.join(sorted(names))}", name)
    missing = [name for name in names if kind is not Policy and name not in given]
    if missing:
        raise _wrong(where, f"members {', '.join(sorted(names))}", ", ".join(given) or "none")
    if kind is Quorum:
        _number(given["approvals_needed"], int, f"{where}.approvals_needed")
    return given


def _list(given: Any, where: str) -> list[Any]:
    if not isinstance(given, list):
        raise _wrong(where, "a list", given)
    return given


def _context(text: Any, where: str) -> bytes:
    if not isinstance(text, str):
        raise _wrong(where, "a text", text)
    if not text.startswith(_BASE64):
        return text.encode()
    try:
        return base64.b64decode(text.removeprefix(_BASE64), validate=True)
    except ValueError:
        raise _wrong(where, f"base64 after {_BASE64}", text) from None


def _number(given: Any, kind: type, where: str) -> Any:
    if isinstance(given, bool) or not isinstance(given, (kind, int)):
        raise _wrong(where, "a number", given)
    return given


def _wrong(where: str, expected: str, given: Any) -> InvalidArgument:
    shown = given[:100] if isinstance(given, str) else json.dumps(given)[:100]
    return InvalidArgument(
        f"policy: {where}: expected {expected}, given {shown}",
        field=where,
        remedy="`ketgate key show NAME --json` shows how a policy is written.",
    )


def print_keys(found: Sequence[Key]) -> None:
    if not found:
        console().print("No keys; `ketgate key create NAME` makes one")
        return
    columns = ["key", "algorithm", "does", "version", "next rotation", "labels", "made"]
    shown = len(columns) if console().width >= WIDE else 4
    rows = [
        [
            key.name,
            key.algorithm,
            key.purpose,
            key.primary_version or "none usable",
            local(key.next_rotation_time),
            _pairs(key.labels),
            local(key.create_time),
        ]
        for key in found
    ]
    print_table("Keys", columns[:shown], [row[:shown] for row in rows], right=(3,), whole=(0, 1))


def print_key(key: Key) -> None:
    rows: list[Sequence[object]] = [
        ["algorithm", key.algorithm],
        ["does", key.purpose],
        ["primary version", key.primary_version or "none is usable"],
        ["oldest usable version", key.min_version],
        ["exportable", "yes, wrapped" if key.exportable else "no"],
        ["rotated every", _length(key.rotation_period) or "by hand only"],
        ["next rotation", local(key.next_rotation_time)],
        ["destroyed after", _length(key.destroy_delay)],
        ["provider", key.provider or "the server's choice"],
        ["labels", _pairs(key.labels)],
        ["made", f"{local(key.create_time)} by {key.creator}"],
        *policy_rows(key.policy),
    ]
    print_table(key.name, ["", ""], [row for row in rows if row[1] != ""])


def policy_rows(policy: Policy) -> list[list[object]]:
    """What a policy says, a line for each."""
    rows: list[list[object]] = [
        [f"may {', '.join(grant.uses)}", ", ".join(grant.members)] for grant in policy.grants
    ]
    if not rows:
        rows = [["may use it", "whoever has the role"]]
    if policy.contexts:
        rows.append(["contexts", ", ".join(repr(_context_text(c)) for c in policy.contexts)])
    if policy.uses_per_second:
        burst = f", {policy.burst} at once" if policy.burst else ""
        rows.append(["uses a second", f"{policy.uses_per_second:g}{burst}"])
    if policy.quorum is not None:
        quorum = policy.quorum
        rows.append(["quorum", f"{quorum.approvals_needed} of {', '.join(quorum.approvers)}"])
    return rows


def print_versions(found: Sequence[KeyVersion]) -> None:
    columns = ["version", "state", "made", "provider", "came", "fingerprint"]
    rows = [
        [
            one.version,
            one.state if one.destroy_time is None else f"destroyed at {local(one.destroy_time)}",
            local(one.create_time),
            one.provider,
            one.origin + ("" if one.has_private_key else ", public key only"),
            one.fingerprint[:16],
        ]
        for one in found
    ]
    shown = len(columns) if console().width >= WIDE else 4
    print_table(
        "Versions", columns[:shown], [row[:shown] for row in rows], right=(0,), whole=(0, 1)
    )


def print_changes(found: Sequence[KeyChange]) -> None:
    if not found:
        console().print("No changes")
        return
    rows = [
        [
            one.name,
            one.what.replace("_", " "),
            one.target if isinstance(one.target, str) else one.key,
            one.state,
            f"{len(one.approvals)} of {one.approvals_needed}",
            one.requester,
            one.justification,
        ]
        for one in found
    ]
    columns = ["change", "what", "of", "state", "approvals", "asked by", "why"]
    print_table("Changes", columns, rows, whole=(0,))


def print_algorithms(found: Sequence[KeyAlgorithm]) -> None:
    rows = [
        [
            one.id,
            one.purpose,
            one.standard + ("" if one.status == "final" else f" ({one.status})"),
            one.nist_category or "-",
            one.public_key_bytes or "",
            one.output_bytes_max,
            ", ".join(one.providers) or "-",
        ]
        for one in found
    ]
    columns = ["algorithm", "does", "standard", "category", "public key", "output", "providers"]
    print_table("Algorithms", columns, rows, right=(3, 4, 5), whole=(0,))
    out = console()
    out.print("category: NIST's, 1 to 5; - is not safe from quantum computers. Sizes in bytes.")
    missing: dict[str, list[str]] = {}
    for one in found:
        if not one.providers:
            missing.setdefault(one.install_command, []).append(one.id)
    for command, names in missing.items():
        out.print(f"not here: {', '.join(names)}. To have them: {escape(command)}")


def _pairs(labels: Any) -> str:
    return ", ".join(f"{name}={value}" for name, value in labels.items())


def _length(time: timedelta | None) -> str:
    return "" if time is None else short(time.total_seconds())
