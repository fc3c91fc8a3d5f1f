"""`ketgate key|sign|verify|seal|open|random|certificate` as a user types them, against a real server over TLS."""

import json
import secrets
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

Told = Any


def new_id() -> str:
    return f"cli-{secrets.token_hex(4)}"


def made(told: Told, *options: object) -> str:
    """The id of a new key."""
    name = new_id()
    assert told("key", "create", name, *options).strip() == f"keys/{name}"
    return name


def test_the_life_of_a_key(told: Told) -> None:
    name = made(told, "--label", "desk=fx", "--rotate-every", "90d", "--destroy-delay", "2d")
    shown = json.loads(told("key", "show", name, "--json"))
    assert shown["algorithm"] == "ML_DSA_65"
    assert (shown["rotation_period"], shown["destroy_delay"]) == ("7776000s", "172800s")
    assert [version["state"] for version in shown["versions"]] == ["enabled"]
    assert f"keys/{name}/versions/2 is enabled" in told("key", "rotate", name)
    assert "is disabled" in told("key", "disable", name, "--version", 1)
    assert "is enabled" in told("key", "enable", f"keys/{name}/versions/1")
    destroyed = told("key", "destroy", f"{name}/versions/1", "--justification", "old")
    assert f"`ketgate key restore keys/{name}/versions/1` cancels it" in destroyed
    assert "destroy" in told("key", "show", name)
    assert "is disabled" in told("key", "restore", name, "--version", 1)
    told(
        "key",
        "update",
        name,
        "--label",
        "desk=rates",
        "--rotate-every",
        "never",
        "--min-version",
        2,
    )
    shown = json.loads(told("key", "show", name, "--json"))
    assert (shown["labels"], shown["rotation_period"]) == ({"desk": "rates"}, None)
    listed = json.loads(told("key", "list", "--filter", 'labels.desk = "rates"', "--json"))
    assert f"keys/{name}" in [key["name"] for key in listed]
    assert f"keys/{name}" in told("key", "list")


def test_algorithms(told: Told) -> None:
    table = told("key", "algorithms")
    assert "FIPS 204" in table
    found = {one["id"]: one for one in json.loads(told("key", "algorithms", "--json"))}
    assert found["ML_DSA_65"]["nist_category"] == 3
    assert "cryptography" in found["ML_DSA_65"]["providers"]


def test_a_policy_is_shown_as_it_is_written(told: Told, tmp_path: Path) -> None:
    policy = {
        "grants": [{"members": ["admin"], "uses": ["sign", "verify", "manage"]}],
        "contexts": ["orders", "", "base64:/w=="],
        "uses_per_second": 100.0,
        "burst": 50,
        "quorum": None,
    }
    (tmp_path / "policy.json").write_text(json.dumps(policy))
    name = made(told, "--policy", "policy.json")
    assert json.loads(told("key", "policy", name, "--json")) == policy
    assert json.loads(told("key", "show", name, "--json"))["policy"] == policy
    assert "100, 50 at once" in told("key", "policy", name)
    told("key", "policy", name, "--none")
    assert json.loads(told("key", "policy", name, "--json"))["grants"] == []


def test_a_quorum_decides(told: Told, server: Any, tmp_path: Path, monkeypatch: Any) -> None:
    approver = f"approver-{secrets.token_hex(4)}"
    token = told(
        "token", "create", approver, "--role", "signing.user", "--data-dir", server.data_dir
    ).split()[0]
    (tmp_path / "approver").write_text(token)
    (tmp_path / "approver").chmod(0o600)
    quorum = {"quorum": {"approvals_needed": 1, "approvers": [approver]}}
    (tmp_path / "policy.json").write_text(json.dumps(quorum))
    name = made(told, "--policy", "policy.json")
    asked = told("key", "destroy", name, "--version", 1, "--justification", "it is old")
    change = asked.split()[0]
    assert f"`ketgate key approve {change}`" in asked
    assert "it is old" in told("key", "changes", name)
    refused = told("key", "approve", change, status=1)
    assert "approve" in refused
    approved = told("key", "approve", change, "--token-file", "approver")
    assert "is applied: 1 of 1 approvals" in approved
    assert json.loads(told("key", "changes", name, "--json"))[-1]["state"] == "applied"
    again = json.loads(told("key", "policy", name, "--none", "--json"))
    assert again["state"] == "pending"
    assert "is rejected" in told("key", "reject", again["name"])


def test_documents_are_signed_and_verified(told: Told, tmp_path: Path) -> None:
    name = made(told)
    (tmp_path / "order.txt").write_text("buy 100")
    said = told("sign", "order.txt", "--key", name, "--title", "an order")
    assert said.strip() == f"order.txt.signed.json: ML_DSA_65 by keys/{name}/versions/1"
    assert "trusted" in told("verify", "order.txt.signed.json", "--key", name)
    told("verify", "order.txt.signed.json", status=4)
    told("key", "export", name, "-o", "desk.pem")
    assert "an order" in told("verify", "order.txt.signed.json", "--public-key", "desk.pem")


@pytest.mark.parametrize("algorithm", ["ML_DSA_44", "ED25519", "ML_DSA_65_ECDSA_P256"])
def test_signatures_lie_beside_files(told: Told, tmp_path: Path, algorithm: str) -> None:
    name = made(told, "--algorithm", algorithm)
    context = ["--context", "orders"] if algorithm.startswith("ML_DSA") else []
    (tmp_path / "order.bin").write_bytes(bytes(range(256)))
    about = json.loads(told("sign", "order.bin", "--key", name, "--raw", *context, "--json"))
    assert (about["file"], about["algorithm"]) == ("order.bin.sig", algorithm)
    told("key", "export", name, "-o", "desk.pem")
    beside = ("verify", "order.bin", "--signature", "order.bin.sig")
    for key in (("--key", name), ("--public-key", "desk.pem")):
        assert f"valid: {algorithm} by" in told(*beside, *key, *context)
        if context:
            assert "NOT VALID" in told(*beside, *key, status=3)
    refused = told(*beside, "--key", name, *context, "--algorithm", "ED25519", status=1)
    assert "--algorithm: expected none beside --key" in refused
    (tmp_path / "order.bin").write_bytes(b"another")
    for key in (("--key", name), ("--public-key", "desk.pem")):
        verdict = told(*beside, *key, *context, "--json", status=3)
        assert '"valid": false' in verdict


def test_large_files_are_sent_in_pieces(told: Told, tmp_path: Path) -> None:
    name = made(told)
    (tmp_path / "large").write_bytes(bytes(5 << 20))
    told("sign", "large", "--key", name, "--raw")
    for key in (("--key", name), ("--public-key", "desk.pem")):
        told("key", "export", name, "-o", "desk.pem")
        assert "valid" in told("verify", "large", "--signature", "large.sig", *key)
    hashed = ("--prehash", "SHA2-512")
    told("sign", "large", "--key", name, "--raw", *hashed, "-o", "hashed.sig")
    told("verify", "large", "--signature", "hashed.sig", "--key", name, *hashed)
    told("verify", "large", "--signature", "hashed.sig", "--key", name, status=3)


def test_a_document_is_signed_by_a_key_that_can_be_verified_without_a_server(
    told: Told, tmp_path: Path
) -> None:
    """A key that only seals was refused for a format, of which nobody had said anything."""
    name = made(told, "--algorithm", "HPKE_MLKEM768_X25519")
    (tmp_path / "order").write_text("buy 100")
    refused = told("sign", "order", "--key", name, status=1)
    assert "key: expected one whose signatures can be verified without a server" in refused


@pytest.mark.parametrize("form", ["jws", "cose"])
def test_jose_and_cose(told: Told, tmp_path: Path, form: str) -> None:
    name = made(told)
    (tmp_path / "order").write_text("buy 100")
    told("sign", "order", "--key", name, f"--{form}")
    beside = ("verify", "order", "--signature", f"order.{form}", "--key", name)
    assert "valid" in told(*beside, f"--{form}")
    assert "NOT VALID" in told(*beside, status=3)
    kind = "jwk" if form == "jws" else "cose"
    told("key", "export", name, "--format", kind, "-o", "key")
    assert (tmp_path / "key").stat().st_size > 1_000


def test_what_is_sealed_is_opened(told: Told, tmp_path: Path) -> None:
    name = made(told, "--algorithm", "HPKE_MLKEM768_X25519")
    (tmp_path / "plan.txt").write_text("a secret")
    (tmp_path / "bound").write_text("page 1")
    bound = ("--info", "payroll", "--associated-data", "bound")
    assert told("seal", "plan.txt", "--key", name, *bound).strip() == "plan.txt.sealed"
    (tmp_path / "plan.txt").unlink()
    refused = told("open", "plan.txt.sealed", "--key", name, status=1)
    assert "sealed" in refused
    assert told("open", "plan.txt.sealed", "--key", name, *bound).strip() == "plan.txt"
    assert (tmp_path / "plan.txt").read_text() == "a secret"
    assert stat.S_IMODE((tmp_path / "plan.txt").stat().st_mode) == 0o600
    told("key", "export", name, "--format", "raw", "-o", "key.raw")
    (tmp_path / "plan.txt").write_text("a newer plan, which nobody sealed")
    assert "has other content" in told("open", "plan.txt.sealed", "--key", name, *bound, status=1)
    assert (tmp_path / "plan.txt").read_text() == "a newer plan, which nobody sealed"
    told("open", "plan.txt.sealed", "--key", name, *bound, "-o", "plan.txt")
    told("seal", "plan.txt", "--public-key", "key.raw", "-o", "other")
    assert "--output" in told("open", "other", "--key", name, status=1)
    told("open", "other", "--key", name, "-o", "again.txt")
    assert (tmp_path / "again.txt").read_text() == "a secret"


def test_random_bytes(told: Told) -> None:
    first, second = told("random", 16).strip(), told("random", 16).strip()
    assert len(bytes.fromhex(first)) == 16
    assert first != second
    told("random", "32", "--raw", "-o", "key")
    assert Path("key").stat().st_size == 32


def test_certificates(told: Told, tmp_path: Path) -> None:
    root, desk = made(told, "--algorithm", "ML_DSA_87"), made(told, "--algorithm", "ML_DSA_44")
    told("certificate", "issue", "--key", root, "--issuer", "CN=root", "--days", 365, "--authority",
         "-o", "root.pem")  # fmt: skip
    told("certificate", "request", "CN=desk,O=Example", "--key", desk, "--name", "desk.example",
         "-o", "desk.csr")  # fmt: skip
    told("certificate", "issue", "--key", root, "--issuer", "CN=root", "--validity", "12h",
         "--request", "desk.csr", "--der", "-o", "desk.der")  # fmt: skip
    authority = x509.load_pem_x509_certificate((tmp_path / "root.pem").read_bytes())
    issued = x509.load_der_x509_certificate((tmp_path / "desk.der").read_bytes())
    assert issued.issuer == authority.subject
    assert issued.subject.rfc4514_string() == "CN=desk,O=Example"
    issued.verify_directly_issued_by(authority)


def test_private_keys_come_in_and_out(told: Told, tmp_path: Path) -> None:
    own = ed25519.Ed25519PrivateKey.generate()
    pem = own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word"))
    (tmp_path / "own.pem").write_bytes(pem)
    (tmp_path / "word").write_text("word\n")
    name = new_id()
    brought = ("key", "import", name, "own.pem", "--algorithm", "ED25519")
    assert "password" in told(*brought, status=1).lower()
    assert told(*brought, "--password-file", "word", "--exportable").strip() == f"keys/{name}"
    told("key", "export", name, "--version", 1, "--private", "-o", "out.der")
    assert stat.S_IMODE((tmp_path / "out.der").stat().st_mode) == 0o600
    taken = load_der_private_key((tmp_path / "out.der").read_bytes(), None)
    raw = (Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    assert taken.private_bytes(*raw) == own.private_bytes(*raw)  # type: ignore[union-attr]
    assert "version" in told("key", "export", name, "--private", "-o", "x", status=1)
    again = ("key", "import", name, "-", "--algorithm", "ED25519")
    told(*again, "--password-file", "word", piped=pem)
    twice = told(*again, "--password-file", "-", piped=pem, status=1)
    assert "standard input is FILE" in twice
    public = new_id()
    told("key", "export", name, "-o", "public.pem")
    told("key", "import", public, "public.pem", "--algorithm", "ED25519")
    assert "public key only" in told("key", "show", public)
    kept = made(told)
    assert "exportable" in told(
        "key", "export", kept, "--version", 1, "--private", "-o", "x", status=1
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("key", "create", "Bad Name"), "key_id"),
        (("key", "create", "x", "--algorithm", "ML-DSA-66"), "as ML_DSA_65"),
        (("key", "create", "x", "--label", "desk"), "--label: expected name=value"),
        (("key", "create", "x", "--rotate-every", "90"), "--rotate-every: expected a number with"),
        (
            ("key", "create", "x", "--policy", "nowhere.json"),
            "--policy: nowhere.json cannot be read",
        ),
        (("key", "create", "x", "--policy", "bad.json"), "no JSON"),
        (("key", "create", "x", "--policy", "list.json"), "expected an object"),
        (("key", "create", "x", "--policy", "grants.json"), "grants[0]: expected members"),
        (
            ("key", "create", "x", "--policy", "uses.json"),
            "policy.grants[0].uses: expected some of",
        ),
        (("key", "create", "x", "--policy", "rate.json"), "uses_per_second: expected a number"),
        (("key", "show", "nowhere"), "keys/nowhere"),
        (("key", "disable", "desk"), "expected keys/ID/versions/N, or a key and --version N"),
        (("key", "disable", "keys/desk/versions/1", "--version", "2"), "--version 2"),
        (("key", "update", "desk"), "expected something to change"),
        (("key", "approve", "nowhere"), "keyChanges/nowhere"),
        (("sign", "bad.json"), "KETGATE_SIGNING_KEY"),
        (("sign", "bad.json", "--key", "x", "--raw", "--jws"), "expected one form"),
        (("sign", "bad.json", "--key", "x", "--context", "y"), "--context: expected --raw"),
        (("sign", "nowhere", "--key", "x", "--raw"), "nowhere cannot be read"),
        (("sign", ".", "--key", "x"), "FILE: expected a file, given the folder"),
        (("sign", "bad.json", "--key", "Desk"), "an ID begins with one of a-z"),
        (("verify", "bad.json", "--signature", "bad.json"), "expected --key"),
        (("verify", "bad.json", "--context", "x"), "expected --signature with it"),
        (
            ("verify", "bad.json", "--signature", "bad.json", "--pin", "--key", "x"),
            "--pin: expected",
        ),
        (
            ("verify", "bad.json", "--signature", "bad.json", "--public-key", "bad.json"),
            "--public-key",
        ),
        (("seal", "bad.json"), "expected --key or --public-key, given neither"),
        (("seal", ".", "--key", "x"), "cannot be read"),
        (("random", "0"), "size_bytes: expected 1 to 65536"),
        (("certificate", "issue", "--key", "x", "--issuer", "CN=x"), "--days or --validity"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(
    told: Told, tmp_path: Path, arguments: tuple[str, ...], expected: str
) -> None:
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "grants.json").write_text('{"grants": [{"members": ["a"]}]}')
    (tmp_path / "uses.json").write_text('{"grants": [{"members": ["a"], "uses": ["signing"]}]}')
    (tmp_path / "rate.json").write_text('{"uses_per_second": "many"}')
    assert expected in told(*arguments, status=1)
