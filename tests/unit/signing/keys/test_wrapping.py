"""How private keys travel: both formats against other tools, and nothing told of what does not open."""

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding
from hypothesis import given
from hypothesis import strategies as st
from ketgate_server.errors import FieldError, KetgateError, Reason
from ketgate_server.signing.keys.wrapping import Wrapping, WrappingPair, generate, unwrap, wrap

OPENSSL = shutil.which("openssl")
CONTENT = b"thirty-two bytes of a secret key"
PAIRS = {how: generate(how) for how in Wrapping}
BLOBS = {how: wrap(how, PAIRS[how].public_key, CONTENT, "f") for how in Wrapping}


def refusal(how: Wrapping, blob: bytes, pair: WrappingPair | None = None) -> KetgateError:
    with pytest.raises(KetgateError) as caught:
        unwrap(how, (pair or PAIRS[how]).private, blob, "wrapped.wrapped_key")
    return caught.value


@pytest.mark.parametrize("how", Wrapping)
@pytest.mark.parametrize("size", [1, 7, 8, 9, 32, 4_896])
def test_what_is_wrapped_is_unwrapped(how: Wrapping, size: int) -> None:
    content = bytes(range(256)) * 20
    content = content[:size]
    blob = wrap(how, PAIRS[how].public_key, content, "f")
    assert unwrap(how, bytearray(PAIRS[how].private), blob, "f") == content
    assert size < 8 or content not in blob
    assert wrap(how, PAIRS[how].public_key, content, "f") != blob


@pytest.mark.parametrize("how", Wrapping)
def test_every_failure_says_the_same(how: Wrapping) -> None:
    blob = BLOBS[how]
    front = 1_088 if how is Wrapping.ML_KEM_768_AES_256_GCM else 384
    turned = [
        blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :]
        for at in (0, 1, front - 1, front, front + 12, len(blob) - 1)
    ]
    cut = [b"", b"\x00", blob[: front - 1], blob[:front], blob[: front + 15], blob[:-1], blob[:-8]]
    longer = [blob + b"\x00", blob + bytes(8), bytes(len(blob)), b"\xff" * len(blob)]
    texts = set()
    for hostile in turned + cut + longer:
        error = refusal(how, hostile)
        assert (error.reason, error.field) == (Reason.CIPHERTEXT_INVALID, "wrapped.wrapped_key")
        texts.add(error.message)
    texts.add(refusal(how, blob, generate(how)).message)  # of another wrapping key
    assert len(texts) == 1


@given(st.binary(max_size=1_300), st.sampled_from(Wrapping))
def test_any_bytes_get_that_answer(blob: bytes, how: Wrapping) -> None:
    assert refusal(how, blob).reason is Reason.CIPHERTEXT_INVALID


def test_an_aes_key_of_another_length_is_refused_like_the_rest() -> None:
    """CKM_RSA_AES_KEY_WRAP allows 128 and 192 bits; the contract's name says 256."""
    how = Wrapping.RSA_OAEP_SHA256_AES_KWP
    public = serialization.load_der_public_key(PAIRS[how].public_key)
    assert isinstance(public, rsa.RSAPublicKey)
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    for size in (0, 16, 24, 31, 33):
        key = bytes(size)
        kwp = aes_key_wrap_with_padding(key if size in (16, 24) else bytes(32), CONTENT)
        assert refusal(how, public.encrypt(key, oaep) + kwp).reason is Reason.CIPHERTEXT_INVALID


def test_the_format_with_ml_kem_is_as_it_is_written_down() -> None:
    """Made by hand, from docs/signing-formats.md: HKDF as two HMACs, GCM as a mode of AES."""
    how = Wrapping.ML_KEM_768_AES_256_GCM
    public = serialization.load_der_public_key(PAIRS[how].public_key)
    assert isinstance(public, mlkem.MLKEM768PublicKey)
    secret, ciphertext = public.encapsulate()

    def hmac_sha256(key: bytes, message: bytes) -> bytes:
        code = hmac.HMAC(key, hashes.SHA256())
        code.update(message)
        return code.finalize()

    key = hmac_sha256(hmac_sha256(bytes(32), secret), b"ketgate wrap v1\x01")
    encryptor = Cipher(algorithms.AES(key), modes.GCM(b"nonce 12byte")).encryptor()
    encrypted = encryptor.update(CONTENT) + encryptor.finalize()
    blob = ciphertext + b"nonce 12byte" + encrypted + encryptor.tag
    assert unwrap(how, PAIRS[how].private, blob, "f") == CONTENT


@pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed: apt-get install openssl")
def test_the_format_with_rsa_is_that_of_openssl(tmp_path: Path) -> None:
    how = Wrapping.RSA_OAEP_SHA256_AES_KWP
    key = bytes(range(32))
    (tmp_path / "public.der").write_bytes(PAIRS[how].public_key)
    (tmp_path / "private.der").write_bytes(PAIRS[how].private)

    def openssl(*arguments: str, given: bytes) -> bytes:
        command = [str(OPENSSL), *arguments]
        return subprocess.run(command, input=given, capture_output=True, check=True).stdout

    oaep = [
        *("-pkeyopt", "rsa_padding_mode:oaep"),
        *("-pkeyopt", "rsa_oaep_md:sha256"),
        *("-pkeyopt", "rsa_mgf1_md:sha256"),
    ]
    public = ["-pubin", "-inkey", str(tmp_path / "public.der"), "-keyform", "DER"]
    private = ["-inkey", str(tmp_path / "private.der"), "-keyform", "DER"]
    kwp = ["enc", "-id-aes256-wrap-pad", "-iv", "A65959A6"]
    blob = openssl("pkeyutl", "-encrypt", *public, *oaep, given=key)
    blob += openssl(*kwp, "-e", "-K", key.hex(), given=CONTENT)
    assert unwrap(how, PAIRS[how].private, blob, "f") == CONTENT
    # And the other way round, for exports.
    front, wrapped = BLOBS[how][:384], BLOBS[how][384:]
    found = openssl("pkeyutl", "-decrypt", *private, *oaep, given=front)
    assert len(found) == 32
    assert openssl(*kwp, "-d", "-K", found.hex(), given=wrapped) == CONTENT


def spki(public_key) -> bytes:
    return public_key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@pytest.mark.parametrize("how", Wrapping)
def test_a_receiver_of_another_kind_is_refused_by_its_field(how: Wrapping) -> None:
    (other,) = set(Wrapping) - {how}
    hostile = [
        b"",
        b"\x30\x80",
        PAIRS[other].public_key,
        PAIRS[how].public_key[:-1],
        spki(ec.generate_private_key(ec.SECP256R1()).public_key()),
        spki(rsa.generate_private_key(65_537, 2_048).public_key()),
        spki(mlkem.MLKEM1024PrivateKey.generate().public_key()),
    ]
    for public_key in hostile:
        with pytest.raises(FieldError) as caught:
            wrap(how, public_key, CONTENT, "wrapping_public_key")
        assert caught.value.field == "wrapping_public_key"
