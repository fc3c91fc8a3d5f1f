"""Writes the pages that follow from code: errors.md from the catalogue of reasons, limits.md from the table of limits,
licences.md from the metadata of what the lock installs. With --check: fails where a page is out of date.

    python docs/generate.py [--check]
"""

import re
import sys
from email.message import Message
from importlib import metadata
from pathlib import Path

from ketgate_server.errors import CATALOGUE, DOMAIN
from ketgate_server.limits import LIMITS
from packaging.markers import Marker

DOCS = Path(__file__).parent
LOCKED = re.compile(r"^([a-z0-9][a-z0-9._-]*)==[^ ]+(?: ; ([^\\]+))?", re.MULTILINE)
"""A package of the lock, and where it is for."""
CLASSIFIER = "License :: OSI Approved :: "


def errors_page() -> str:
    lines = [
        "# Error catalogue",
        "",
        "Generated from the server's table of reasons. Every refusal is a `google.rpc.Status` whose",
        f'details hold an `ErrorInfo` with one of these reasons and the domain `"{DOMAIN}"`. Reasons are',
        "stable: branch on them, never on messages. `INVALID_ARGUMENT` carries a `BadRequest` with the path",
        "of each field at fault, a limit of size a `QuotaFailure` with the limit's name, and whatever may",
        "succeed later a `RetryInfo`.",
        "",
        "| reason | code | retry | what happened | what to do |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| `{reason}` | `{spec.code}` | {'yes' if spec.retryable else 'no'} | {spec.meaning} | {spec.remedy} |"
        for reason, spec in CATALOGUE.items()
    ]
    return "\n".join(lines) + "\n"


def limits_page() -> str:
    lines = [
        "# Limits",
        "",
        "Generated from the server's table of limits. `GetServerInfo` tells the values of a running server; a",
        'configuration file changes them under `[limits]`, for example `"rpc.calls_max" = 512`.',
        "",
        "| limit | default | unit | what it bounds |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| `{name}` | {limit.value:,} | {limit.unit} | {limit.description} |"
        for name, limit in LIMITS.items()
    ]
    return "\n".join(lines) + "\n"


def licence_of(package: Message) -> str:
    """The licence in a few words: the SPDX expression if the package states one, else its classifiers."""
    expression = package.get("License-Expression")
    if expression:
        return str(expression)
    classifiers = [
        c.removeprefix(CLASSIFIER)
        for c in package.get_all("Classifier", [])
        if c.startswith(CLASSIFIER)
    ]
    if classifiers:
        return ", ".join(sorted(classifiers))
    stated = str(package.get("License", "")).strip().splitlines()
    return stated[0][:60] if stated else "see the package"


def licences_page() -> str:
    lines = [
        "# Licences of dependencies",
        "",
        "Generated from the metadata of what `requirements.lock` installs. Versions stand in the lock.",
        "",
        "| package | licence |",
        "|---|---|",
    ]
    lock = (DOCS.parent / "requirements.lock").read_text()
    here = {name for name, where in LOCKED.findall(lock) if not where or Marker(where).evaluate()}
    for name in sorted(here):
        package = metadata.metadata(name)
        lines.append(f"| {name} | {licence_of(package)} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    pages = {"errors.md": errors_page(), "limits.md": limits_page(), "licences.md": licences_page()}
    stale = [
        name
        for name, text in pages.items()
        if not (DOCS / name).exists() or (DOCS / name).read_text() != text
    ]
    if "--check" in sys.argv:
        if stale:
            print(f"out of date: {', '.join(stale)}; write them with: make docs")
        return bool(stale)
    for name in stale:
        (DOCS / name).write_text(pages[name])
        print(f"wrote docs/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
