"""Keys that come in and go out over TLS, wrapped by this client and by openssl."""

import re
import shutil
import subprocess
import uuid
from pathlib import Path

import google_crc32c
import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from ketgate._wrapping import WRAPPING_ALGORITHMS, Receiver, private_key_bytes, wrap
from ketgate.signing.v1 import key_pb2
from ketgate.signing.v1 import key_service_pb2 as keys
from ketgate.signing.v1 import signing_service_pb2 as uses

ROOT = Path(__file__).parents[3]
OPENSSL = shutil.which("openssl")
SEED = bytes(range(7, 39))
IMPORTED = key_pb2.KEY_ORIGIN_IMPORTED


@pytest.fixture
def admin(new_caller):
    return new_caller("signing.admin", "signing.user")


def wrapping_key(caller, algorithm=WRAPPING_ALGORITHMS[0], request_id=""):
    request = keys.CreateWrappingKeyRequest(
        wrapping_algorithm=f"WRAPPING_ALGORITHM_{algorithm}", request_id=request_id
    )
    found = caller("CreateWrappingKey", request).wrapping_key
    assert found.public_key_crc32c == google_crc32c.value(found.public_key)
    return found


def wrapped(found, blob):
    return keys.WrappedKey(
        wrapping_key=found.name, wrapped_key=blob, wrapped_key_crc32c=google_crc32c.value(blob)
    )


def import_wrapped(
    caller, key_id, content, how=WRAPPING_ALGORITHMS[0], algorithm="ED25519", **rest
):
    found = wrapping_key(caller, how)
    request = keys.ImportKeyRequest(
        key_id=key_id,
        algorithm=f"ALGORITHM_{algorithm}",
        wrapped=wrapped(found, wrap(how, found.public_key, content)),
        **rest,
    )
    return caller("ImportKey", request)


@pytest.mark.parametrize("how", WRAPPING_ALGORITHMS)
def test_an_imported_key_signs_as_it_did_before(admin, key_id, how):
    private = ed25519.Ed25519PrivateKey.from_private_bytes(SEED)
    answer = import_wrapped(admin, key_id, private_key_bytes(private), how)
    assert (answer.version.origin, answer.version.has_private_key) == (IMPORTED, True)
    request = uses.SignRequest(key=answer.key.name, message=b"m")
    signature = admin("Sign", request).signature.signature
    assert signature == private.sign(b"m")


def test_a_seed_of_ml_dsa_is_a_raw_key(admin, key_id):
    answer = import_wrapped(admin, key_id, SEED, algorithm="ML_DSA_65")
    made = admin("Sign", uses.SignRequest(key=answer.key.name, message=b"m")).signature
    mldsa.MLDSA65PrivateKey.from_seed_bytes(SEED).public_key().verify(made.signature, b"m")


def documented(language):
    """The code of docs/signing-formats.md."""
    page = (ROOT / "docs" / "signing-formats.md").read_text(encoding="utf-8")
    (found,) = re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)
    return found


def test_the_page_wraps_with_ml_kem(admin, key_id):
    names = {}
    exec(documented("python"), names)
    found = wrapping_key(admin)
    blob = names["wrap"](found.public_key, SEED)
    request = keys.ImportKeyRequest(
        key_id=key_id, algorithm="ALGORITHM_ML_DSA_44", wrapped=wrapped(found, blob)
    )
    assert admin("ImportKey", request).version.origin == IMPORTED


@pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed: apt-get install openssl")
def test_the_page_wraps_with_openssl(admin, key_id, tmp_path):
    found = wrapping_key(admin, WRAPPING_ALGORITHMS[1])
    (tmp_path / "wrapping.der").write_bytes(found.public_key)

    def shell(script):
        subprocess.run(["sh", "-ec", script], cwd=tmp_path, check=True, capture_output=True)

    shell("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem")
    shell(documented("sh"))
    request = keys.ImportKeyRequest(
        key_id=key_id,
        algorithm="ALGORITHM_ECDSA_P256_SHA256",
        wrapped=wrapped(found, (tmp_path / "wrapped.bin").read_bytes()),
    )
    answer = admin("ImportKey", request)
    made = admin("Sign", uses.SignRequest(key=answer.key.name, message=b"m")).signature
    (tmp_path / "message").write_bytes(b"m")
    (tmp_path / "signature").write_bytes(made.signature)
    shell("openssl dgst -sha256 -prverify key.pem -signature signature message")


def test_a_public_key_verifies_and_signs_nothing(admin, key_id, refused):
    private = mldsa.MLDSA44PrivateKey.from_seed_bytes(SEED)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    request = keys.ImportKeyRequest(
        key_id=key_id, algorithm="ALGORITHM_ML_DSA_44", public_key=public
    )
    answer = admin("ImportKey", request)
    assert not answer.version.has_private_key
    signature = private.sign(b"m")
    check = uses.VerifyRequest(key=answer.key.name, message=b"m", signature=signature)
    assert admin("Verify", check).verdict.valid
    refusal = refused(lambda: admin("Sign", uses.SignRequest(key=answer.key.name, message=b"m")))
    assert refusal.code == grpc.StatusCode.FAILED_PRECONDITION


def test_the_next_version_of_a_key(admin, key_id, refused):
    made = admin(
        "CreateKey", keys.CreateKeyRequest(key_id=key_id, algorithm="ALGORITHM_ED25519")
    ).key
    answer = import_wrapped(admin, key_id, SEED)
    assert answer.key.uid == made.uid
    assert (answer.version.version, answer.key.primary_version) == (2, 2)
    refusal = refused(lambda: import_wrapped(admin, key_id, SEED, algorithm="ML_DSA_65"))
    assert refusal.info.metadata["field"] == "algorithm"
    refusal = refused(lambda: import_wrapped(admin, key_id, SEED, exportable=True))
    assert refusal.info.metadata["field"] == "exportable"


def test_what_does_not_open_says_nothing_and_ends_the_wrapping_key(admin, key_id, refused):
    for how in WRAPPING_ALGORITHMS:
        texts = set()
        for at in (0, 300, 1_100, -1):
            found = wrapping_key(admin, how)
            blob = bytearray(wrap(how, found.public_key, SEED))
            blob[at if at < len(blob) else -1] ^= 0x40
            request = keys.ImportKeyRequest(
                key_id=key_id,
                algorithm="ALGORITHM_ED25519",
                wrapped=wrapped(found, bytes(blob)),
            )
            refusal = refused(lambda r=request: admin("ImportKey", r))
            assert (refusal.code, refusal.reason) == (
                grpc.StatusCode.INVALID_ARGUMENT,
                "CIPHERTEXT_INVALID",
            )
            texts.add(refusal.message)
            again = refused(lambda r=request: admin("ImportKey", r))
            assert again.code == grpc.StatusCode.NOT_FOUND
        assert len(texts) == 1


def test_a_broken_transfer_uses_nothing_up(admin, key_id, refused):
    found = wrapping_key(admin)
    good = wrapped(found, wrap(WRAPPING_ALGORITHMS[0], found.public_key, SEED))
    broken = keys.WrappedKey()
    broken.CopyFrom(good)
    broken.wrapped_key_crc32c ^= 1
    for each, reason in ((broken, "CHECKSUM_MISMATCH"), (keys.WrappedKey(), "FIELD_INVALID")):
        request = keys.ImportKeyRequest(key_id=key_id, algorithm="ALGORITHM_ED25519", wrapped=each)
        assert refused(lambda r=request: admin("ImportKey", r)).reason == reason
    request = keys.ImportKeyRequest(key_id=key_id, algorithm="ALGORITHM_ED25519", wrapped=good)
    assert admin("ImportKey", request).version.version == 1


def test_repeats_change_nothing(admin, key_id):
    once = uuid.uuid4().hex
    found = wrapping_key(admin, request_id=once)
    assert wrapping_key(admin, request_id=once) == found
    request = keys.ImportKeyRequest(
        key_id=key_id,
        algorithm="ALGORITHM_ED25519",
        wrapped=wrapped(found, wrap(WRAPPING_ALGORITHMS[0], found.public_key, SEED)),
        request_id=once,
    )
    answer = admin("ImportKey", request)
    assert admin("ImportKey", request) == answer  # though the wrapping key is gone


def test_what_is_exportable_goes_out_and_comes_back(admin, key_id, refused):
    request = keys.CreateKeyRequest(
        key_id=key_id, algorithm="ALGORITHM_ECDSA_P384_SHA384", exportable=True
    )
    version = admin("CreateKey", request).version
    for how in WRAPPING_ALGORITHMS:
        receiver = Receiver(how)
        export = keys.ExportPrivateKeyRequest(
            name=version.name,
            wrapping_algorithm=f"WRAPPING_ALGORITHM_{how}",
            wrapping_public_key=receiver.public_key,
        )
        answer = admin("ExportPrivateKey", export)
        assert answer.wrapped_key_crc32c == google_crc32c.value(answer.wrapped_key)
        content = receiver.unwrap(answer.wrapped_key)
        copy = import_wrapped(
            admin, f"{key_id}-{how[:2].lower()}", content, how, "ECDSA_P384_SHA384"
        )
        assert copy.version.fingerprint == version.fingerprint
    taken = key_pb2.Key(name=f"keys/{key_id}", exportable=False)
    update = keys.UpdateKeyRequest(key=taken, update_mask={"paths": ["exportable"]})
    assert not admin("UpdateKey", update).key.exportable
    refusal = refused(lambda: admin("ExportPrivateKey", export))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "KEY_NOT_EXPORTABLE",
    )
    update.key.exportable = True
    assert refused(lambda: admin("UpdateKey", update)).reason == "FIELD_INVALID"


def test_an_export_names_what_is_wrong_with_the_receiver(admin, key_id, refused):
    request = keys.CreateKeyRequest(key_id=key_id, algorithm="ALGORITHM_ED25519", exportable=True)
    version = admin("CreateKey", request).version
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for number, receiver, field in (
        (0, der, "wrapping_algorithm"),
        (9, der, "wrapping_algorithm"),
        (1, der, "wrapping_public_key"),
        (2, b"", "wrapping_public_key"),
    ):
        export = keys.ExportPrivateKeyRequest(
            name=version.name, wrapping_algorithm=number, wrapping_public_key=receiver
        )
        refusal = refused(lambda e=export: admin("ExportPrivateKey", e))
        assert (refusal.reason, refusal.info.metadata["field"]) == ("FIELD_INVALID", field)
