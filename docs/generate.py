"""Writes the pages that follow from code: errors.md from the catalogue of reasons, limits.md from the table of limits,
signing-algorithms.md from that of algorithms, licences.md from the metadata of what the lock installs. With --check:
fails where a page is out of date.

    python docs/generate.py [--check]
"""

import re
import sys
from email.message import Message
from importlib import metadata
from pathlib import Path

from ketgate_server.errors import CATALOGUE, DOMAIN
from ketgate_server.limits import LIMITS
from ketgate_server.signing.algorithms import (
    ALGORITHMS,
    COMPOSITE_DRAFT,
    Algorithm,
    Purpose,
    Status,
)
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


OPTIONAL_LICENCES = [
    "",
    "What is not in that lock, as not every server has it:",
    "",
    "| what | licence | for |",
    "|---|---|---|",
    "| liboqs | MIT | fast ML-DSA, Falcon; built from the sources in the crate oqs-sys (MIT or Apache-2.0) |",
    "| liboqs-python | MIT | the way to it, `requirements-oqs.lock` |",
    "| python-pkcs11 | MIT | keys in tokens |",
    "| SoftHSM | BSD-2-Clause | tests of tokens |",
    "| OpenSSL | Apache-2.0 | tests: what others make of our keys and signatures |",
    "| Bouncy Castle, @oqs/liboqs-js, libraries of JOSE and COSE | MIT, Apache-2.0 | the same |",
]


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
    lines += OPTIONAL_LICENCES
    return "\n".join(lines) + "\n"


TITLES = {
    Purpose.SIGN: "Signatures",
    Purpose.ENCAPSULATE: "Key encapsulation",
    Purpose.SEAL: "Encryption to a key",
    Purpose.MAC: "Message authentication codes",
}
OUTPUTS = {
    Purpose.SIGN: "signature",
    Purpose.ENCAPSULATE: "ciphertext",
    Purpose.SEAL: "added to the plaintext",
    Purpose.MAC: "code",
}


def algorithms_page() -> str:
    lines = [
        "# Algorithms of keys",
        "",
        "Generated from the server's table. `client.signing.algorithms()` and `ketgate key algorithms` tell which of",
        "them a running server has, by which providers, and how to have the others. [signing.md](signing.md) tells",
        "which to choose.",
        "",
        "Category: NIST's, 1 to 5, of the post-quantum strength; none: a quantum computer breaks it. Bits: strength",
        f"against classical attacks. Sizes are in bytes. Draft: the composites follow {COMPOSITE_DRAFT}",
        "and HPKE's suite draft-ietf-hpke-pq, both pinned; what comes after may be other signatures. Experimental:",
        "without a final standard.",
    ]
    for purpose, title in TITLES.items():
        lines += [
            "",
            f"## {title}",
            "",
            f"| algorithm | standard | status | category | bits | public key | {OUTPUTS[purpose]} | signs also |",
            "|---|---|---|---|---|---|---|---|",
        ]
        lines += [_algorithm_row(one) for one in ALGORITHMS.values() if one.purpose is purpose]
    return "\n".join(lines) + "\n"


def _algorithm_row(one: Algorithm) -> str:
    also = [
        text
        for text, has in (
            ("a context", one.context_bytes_max),
            ("mu", one.external_mu),
            ("a digest", one.digest_bytes),
            ("named hashes", one.prehashes),
            ("verifies only", not one.generates),
        )
        if has
    ]
    size = f"{one.output_bytes_max:,}" if one.output_bytes_fixed else f"≤ {one.output_bytes_max:,}"
    status = "" if one.status is Status.FINAL else one.status.lower()
    cells = (
        f"`{one.id}`",
        one.standard,
        status,
        one.nist_category or "none",
        one.classical_bits,
        f"{one.public_key_bytes:,}" if one.public_key_bytes else "",
        size,
        ", ".join(also),
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def main() -> int:
    pages = {
        "errors.md": errors_page(),
        "limits.md": limits_page(),
        "licences.md": licences_page(),
        "signing-algorithms.md": algorithms_page(),
    }
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
