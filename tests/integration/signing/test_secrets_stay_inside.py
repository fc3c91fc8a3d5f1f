"""Keys whose seeds are known are imported, used, exported and refused; then everything that the server wrote or
said is searched for them."""

import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from ketgate.signing.v1 import (
    algorithm_pb2,
    key_service_pb2,
    key_service_pb2_grpc,
    signature_pb2,
    signing_service_pb2,
    signing_service_pb2_grpc,
)
from ketgate_server import backups
from ketgate_server.signing.keys import wrapping
from ketgate_server.signing.keys.wrapping import Wrapping

from ...conftest import ServerProcess, StartServer
from ...softhsm import PIN, SoftHsm, find_module
from .secrets_scan import contents, found_in, spellings

TIMEOUT_S = 100.0
PASSPHRASE = "correct horse battery staple 4711"
KEM = key_service_pb2.WRAPPING_ALGORITHM_ML_KEM_768_AES_256_GCM
RSA = key_service_pb2.WRAPPING_ALGORITHM_RSA_OAEP_SHA256_AES_KWP
ED25519 = algorithm_pb2.ALGORITHM_ED25519


def marked(name: str, size: int) -> bytes:
    """Bytes that are the same in every run and stand nowhere else."""
    import hashlib

    return hashlib.shake_256(f"secret of {name}".encode()).digest(size)


def p256(secret: bytes) -> bytes:
    """PKCS #8 of the key with this number."""
    key = ec.derive_private_key(int.from_bytes(secret, "big"), ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


SEEDS = {
    "ML_DSA_65": marked("ML_DSA_65", 32),
    "ED25519": marked("ED25519", 32),
    "ML_KEM_768": marked("ML_KEM_768", 64),
    "HPKE_MLKEM768_X25519": marked("HPKE", 32),
    "HMAC_SHA256": marked("HMAC", 32),
    "ECDSA_P256_SHA256": b"\x01" + marked("ECDSA", 31),
}


class Caller:
    """Calls a server, and keeps what it says when it refuses."""

    def __init__(self, server: ServerProcess) -> None:
        self.channel = server.channel()
        self.metadata = server.metadata
        self.keys = key_service_pb2_grpc.KeyServiceStub(self.channel)
        self.use = signing_service_pb2_grpc.SigningServiceStub(self.channel)
        self.refusals = b""

    def __call__(self, method: Callable[..., Any], request: Any) -> Any:
        return method(request, metadata=self.metadata, timeout=TIMEOUT_S)

    def refused(self, method: Callable[..., Any], request: Any) -> None:
        with pytest.raises(grpc.RpcError) as caught:
            self(method, request)
        error: Any = caught.value
        assert error.code() is not grpc.StatusCode.INTERNAL, error.details()
        parts = [error.details(), repr(error), *(repr(pair) for pair in error.trailing_metadata())]
        self.refusals += "\n".join(parts).encode() + b"\n"

    def wrapped(self, content: bytes, algorithm: Any = KEM) -> Any:
        """Material encrypted to a fresh wrapping key."""
        asked = key_service_pb2.CreateWrappingKeyRequest(wrapping_algorithm=algorithm)
        key = self(self.keys.CreateWrappingKey, asked).wrapping_key
        kind = (
            Wrapping.ML_KEM_768_AES_256_GCM
            if algorithm == KEM
            else Wrapping.RSA_OAEP_SHA256_AES_KWP
        )
        blob = wrapping.wrap(kind, key.public_key, content, "wrapped")
        return key_service_pb2.WrappedKey(wrapping_key=key.name, wrapped_key=blob)

    def imported(self, name: str, content: bytes, wrapped: Any = None) -> Any:
        return key_service_pb2.ImportKeyRequest(
            key_id=name.lower().replace("_", "-"),
            algorithm=algorithm_pb2.Algorithm.Value(f"ALGORITHM_{name}"),
            wrapped=wrapped or self.wrapped(content),
            exportable=True,
            request_id=f"import-{name}",
        )


@pytest.fixture
def passphrase_file(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase"
    path.write_text(PASSPHRASE + "\n")
    path.chmod(0o600)
    return path


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    secret = marked("the search", 32)
    for spelling in spellings(secret):
        assert found_in(b"before " + spelling + b" after", {"it": secret}) == ["it"]
    assert found_in(b"before " + secret[:-1] + b" after", {"it": secret}) == []


def use_keys(caller: Caller, secrets: dict[str, bytes]) -> None:
    """Use every imported key; what comes out and is secret joins the secrets."""
    for name in ("ml-dsa-65", "ed25519", "ecdsa-p256-sha256"):
        key = f"keys/{name}"
        request = signing_service_pb2.SignRequest(key=key, message=b"m", request_id=f"sign-{name}")
        for _ in range(2):
            assert caller(caller.use.Sign, request).signature.signature
        items = [signature_pb2.SignItem(message=b"m", reference=str(i)) for i in range(3)]
        batch = signing_service_pb2.SignBatchRequest(key=key, items=items)
        assert len(caller(caller.use.SignBatch, batch).results) == 3
    made = caller(
        caller.use.Encapsulate, signing_service_pb2.EncapsulateRequest(key="keys/ml-kem-768")
    )
    opened = caller(
        caller.use.Decapsulate,
        signing_service_pb2.DecapsulateRequest(key="keys/ml-kem-768", ciphertext=made.ciphertext),
    )
    assert opened.shared_secret == made.shared_secret
    secrets["shared secret"] = made.shared_secret
    secrets["plaintext"] = b"a plaintext that was sealed"
    key = "keys/hpke-mlkem768-x25519"
    sealed = caller(
        caller.use.Seal,
        signing_service_pb2.SealRequest(key=key, plaintext=secrets["plaintext"]),
    )
    plain = caller(
        caller.use.Open, signing_service_pb2.OpenRequest(key=key, ciphertext=sealed.ciphertext)
    )
    assert plain.plaintext == secrets["plaintext"]
    caller(
        caller.use.ComputeMac,
        signing_service_pb2.ComputeMacRequest(key="keys/hmac-sha256", message=b"m"),
    )
    random = caller(
        caller.use.GenerateRandom, signing_service_pb2.GenerateRandomRequest(size_bytes=32)
    )
    secrets["random bytes"] = random.random


def export_keys(caller: Caller, names: Iterator[str]) -> None:
    """Export keys, encrypted to a key of ours; they come out as they went in."""
    pair = wrapping.generate(Wrapping.ML_KEM_768_AES_256_GCM)
    for name in names:
        asked = key_service_pb2.ExportPrivateKeyRequest(
            name=f"keys/{name.lower().replace('_', '-')}/versions/1",
            wrapping_algorithm=KEM,
            wrapping_public_key=pair.public_key,
        )
        blob = caller(caller.keys.ExportPrivateKey, asked).wrapped_key
        content = wrapping.unwrap(
            Wrapping.ML_KEM_768_AES_256_GCM, pair.private, blob, "wrapped_key"
        )
        assert SEEDS[name] in content


def be_refused(caller: Caller, secrets: dict[str, bytes]) -> None:
    """Import what is no key, what was changed on the way, and what is there already."""
    secrets["too short a seed"] = marked("short", 31)
    secrets["too long a seed"] = marked("long", 4_000)
    for name in ("too short a seed", "too long a seed"):
        for kind in ("ML_DSA_65", "ECDSA_P256_SHA256", "ML_KEM_768"):
            caller.refused(caller.keys.ImportKey, caller.imported(kind, secrets[name]))
    request = caller.imported("ED25519", SEEDS["ED25519"])
    request.key_id, request.request_id = "another", "changed"
    request.wrapped.wrapped_key = request.wrapped.wrapped_key[:-1] + b"\0"
    caller.refused(caller.keys.ImportKey, request)
    caller.refused(caller.keys.ImportKey, caller.imported("ML_DSA_65", SEEDS["ML_DSA_65"]))
    secrets["what was never encrypted"] = marked("plain", 200)
    wrapped = caller.wrapped(b"x")
    wrapped.wrapped_key = secrets["what was never encrypted"]
    caller.refused(caller.keys.ImportKey, caller.imported("ED25519", b"", wrapped))
    caller.refused(
        caller.use.Open,
        signing_service_pb2.OpenRequest(
            key="keys/hpke-mlkem768-x25519", ciphertext=secrets["what was never encrypted"]
        ),
    )


def check_nothing_is_there(
    server: ServerProcess, left_out: set[Path], secrets: dict[str, bytes], tmp_path: Path
) -> None:
    """While it runs, with its WAL; in a back-up; and after it ended."""
    backup = tmp_path / "backups"
    backup.mkdir(exist_ok=True)
    backups.back_up(backup, server.data_dir)
    url = f"http://{server.ready['metrics_address']}/metrics"
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as metrics:
        assert found_in(metrics.read(), secrets) == []
    searched = 0
    for moment in ("running", "stopped"):
        if moment == "stopped":
            assert server.stop() == 0
        for name, content in contents(tmp_path, left_out):
            searched += 1
            assert found_in(content, secrets) == [], (moment, name)
    assert searched > 10


def test_secrets_of_imported_keys_stay_inside(
    start_server: StartServer, tmp_path: Path, passphrase_file: Path
) -> None:
    server = start_server(
        "--set", "signing.kek=passphrase", "--set", f"signing.passphrase_file={passphrase_file}"
    )
    caller = Caller(server)
    secrets = {**SEEDS, "passphrase": PASSPHRASE.encode()}
    for name, seed in SEEDS.items():
        content = p256(seed) if name.startswith("ECDSA") else seed
        wrapped = caller.wrapped(content, RSA if name == "ED25519" else KEM)
        reply = caller(caller.keys.ImportKey, caller.imported(name, content, wrapped))
        assert reply.key.exportable
    use_keys(caller, secrets)
    export_keys(caller, iter(SEEDS))
    be_refused(caller, secrets)
    caller.channel.close()
    assert len(caller.refusals) > 1_000
    assert found_in(caller.refusals, secrets) == []
    check_nothing_is_there(server, {passphrase_file}, secrets, tmp_path)
    # That this was the place to look at: what is no secret is there.
    everything = b"".join(content for _, content in contents(tmp_path, set()))
    assert found_in(everything, {"name": b"keys/ml-dsa-65"}) == ["name"]
    assert found_in(everything, {"passphrase": PASSPHRASE.encode()}) == ["passphrase"]


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SoftHsm:
    pytest.importorskip(
        "pkcs11", reason="python-pkcs11 is not installed: pip install python-pkcs11"
    )
    module = find_module()
    if module is None:
        pytest.skip("SoftHSM is not installed; on Debian, as root: apt-get install softhsm2")
    folder = tmp_path / "softhsm"
    folder.mkdir()
    made = SoftHsm(folder, module)
    made.add_token("ketgate")
    monkeypatch.setenv("SOFTHSM2_CONF", made.environment["SOFTHSM2_CONF"])
    return made


def test_the_pin_of_a_token_stays_inside(
    start_server: StartServer,
    run_server: Callable[..., "subprocess.CompletedProcess[str]"],
    tmp_path: Path,
    token: SoftHsm,
) -> None:
    pin_file = tmp_path / "pin"
    pin_file.write_text(PIN)
    pin_file.chmod(0o600)
    given = ["--set", "signing.kek=pkcs11", "--set", f"signing.pkcs11.module={token.module}"]
    given += ["--set", "signing.pkcs11.token_label=ketgate"]
    server = start_server(*given, "--set", f"signing.pkcs11.pin_file={pin_file}")
    caller = Caller(server)
    asked = key_service_pb2.CreateKeyRequest(key_id="inside", algorithm=ED25519, provider="pkcs11")
    made = caller(caller.keys.CreateKey, asked)
    assert made.version.provider == "pkcs11"
    message = signing_service_pb2.SignRequest(key="keys/inside", message=b"message")
    signature = caller(caller.use.Sign, message).signature
    assert signature.provider.startswith("pkcs11 SoftHSM")
    verified = caller(
        caller.use.Verify,
        signing_service_pb2.VerifyRequest(
            key="keys/inside", message=b"message", signature=signature.signature
        ),
    )
    assert verified.verdict.valid
    caller.channel.close()
    wrong = tmp_path / "wrong-pin"
    wrong.write_text("a pin that is wrong 815")
    wrong.chmod(0o600)
    other = ["--data-dir", str(tmp_path / "other"), "--listen", "127.0.0.1:0"]
    ended = run_server(*other, *given, "--set", f"signing.pkcs11.pin_file={wrong}")
    assert ended.returncode == 1
    assert "refuses the PIN" in ended.stderr
    secrets = {"pin": PIN.encode(), "wrong pin": wrong.read_bytes()}
    assert found_in((ended.stderr + ended.stdout).encode(), secrets) == []
    check_nothing_is_there(server, {pin_file, wrong}, secrets, tmp_path)


def test_a_wrong_passphrase_ends_the_start_and_is_not_shown(
    start_server: StartServer,
    run_server: Callable[..., "subprocess.CompletedProcess[str]"],
    tmp_path: Path,
    passphrase_file: Path,
) -> None:
    given = ["--set", "signing.kek=passphrase", "--set"]
    server = start_server(*given, f"signing.passphrase_file={passphrase_file}")
    assert server.stop() == 0
    wrong = tmp_path / "wrong-passphrase"
    wrong.write_text("another passphrase 0815")
    wrong.chmod(0o600)
    where = ["--data-dir", str(server.data_dir), "--listen", "127.0.0.1:0"]
    ended = run_server(*where, *given, f"signing.passphrase_file={wrong}")
    assert ended.returncode == 1
    assert "is not the one that stored keys are encrypted under" in ended.stderr
    assert "previous_passphrase_file" in ended.stderr
    assert "Traceback" not in ended.stderr
    secrets = {"right": PASSPHRASE.encode(), "wrong": wrong.read_bytes()}
    assert found_in((ended.stderr + ended.stdout).encode(), secrets) == []
