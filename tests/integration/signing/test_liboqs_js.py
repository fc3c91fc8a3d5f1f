"""An independent third party, liboqs 0.15 in WebAssembly: it verifies ours, and we verify its; likewise secrets."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from ketgate_server.signing.algorithms import ALGORITHMS, Algorithm, Family
from ketgate_server.signing.provider import (
    DecapsulationKey,
    EncapsulationKey,
    Form,
    Material,
    Options,
    Provider,
    SigningKey,
    VerifyingKey,
)
from ketgate_server.signing.providers.registry import find_providers
from ketgate_server.signing.settings import SigningSettings

INSTALLED = Path(__file__).parents[3] / "build" / "liboqs-js" / "node_modules"
MESSAGE = b"Pay 5 EUR to Ann."
PROVIDERS = {p.name: p for p in find_providers(SigningSettings()).providers.all}
Ask = Callable[..., list[dict[str, Any]]]

pytestmark = pytest.mark.skipif(
    not INSTALLED.is_dir() or shutil.which("node") is None,
    reason="@oqs/liboqs-js is not installed; .ci/liboqs-js installs it",
)


def name_of(algorithm: Algorithm) -> str:
    """What liboqs-js calls it: "MLDSA65", "MLKEM768", "Falcon512"."""
    return algorithm.name.replace("-", "")


def those(*families: Family) -> list[Any]:
    """(provider, algorithm) of these families."""
    return [
        pytest.param(provider, ALGORITHMS[id_], id=f"{provider.name}-{id_}")
        for provider in PROVIDERS.values()
        for id_ in provider.abilities()
        if ALGORITHMS[id_].family in families
    ]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Runs tasks in liboqs-js."""
    (tmp_path / "node_modules").symlink_to(INSTALLED)
    script = tmp_path / "oqs.mjs"
    shutil.copy(Path(__file__).parent / "liboqs_js" / "oqs.mjs", script)

    def run(*tasks: dict[str, str]) -> list[dict[str, Any]]:
        done = subprocess.run(
            ["node", str(script)],
            input=json.dumps(tasks),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return cast("list[dict[str, Any]]", json.loads(done.stdout))

    return run


SIGNERS = those(Family.ML_DSA, Family.FALCON, Family.SLH_DSA)
KEMS = those(Family.ML_KEM)


@pytest.mark.parametrize(("provider", "algorithm"), SIGNERS)
def test_signatures_both_ways(provider: Provider, algorithm: Algorithm, ask: Ask) -> None:
    key = cast(SigningKey, provider.open_private(provider.generate(algorithm)))
    ours = key.sign(MESSAGE, Options())
    named = {"algorithm": name_of(algorithm), "message": MESSAGE.hex()}
    mine = {"do": "verify", **named, "publicKey": key.public_key.hex()}
    wrong = bytes([ours[100] ^ 1])
    held, broken, other, theirs = ask(
        mine | {"signature": ours.hex()},
        mine | {"signature": (ours[:100] + wrong + ours[101:]).hex()},
        mine | {"signature": ours.hex(), "message": b"another".hex()},
        {"do": "sign", **named},
    )
    assert held == {"valid": True}
    assert broken == other == {"valid": False}

    public_key, signature = (bytes.fromhex(theirs[one]) for one in ("publicKey", "signature"))
    verifier = cast(VerifyingKey, provider.open_public(algorithm, public_key))
    assert verifier.verify(signature, MESSAGE, Options())
    assert not verifier.verify(signature, MESSAGE + b".", Options())


@pytest.mark.parametrize(("provider", "algorithm"), KEMS)
def test_encapsulation_both_ways(provider: Provider, algorithm: Algorithm, ask: Ask) -> None:
    named = {"algorithm": name_of(algorithm)}
    key = cast(DecapsulationKey, provider.open_private(provider.generate(algorithm)))
    theirs, sent = ask(
        {"do": "keys", **named},
        {"do": "encapsulate", **named, "publicKey": key.public_key.hex()},
    )
    assert key.decapsulate(bytes.fromhex(sent["ciphertext"])).hex() == sent["secret"]

    public_key = bytes.fromhex(theirs["publicKey"])
    sender = cast(EncapsulationKey, provider.open_public(algorithm, public_key))
    secret, ciphertext = sender.encapsulate()
    opening = {"do": "decapsulate", **named, "secretKey": theirs["secretKey"]}
    wrong = bytes(len(ciphertext))
    opened, rejected = ask(
        opening | {"ciphertext": ciphertext.hex()}, opening | {"ciphertext": wrong.hex()}
    )
    assert opened["secret"] == secret.hex()
    assert rejected["secret"] != secret.hex()
    if Form.EXPANDED in provider.abilities()[algorithm.id].forms:
        # Its private key opened by us: implicit rejection gives the same secret too.
        imported = Material(algorithm, Form.EXPANDED, bytes.fromhex(theirs["secretKey"]))
        same = cast(DecapsulationKey, provider.open_private(imported))
        assert same.public_key == public_key
        assert same.decapsulate(ciphertext) == secret
        assert same.decapsulate(wrong).hex() == rejected["secret"]


def test_private_keys_of_theirs_sign_for_us(ask: Ask) -> None:
    """ML-DSA in the standard's own encoding: imported, it signs as theirs."""
    if "liboqs" not in PROVIDERS:
        pytest.skip("no provider opens expanded keys; `make liboqs` builds one that does")
    provider = PROVIDERS["liboqs"]
    for algorithm in (ALGORITHMS[id_] for id_ in ("ML_DSA_44", "ML_DSA_65", "ML_DSA_87")):
        named = {"algorithm": name_of(algorithm)}
        [theirs] = ask({"do": "keys", **named})
        imported = Material(algorithm, Form.EXPANDED, bytes.fromhex(theirs["secretKey"]))
        key = cast(SigningKey, provider.open_private(imported))
        assert key.public_key.hex() == theirs["publicKey"]
        [held] = ask(
            {
                "do": "verify",
                **named,
                "message": MESSAGE.hex(),
                "signature": key.sign(MESSAGE, Options()).hex(),
                "publicKey": theirs["publicKey"],
            }
        )
        assert held["valid"]
