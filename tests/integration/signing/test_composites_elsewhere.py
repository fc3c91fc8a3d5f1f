"""Composite signatures with Bouncy Castle, which has the same draft: it verifies ours, and signs with our keys."""

import base64
import shutil
import subprocess
from pathlib import Path
from typing import cast

import pytest
from ketgate_server.signing.algorithms import ALGORITHMS, Family
from ketgate_server.signing.formats import pkcs8, spki
from ketgate_server.signing.provider import Options, Provider, SigningKey, VerifyingKey
from ketgate_server.signing.providers.registry import find_providers
from ketgate_server.signing.settings import SigningSettings

JARS = Path(__file__).parents[3] / "build" / "bouncycastle"
COMPOSITES = [a for a in ALGORITHMS.values() if a.family is Family.COMPOSITE]
WITH_COMPOSITES = [
    p for p in find_providers(SigningSettings()).providers.all if COMPOSITES[0].id in p.abilities()
]
MESSAGE = b"Pay 5 EUR to Ann."

pytestmark = pytest.mark.skipif(
    not JARS.is_dir() or shutil.which("java") is None,
    reason="Bouncy Castle is not here; .ci/elsewhere fetches it",
)


def java(*tasks: tuple[str, str, *tuple[bytes, ...]]) -> list[str]:
    """The answers of Composites.java."""
    lines = [
        " ".join((what, name, *(base64.b64encode(value).decode() or "-" for value in values)))
        for what, name, *values in tasks
    ]
    done = subprocess.run(
        ["java", "-cp", f"{JARS}/*", Path(__file__).parent / "Composites.java"],
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")[:-1]


@pytest.mark.parametrize("provider", WITH_COMPOSITES, ids=lambda provider: provider.name)
def test_composites_both_ways(provider: Provider) -> None:
    tasks: list[tuple[str, str, *tuple[bytes, ...]]] = []
    for algorithm in COMPOSITES:
        material = provider.generate(algorithm)
        key = cast(SigningKey, provider.open_private(material))
        public = spki.write(algorithm, key.public_key)
        for context in (b"", b"desk"):
            signature = key.sign(MESSAGE, Options(context=context))
            tasks += [
                ("verify", algorithm.name, public, signature, MESSAGE, context),
                ("verify", algorithm.name, public, signature, MESSAGE, b"another"),
                ("sign", algorithm.name, pkcs8.write(material), MESSAGE, context),
            ]
    answers = java(*tasks)
    assert len(answers) == len(tasks)
    for index in range(0, len(tasks), 3):
        held, other, theirs = answers[index : index + 3]
        _, name, public, _, _, context = tasks[index]
        assert (held, other) == ("true", "false"), name
        algorithm, raw = spki.read(public)
        verifier = cast(VerifyingKey, provider.open_public(algorithm, raw))
        assert verifier.verify(base64.b64decode(theirs), MESSAGE, Options(context=context)), name
