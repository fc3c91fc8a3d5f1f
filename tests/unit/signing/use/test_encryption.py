"""Encapsulating, sealing, codes and random bytes."""

import hashlib
import hmac

import google_crc32c
import pytest
from ketgate.signing.v1 import signature_pb2
from ketgate.signing.v1 import signing_service_pb2 as pb
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.signing.formats import spki
from ketgate_server.signing.keys.record import Grant, Policy, Use
from ketgate_server.signing.keys.states import Act


def refused(work, reason=Reason.FIELD_INVALID):
    with pytest.raises(KetgateError) as caught:
        work()
    assert caught.value.reason is reason, caught.value.message
    return caught.value


@pytest.mark.parametrize("algorithm", ["ML_KEM_768", "ML_KEM_1024"])
class TestEncapsulation:
    def test_both_sides_have_the_same_secret(self, desk, call, algorithm):
        key, version = desk.create("k", algorithm)
        for request in (
            pb.EncapsulateRequest(key="keys/k"),
            pb.EncapsulateRequest(public_key=spki.write(key.algorithm, version.public_key)),
        ):
            made = desk.service.encapsulate(call, request)
            assert made.ciphertext_crc32c == google_crc32c.value(made.ciphertext)
            opened = desk.service.decapsulate(
                call, pb.DecapsulateRequest(key="keys/k", ciphertext=made.ciphertext)
            )
            assert opened.shared_secret == made.shared_secret
            assert len(opened.shared_secret) == 32
            assert opened.key_version == "keys/k/versions/1"
        assert len(desk.entries("Sign")) == 2  # FakeCall's method: decapsulating alone

    def test_a_wrong_ciphertext_of_the_right_length_gives_another_secret(
        self, desk, call, algorithm
    ):
        desk.create("k", algorithm)
        made = desk.service.encapsulate(call, pb.EncapsulateRequest(key="keys/k"))
        torn = bytes([made.ciphertext[0] ^ 1]) + made.ciphertext[1:]
        opened = desk.service.decapsulate(
            call, pb.DecapsulateRequest(key="keys/k", ciphertext=torn)
        )
        assert len(opened.shared_secret) == 32
        assert opened.shared_secret != made.shared_secret

    def test_another_length_is_refused(self, desk, call, algorithm):
        desk.create("k", algorithm)
        request = pb.DecapsulateRequest(key="keys/k", ciphertext=bytes(5))
        assert refused(lambda: desk.service.decapsulate(call, request)).field == "ciphertext"


class TestSealing:
    def seal(self, desk, call, **fields):
        request = pb.SealRequest(**({"key": "keys/s", "plaintext": b"secret"} | fields))
        return desk.service.seal(call, request)

    def open(self, desk, call, ciphertext, **fields):
        request = pb.OpenRequest(**({"key": "keys/s", "ciphertext": ciphertext} | fields))
        return desk.service.open(call, request)

    def test_what_is_sealed_opens_also_after_a_rotation(self, desk, call):
        desk.create("s", "HPKE_MLKEM768_X25519")
        made = self.seal(desk, call, info=b"i", associated_data=b"d")
        desk.rotate("s")
        opened = self.open(desk, call, made.ciphertext, info=b"i", associated_data=b"d")
        assert (opened.plaintext, opened.key_version) == (b"secret", "keys/s/versions/1")
        newer = self.seal(desk, call)
        assert newer.key_version == "keys/s/versions/2"
        assert b"secret" not in newer.ciphertext

    @pytest.mark.parametrize("change", ["ciphertext", "info", "associated_data", "version"])
    def test_anything_else_is_refused_with_the_same_words(self, desk, call, change):
        desk.create("s", "HPKE_MLKEM768_X25519")
        desk.rotate("s")
        made = self.seal(desk, call, info=b"i", associated_data=b"d", key="keys/s/versions/2")
        fields = {"info": b"i", "associated_data": b"d"}
        ciphertext = made.ciphertext
        if change == "ciphertext":
            ciphertext = ciphertext[:-1] + bytes([ciphertext[-1] ^ 1])
        elif change == "version":
            desk.act("s", 2, Act.DISABLE)
        else:
            fields[change] = b"x"
        error = refused(
            lambda: self.open(desk, call, ciphertext, **fields), Reason.CIPHERTEXT_INVALID
        )
        assert error.field == "ciphertext"
        assert (
            error.message
            == refused(
                lambda: self.open(desk, call, b"", **fields), Reason.CIPHERTEXT_INVALID
            ).message
        )

    def test_who_may_seal_may_not_open(self, desk, call):
        grant = Grant(frozenset({"emma"}), frozenset({Use.ENCRYPT}))
        desk.create("s", "HPKE_MLKEM768_X25519", policy=Policy(grants=(grant,)))
        made = self.seal(desk, call)
        refused(lambda: self.open(desk, call, made.ciphertext), Reason.POLICY_DENIED)

    def test_sizes_are_limited(self, desk, call):
        desk.create("s", "HPKE_MLKEM768_X25519")
        for field, size in (
            ("plaintext", (1 << 20) + 1),
            ("info", 1025),
            ("associated_data", (64 << 10) + 1),
        ):
            error = refused(lambda f=field, n=size: self.seal(desk, call, **{f: bytes(n)}))
            assert error.field == field

    def test_no_reply_with_a_secret_is_stored(self, desk, call):
        desk.create("s", "HPKE_MLKEM768_X25519")
        made = self.seal(desk, call, plaintext=b"a very secret plaintext")
        self.open(desk, call, made.ciphertext)
        with desk.store.read() as reader:
            rows = reader.rows("SELECT reply FROM requests WHERE reply IS NOT NULL")
            entries = reader.rows("SELECT payload FROM audit_entries")
        assert not [row for row in rows + entries if b"a very secret" in bytes(row[0])]


@pytest.mark.parametrize(
    ("algorithm", "hash_name"),
    [("HMAC_SHA256", "sha256"), ("HMAC_SHA384", "sha384"), ("HMAC_SHA512", "sha512")],
)
class TestCodes:
    def test_a_code_verifies_and_no_other_does(self, desk, call, algorithm, hash_name):
        desk.create("m", algorithm)
        request = pb.ComputeMacRequest(key="keys/m", message=b"x")
        made = desk.service.compute_mac(call, request)
        assert len(made.mac) == hashlib.new(hash_name).digest_size
        desk.rotate("m")

        def verdict(mac):
            request = pb.VerifyMacRequest(key="keys/m", message=b"x", mac=mac)
            return desk.service.verify_mac(call, request).verdict

        assert verdict(made.mac).valid
        assert verdict(made.mac).key_version == "keys/m/versions/1"
        assert verdict(bytes(len(made.mac))).failure == signature_pb2.VERIFY_FAILURE_MISMATCH
        assert verdict(made.mac[:-1]).failure == signature_pb2.VERIFY_FAILURE_LENGTH
        assert verdict(made.mac[:-1]).detail.startswith("a code of HMAC-")

    def test_the_code_is_hmac(self, desk, call, algorithm, hash_name):
        key, version = desk.create("m", algorithm)
        material = desk.ring._vault.open(desk.keys.owner(key, version), version.envelope)
        made = desk.service.compute_mac(call, pb.ComputeMacRequest(key="keys/m", message=b"x"))
        assert made.mac == hmac.digest(bytes(material.content), b"x", hash_name)


def test_random_bytes(desk, call):
    made = desk.service.generate_random(call, pb.GenerateRandomRequest(size_bytes=64))
    assert len(made.random) == 64
    assert made.random_crc32c == google_crc32c.value(made.random)
    again = desk.service.generate_random(call, pb.GenerateRandomRequest(size_bytes=64))
    assert again.random != made.random
    for size in (0, -1, 65_537):
        request = pb.GenerateRandomRequest(size_bytes=size)
        assert (
            refused(lambda r=request: desk.service.generate_random(call, r)).field == "size_bytes"
        )
