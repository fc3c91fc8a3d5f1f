"""Sign and Verify, one and many, whole and in pieces."""

import hashlib
from dataclasses import replace

import google_crc32c
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ketgate.signing.v1 import algorithm_pb2, signature_pb2
from ketgate.signing.v1 import signing_service_pb2 as pb
from ketgate_server.admission import Slot
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.signing import messages
from ketgate_server.signing.formats import spki
from ketgate_server.signing.formats.export import PublicKeyFormat, export_public_key, formats
from ketgate_server.signing.keys.record import Grant, Policy, Use
from ketgate_server.signing.keys.states import Act
from ketgate_server.signing.use.places import stream_places

from .conftest import OTTO

SIGNING = ("ML_DSA_44", "ML_DSA_65", "ML_DSA_87", "ED25519")
FREE = Slot(lambda: None, 0.0)
INPUT, FORMAT = signature_pb2.SigningInput, signature_pb2.SignatureFormat


def sign(desk, call, **fields):
    request = pb.SignRequest(**({"key": "keys/a", "message": b"m"} | fields))
    return pb.SignResponse.FromString(desk.service.sign(call, request)).signature


def verify(desk, call, signature, **fields):
    request = pb.VerifyRequest(
        **({"key": "keys/a", "message": b"m", "signature": signature} | fields)
    )
    if "public_key" in fields:
        request.public_key = fields["public_key"]
    return desk.service.verify(call, request).verdict


def refused(work, reason=Reason.FIELD_INVALID):
    with pytest.raises(KetgateError) as caught:
        work()
    assert caught.value.reason is reason, caught.value.message
    return caught.value


@pytest.mark.parametrize("algorithm", SIGNING)
def test_what_is_signed_verifies_and_nothing_else_does(desk, call, algorithm):
    desk.create("a", algorithm)
    made = sign(desk, call)
    assert made.signature_crc32c == google_crc32c.value(made.signature)
    assert made.content_sha256 == hashlib.sha256(b"m").digest()
    assert algorithm_pb2.Algorithm.Name(made.algorithm) == f"ALGORITHM_{algorithm}"
    assert made.standard in ("FIPS 204", "RFC 8032")
    assert verify(desk, call, made.signature).valid
    other = verify(desk, call, made.signature, message=b"n")
    assert (other.valid, other.failure) == (False, signature_pb2.VERIFY_FAILURE_MISMATCH)
    short = verify(desk, call, made.signature[:-1])
    assert (short.valid, short.failure) == (False, signature_pb2.VERIFY_FAILURE_LENGTH)
    assert str(len(made.signature)) in short.detail


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(signature=st.binary(max_size=4000), form=st.sampled_from([0, 1, 2, 3]))
def test_any_bytes_get_an_answer(desk, call, signature, form):
    if desk.keys.get("red", "a") is None:
        desk.create("a", "ML_DSA_44")
    options = signature_pb2.SigningOptions(format=form)
    verdict = verify(desk, call, signature, options=options)
    assert not verdict.valid
    assert verdict.failure
    assert verdict.detail


def test_an_older_version_still_verifies_under_the_keys_name(desk, call):
    desk.create("a")
    made = sign(desk, call)
    desk.rotate("a")
    found = verify(desk, call, made.signature)
    assert (found.valid, found.key_version) == (True, "keys/a/versions/1")
    found = verify(desk, call, made.signature, key="keys/a/versions/2")
    assert not found.valid


def test_a_public_key_from_the_request(desk, call):
    key, version = desk.create("a", "ML_DSA_44")
    made = sign(desk, call)
    public_key = spki.write(key.algorithm, version.public_key)
    request = pb.VerifyRequest(public_key=public_key, message=b"m", signature=made.signature)
    found = desk.service.verify(call, request).verdict
    assert (found.valid, found.key_version) == (True, "")
    request.public_key = public_key[:-1]
    error = refused(lambda: desk.service.verify(call, request))
    assert error.field == "public_key"
    request = pb.VerifyRequest(message=b"m", signature=made.signature)
    assert refused(lambda: desk.service.verify(call, request)).field == "signer"


def test_contexts_separate(desk, call):
    desk.create("a", "ML_DSA_44")
    options = signature_pb2.SigningOptions(context=b"orders")
    made = sign(desk, call, options=options)
    assert verify(desk, call, made.signature, options=options).valid
    assert not verify(desk, call, made.signature).valid


def test_an_external_mu_gives_the_signature_of_the_message(desk, call):
    _, version = desk.create("a", "ML_DSA_44")
    mu = messages.mu(version.public_key, b"ctx", b"m")
    made = sign(
        desk, call, message=mu, options=signature_pb2.SigningOptions(input="SIGNING_INPUT_MU")
    )
    options = signature_pb2.SigningOptions(context=b"ctx")
    assert verify(desk, call, made.signature, options=options).valid


def test_a_prehash_is_another_signature(desk, call):
    desk.create("a", "ML_DSA_44")
    options = signature_pb2.SigningOptions(prehash="SHA2-512")
    made = sign(desk, call, options=options)
    assert verify(desk, call, made.signature, options=options).valid
    assert not verify(desk, call, made.signature).valid
    digest = signature_pb2.SigningOptions(prehash="SHA2-512", input="SIGNING_INPUT_DIGEST")
    found = verify(
        desk, call, made.signature, message=hashlib.sha512(b"m").digest(), options=digest
    )
    assert found.valid


@pytest.mark.parametrize("form", ["SIGNATURE_FORMAT_JWS", "SIGNATURE_FORMAT_COSE_SIGN1"])
@pytest.mark.parametrize(
    "algorithm", ["ML_DSA_44", "ED25519", "ECDSA_P256_SHA256", "ECDSA_SECP256K1_SHA256"]
)
def test_a_wrapped_signature_holds_for_its_own_message_alone(desk, call, form, algorithm):
    desk.create("a", algorithm)
    options = signature_pb2.SigningOptions(format=form)
    made = sign(desk, call, options=options)
    assert made.format == signature_pb2.SignatureFormat.Value(form)
    assert verify(desk, call, made.signature, options=options).valid
    assert verify(desk, call, made.signature, options=options, message=b"").valid
    other = verify(desk, call, made.signature, options=options, message=b"n")
    assert (other.valid, other.failure) == (False, signature_pb2.VERIFY_FAILURE_MISMATCH)
    desk.rotate("a")
    found = verify(desk, call, made.signature, options=options)
    assert (found.valid, found.key_version) == (True, "keys/a/versions/1")
    desk.act("a", 1, Act.DISABLE)
    found = verify(desk, call, made.signature, options=options)
    assert (found.valid, found.failure) == (False, signature_pb2.VERIFY_FAILURE_VERSION)


@pytest.mark.parametrize(
    ("algorithm", "options", "message", "field"),
    [
        ("ED25519", {"context": b"c"}, b"m", "options.context"),
        ("ML_DSA_44", {"context": b"c" * 256}, b"m", "options.context"),
        ("ED25519", {"input": "SIGNING_INPUT_MU"}, bytes(64), "options.input"),
        ("ML_DSA_44", {"input": "SIGNING_INPUT_MU"}, bytes(63), "message"),
        ("ML_DSA_44", {"input": "SIGNING_INPUT_MU", "context": b"c"}, bytes(64), "options.context"),
        ("ML_DSA_44", {"input": "SIGNING_INPUT_DIGEST"}, bytes(32), "options.input"),
        ("ML_DSA_44", {"input": 9}, b"m", "options.input"),
        ("ML_DSA_44", {"format": 9}, b"m", "options.format"),
        ("ML_DSA_44", {"prehash": "MD5"}, b"m", "options.prehash"),
        ("ED25519", {"prehash": "SHA2-256"}, b"m", "options.prehash"),
        (
            "ML_DSA_44",
            {"prehash": "SHA2-256", "input": "SIGNING_INPUT_DIGEST"},
            bytes(31),
            "message",
        ),
        ("ML_DSA_44", {"format": "SIGNATURE_FORMAT_JWS", "context": b"c"}, b"m", "options.format"),
        ("ML_KEM_768", {}, b"m", "key"),
    ],
)
def test_what_an_algorithm_has_not_is_refused_by_its_field(
    desk, call, algorithm, options, message, field
):
    desk.create("a", algorithm)
    options = signature_pb2.SigningOptions(**options)
    error = refused(lambda: sign(desk, call, message=message, options=options))
    assert error.field == field
    assert "expected" in error.message
    assert desk.entries("Sign") == []


def test_an_algorithm_beside_a_key_is_refused_and_not_ignored(desk, call):
    """Who names one to be sure of it must not be told "valid" by a key of another."""
    desk.create("a", "ML_DSA_65")
    made = sign(desk, call)
    other = algorithm_pb2.ALGORITHM_ED25519
    error = refused(lambda: verify(desk, call, made.signature, algorithm=other))
    assert error.field == "algorithm"
    batch = pb.VerifyBatchRequest(key="keys/a", algorithm=other, items=[signature_pb2.VerifyItem()])
    assert refused(lambda: desk.service.verify_batch(call, batch)).field == "algorithm"


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [("ED25519", "expected MESSAGE, as"), ("ECDSA_P256_SHA256", "expected MESSAGE or DIGEST, as")],
)
def test_a_refused_mu_names_only_what_there_is_in_its_place(desk, call, algorithm, expected):
    desk.create("a", algorithm)
    options = signature_pb2.SigningOptions(input=INPUT.SIGNING_INPUT_MU)
    error = refused(lambda: sign(desk, call, message=bytes(64), options=options))
    assert expected in error.message


def test_what_no_library_can_is_not_to_be_installed(desk, call):
    desk.create("a", "ML_DSA_44")
    options = signature_pb2.SigningOptions(deterministic=True)
    error = refused(lambda: sign(desk, call, options=options), Reason.PART_NOT_INSTALLED)
    assert "install" not in error.message
    assert "request_id" in error.message


def test_a_large_message_is_told_of_streams(desk, call):
    desk.create("a", "ML_DSA_44")
    error = refused(lambda: sign(desk, call, message=bytes((1 << 20) + 1)), Reason.LIMIT_EXCEEDED)
    assert (error.limit, error.field) == ("signing.message_bytes_max", "message")
    assert "SignStream" in error.message


def test_a_wrong_checksum_is_told(desk, call):
    desk.create("a")
    error = refused(lambda: sign(desk, call, message_crc32c=1), Reason.CHECKSUM_MISMATCH)
    assert error.field == "message_crc32c"
    assert sign(desk, call, message_crc32c=google_crc32c.value(b"m")).signature


def test_a_policy_of_contexts(desk, call):
    desk.create("a", "ML_DSA_44", policy=Policy(contexts=(b"orders",)))
    error = refused(lambda: sign(desk, call), Reason.POLICY_DENIED)
    assert error.field == "options.context"
    options = signature_pb2.SigningOptions(context=b"orders")
    made = sign(desk, call, options=options)
    assert verify(desk, call, made.signature, options=options).valid
    other = verify(desk, call, made.signature)
    assert other.failure == signature_pb2.VERIFY_FAILURE_CONTEXT


def test_a_mu_does_not_get_round_a_policy_of_contexts(desk, call):
    """What a mu is of cannot be seen: with the empty context on the list, any other could hide in it, and an
    item's own context was looked at and then not signed."""
    _, version = desk.create("a", "ML_DSA_44", policy=Policy(contexts=(b"", b"orders")))
    mu = messages.mu(version.public_key, b"payments", b"m")
    options = signature_pb2.SigningOptions(input="SIGNING_INPUT_MU")
    error = refused(lambda: sign(desk, call, message=mu, options=options), Reason.POLICY_DENIED)
    assert error.field == "options.input"
    items = [
        signature_pb2.SignItem(message=mu, context=b"orders"),
        signature_pb2.SignItem(message=mu),
    ]
    request = pb.SignBatchRequest(key="keys/a", items=items, options=options)
    made = pb.SignBatchResponse.FromString(desk.service.sign_batch(call, request))
    assert [one.error.reason for one in made.results] == ["POLICY_DENIED"] * 2
    found = verify(desk, call, bytes(2420), message=mu, options=options)
    assert found.failure == signature_pb2.VERIFY_FAILURE_CONTEXT
    item = signature_pb2.VerifyItem(message=mu, signature=bytes(2420))
    batch = pb.VerifyBatchRequest(key="keys/a", items=[item], options=options)
    [one] = pb.VerifyBatchResponse.FromString(desk.service.verify_batch(call, batch)).results
    assert one.verdict.failure == signature_pb2.VERIFY_FAILURE_CONTEXT


def test_an_item_has_no_context_beside_its_mu(desk, call):
    """It would be ignored: a mu holds its context."""
    _, version = desk.create("a", "ML_DSA_44")
    mu = messages.mu(version.public_key, b"payments", b"m")
    item = signature_pb2.SignItem(message=mu, context=b"orders")
    options = signature_pb2.SigningOptions(input="SIGNING_INPUT_MU")
    request = pb.SignBatchRequest(key="keys/a", items=[item], options=options)
    made = pb.SignBatchResponse.FromString(desk.service.sign_batch(call, request))
    assert made.results[0].error.reason == "FIELD_INVALID"
    assert "items[0].context" in made.results[0].error.message


def test_a_grant_for_verifying_alone(desk, call):
    grant = Grant(frozenset({"emma"}), frozenset({Use.VERIFY}))
    desk.create("a", policy=Policy(grants=(grant,)))
    refused(lambda: sign(desk, call), Reason.POLICY_DENIED)
    assert not verify(desk, call, bytes(64)).valid


def test_a_rate_holds_for_items_of_a_batch(desk, call):
    desk.create("a", policy=Policy(uses_per_second=0.001, burst=3))
    items = [signature_pb2.SignItem(message=b"m")] * 4
    request = pb.SignBatchRequest(key="keys/a", items=items)
    refused(lambda: desk.service.sign_batch(call, request), Reason.RATE_EXCEEDED)
    del request.items[3]
    desk.service.sign_batch(call, request)
    refused(lambda: sign(desk, call), Reason.RATE_EXCEEDED)


class TestBatches:
    def batch(self, desk, call, items, **fields):
        request = pb.SignBatchRequest(key="keys/a", items=items, **fields)
        return pb.SignBatchResponse.FromString(desk.service.sign_batch(call, request)).results

    def test_one_bad_item_does_not_fail_the_rest(self, desk, call):
        desk.create("a", "ML_DSA_44")
        items = [
            signature_pb2.SignItem(reference="good", message=b"1"),
            signature_pb2.SignItem(reference="torn", message=b"2", message_crc32c=7),
            signature_pb2.SignItem(reference="long", message=b"3", context=b"c" * 256),
            signature_pb2.SignItem(reference="own", message=b"4", context=b"own"),
        ]
        made = self.batch(desk, call, items)
        assert [one.reference for one in made] == ["good", "torn", "long", "own"]
        assert [one.WhichOneof("outcome") for one in made] == [
            "signature",
            "error",
            "error",
            "signature",
        ]
        assert made[1].error.reason == "CHECKSUM_MISMATCH"
        assert "items[1].message_crc32c" in made[1].error.message
        assert "items[2].context" in made[2].error.message
        options = signature_pb2.SigningOptions(context=b"own")
        assert verify(desk, call, made[3].signature.signature, message=b"4", options=options).valid
        [entry] = desk.entries("Sign")
        assert (entry.facts["items"], entry.facts["signed"]) == ("4", "2")

    def test_a_repeat_gets_the_same_signatures(self, desk, call):
        desk.create("a", "ML_DSA_44")
        items = [signature_pb2.SignItem(message=b"1"), signature_pb2.SignItem(message=b"1")]
        first = self.batch(desk, call, items, request_id="one")
        assert first[0].signature.signature != first[1].signature.signature
        assert self.batch(desk, call, items, request_id="one") == first

    def test_sizes_are_limited(self, desk, call):
        desk.create("a")
        assert refused(lambda: self.batch(desk, call, [])).field == "items"
        items = [signature_pb2.SignItem(message=b"1")] * 51
        error = refused(lambda: self.batch(desk, call, items), Reason.LIMIT_EXCEEDED)
        assert error.limit == "signing.batch_items_max"

    def test_a_cancelled_batch_writes_nothing_down(self, desk, call):
        desk.create("a")
        call.cancelled = True
        items = [signature_pb2.SignItem(message=b"1")] * 5
        refused(lambda: self.batch(desk, call, items), Reason.CANCELLED)
        assert desk.entries("Sign") == []

    def test_a_batch_that_takes_too_long_is_ended(self, desk, call, monkeypatch):
        desk.create("a")
        made = sign(desk, call, message=b"0").signature
        monkeypatch.setattr("ketgate_server.signing.use.batches.TIME_LIMIT_S", -1.0)
        monkeypatch.setattr("ketgate_server.signing.use.batches.Batches._slot", lambda *_: FREE)
        items = [signature_pb2.SignItem(message=b"1")] * 5
        refused(lambda: self.batch(desk, call, items), Reason.DEADLINE_EXCEEDED)
        items = [signature_pb2.VerifyItem(message=b"0", signature=made)] * 5
        request = pb.VerifyBatchRequest(key="keys/a", items=items)
        refused(lambda: desk.service.verify_batch(call, request), Reason.DEADLINE_EXCEEDED)

    def test_verifying_many_over_versions(self, desk, call):
        desk.create("a")
        old = sign(desk, call, message=b"0").signature
        desk.rotate("a")
        new = sign(desk, call, message=b"1").signature
        items = [
            signature_pb2.VerifyItem(reference="old", message=b"0", signature=old),
            signature_pb2.VerifyItem(reference="new", message=b"1", signature=new),
            signature_pb2.VerifyItem(reference="bad", message=b"2", signature=new),
            signature_pb2.VerifyItem(reference="short", message=b"2", signature=b"x"),
            signature_pb2.VerifyItem(reference="torn", message=b"2", message_crc32c=1),
        ]
        request = pb.VerifyBatchRequest(key="keys/a", items=items)
        made = pb.VerifyBatchResponse.FromString(desk.service.verify_batch(call, request)).results
        assert [one.verdict.valid for one in made] == [True, True, False, False, False]
        assert made[0].verdict.key_version == "keys/a/versions/1"
        assert made[1].verdict.key_version == "keys/a/versions/2"
        assert made[3].verdict.failure == signature_pb2.VERIFY_FAILURE_LENGTH
        assert made[4].error.reason == "CHECKSUM_MISMATCH"


class TestStreams:
    def parts(self, start, *parts):
        kind = pb.SignStreamRequest if isinstance(start, pb.SignRequest) else pb.VerifyStreamRequest
        yield kind(start=start)
        for part in parts:
            yield kind(message_crc32c=part) if isinstance(part, int) else kind(chunk=part)

    def signed(self, desk, call, *parts, **fields):
        start = pb.SignRequest(**({"key": "keys/a"} | fields))
        answer = desk.service.sign_stream(call, self.parts(start, *parts))
        return pb.SignStreamResponse.FromString(answer)

    def test_the_signature_is_that_of_the_whole_message(self, desk, call):
        desk.create("a", "ML_DSA_44")
        made = self.signed(desk, call, b"abc", b"", b"def", google_crc32c.value(b"abcdef"))
        assert made.message_bytes == 6
        assert made.signature.content_sha256 == hashlib.sha256(b"abcdef").digest()
        assert verify(desk, call, made.signature.signature, message=b"abcdef").valid
        [entry] = desk.entries("Sign")  # FakeCall's method
        assert entry.facts["message_bytes"] == "6"

    def test_what_was_signed_at_once_verifies_in_pieces(self, desk, call):
        desk.create("a", "ML_DSA_44")
        old = sign(desk, call, message=b"abcdef").signature
        desk.rotate("a")
        for message, valid in (((b"abc", b"def"), True), ((b"abc", b"dee"), False)):
            start = pb.VerifyRequest(key="keys/a", signature=old)
            answer = desk.service.verify_stream(call, self.parts(start, *message))
            assert answer.verdict.valid is valid
        assert answer.message_bytes == 6

    @pytest.mark.parametrize("named", ["keys/a", "keys/a/versions/1"])
    def test_a_version_that_is_disabled_while_pieces_come_verifies_nothing(self, desk, call, named):
        desk.create("a", "ML_DSA_44")
        old = sign(desk, call, message=b"abc").signature
        desk.rotate("a")

        def parts():
            yield pb.VerifyStreamRequest(start=pb.VerifyRequest(key=named, signature=old))
            yield pb.VerifyStreamRequest(chunk=b"abc")
            desk.act("a", 1, Act.DISABLE)

        if named == "keys/a":
            assert not desk.service.verify_stream(call, parts()).verdict.valid
        else:
            refused(lambda: desk.service.verify_stream(call, parts()), Reason.KEY_UNUSABLE)

    def test_a_prehash_works_in_pieces(self, desk, call):
        desk.create("a", "ML_DSA_44")
        options = signature_pb2.SigningOptions(prehash="SHA3-512", context=b"c")
        made = self.signed(desk, call, b"a", b"b", options=options)
        assert verify(desk, call, made.signature.signature, message=b"ab", options=options).valid

    @pytest.mark.parametrize("algorithm", ["ML_DSA_44", "ML_DSA_44_ED25519"])
    @pytest.mark.parametrize("more", [{}, {"context": b"payments"}])
    def test_a_policy_of_contexts_holds_for_pieces(self, desk, call, algorithm, more):
        desk.create("a", algorithm, policy=Policy(contexts=(b"orders",)))
        options = signature_pb2.SigningOptions(**more)
        error = refused(
            lambda: self.signed(desk, call, b"m", options=options), Reason.POLICY_DENIED
        )
        assert error.field == "start.options.context"
        assert desk.entries("Sign") == []
        allowed = signature_pb2.SigningOptions(context=b"orders")
        assert self.signed(desk, call, b"m", options=allowed).signature.signature

    def test_a_policy_that_is_set_while_pieces_come_holds(self, desk, call):
        desk.create("a", "ML_DSA_44")

        def parts():
            yield pb.SignStreamRequest(start=pb.SignRequest(key="keys/a"))
            yield pb.SignStreamRequest(chunk=b"m")
            desk.set_policy("a", Policy(contexts=(b"orders",)))

        refused(lambda: desk.service.sign_stream(call, parts()), Reason.POLICY_DENIED)
        assert desk.entries("Sign") == []

    @pytest.mark.parametrize("algorithm", ["ML_DSA_44_ED25519", "ML_DSA_44_ECDSA_P256"])
    def test_a_composite_signs_in_pieces_what_it_signs_at_once(self, desk, call, algorithm):
        desk.create("a", algorithm)
        options = signature_pb2.SigningOptions(context=b"c")
        made = self.signed(desk, call, b"a", b"b", options=options)
        assert verify(desk, call, made.signature.signature, message=b"ab", options=options).valid
        assert not verify(desk, call, made.signature.signature, message=b"ab").valid
        start = pb.VerifyRequest(
            key="keys/a",
            signature=sign(desk, call, message=b"ab", options=options).signature,
            options=options,
        )
        answer = desk.service.verify_stream(call, self.parts(start, b"a", b"b"))
        assert answer.verdict.valid

    @pytest.mark.parametrize(
        ("parts", "field"),
        [
            ((b"a", 1), "message_crc32c"),
            ((b"a", google_crc32c.value(b"a"), b"b"), "message_crc32c"),
            ((bytes((1 << 20) + 1),), "chunk"),
        ],
    )
    def test_wrong_parts_are_refused(self, desk, call, parts, field):
        desk.create("a", "ML_DSA_44")
        with pytest.raises(KetgateError) as caught:
            self.signed(desk, call, *parts)
        assert caught.value.field == field
        assert desk.entries("Sign") == []

    def test_a_message_has_a_limit(self, desk, call):
        desk.create("a", "ML_DSA_44")
        error = refused(
            lambda: self.signed(desk, call, *[bytes(1 << 20)] * 5), Reason.LIMIT_EXCEEDED
        )
        assert error.limit == "signing.stream_bytes_max"

    def test_it_begins_with_what_to_do(self, desk, call):
        desk.create("a", "ML_DSA_44")
        messages = iter([pb.SignStreamRequest(chunk=b"a")])
        assert refused(lambda: desk.service.sign_stream(call, messages)).field == "start"
        start = pb.SignRequest(key="keys/a", message=b"m")
        error = refused(lambda: desk.service.sign_stream(call, self.parts(start)))
        assert error.field == "start.message"
        twice = [pb.SignStreamRequest(start=pb.SignRequest(key="keys/a"))] * 2
        assert refused(lambda: desk.service.sign_stream(call, iter(twice))).field == "part"

    def test_a_token_has_some_streams_and_no_more(self, desk, call):
        """It could hold all of the server's, for the hour that each may last."""
        desk.create("a", "ML_DSA_44")
        old = sign(desk, call, message=b"abc").signature
        other = replace(call, identity=OTTO)
        most = 2
        limits = {"signing.caller_streams_max": most, "rpc.streams_max": 9}
        desk.service._stream_places = stream_places(limits)

        def held(depth):
            """A stream amid which another begins."""
            yield pb.SignStreamRequest(start=pb.SignRequest(key="keys/a"))
            if depth < most:
                assert desk.service.sign_stream(call, held(depth + 1))
            else:
                for begin in (self.sign_one, self.verify_one):
                    error = refused(lambda b=begin: b(desk, call, old), Reason.SERVER_BUSY)
                    assert error.limit == "signing.caller_streams_max"
                    assert error.retry_after_s
                    assert begin(desk, other, old)
            yield pb.SignStreamRequest(chunk=b"abc")

        for _ in range(2):  # what ended gives its place back, also where it failed
            assert desk.service.sign_stream(call, held(1))
            refused(
                lambda: desk.service.sign_stream(call, iter([pb.SignStreamRequest(chunk=b"a")]))
            )
        assert self.verify_one(desk, call, old)

    def sign_one(self, desk, call, _):
        return self.signed(desk, call, b"abc")

    def verify_one(self, desk, call, signature):
        start = pb.VerifyRequest(key="keys/a", signature=signature)
        return desk.service.verify_stream(call, self.parts(start, b"abc")).verdict.valid

    def test_ed25519_needs_the_whole_message(self, desk, call):
        desk.create("a")
        error = refused(lambda: self.signed(desk, call, b"a"))
        assert error.field == "start.key"
        assert "Sign" in error.message

    def test_the_id_stands_for_the_whole_message(self, desk, call):
        desk.create("a", "ML_DSA_44")
        first = self.signed(desk, call, b"ab", request_id="one")
        assert self.signed(desk, call, b"a", b"b", request_id="one") == first
        refused(lambda: self.signed(desk, call, b"abc", request_id="one"), Reason.REQUEST_ID_REUSED)

    def test_a_repeat_is_answered_though_the_version_is_not_usable_any_more(self, desk, call):
        """As that of a message in one piece; nothing is signed. It was refused."""
        desk.create("a", "ML_DSA_44")
        first = self.signed(desk, call, b"a", b"b", request_id="one")
        desk.act("a", 1, Act.DISABLE)
        assert self.signed(desk, call, b"ab", request_id="one") == first
        refused(lambda: self.signed(desk, call, b"ab", request_id="two"), Reason.KEY_UNUSABLE)
        refused(lambda: self.signed(desk, call, b"ab"), Reason.KEY_UNUSABLE)
        refused(lambda: self.signed(desk, call, b"abc", request_id="one"), Reason.REQUEST_ID_REUSED)


@pytest.mark.parametrize("algorithm", ["ML_DSA_44", "ED25519", "ECDSA_P256_SHA256"])
def test_a_public_key_verifies_in_each_format_that_it_is_exported_in(desk, call, algorithm):
    """Whoever exported a JWK had to make SubjectPublicKeyInfo of it; keys of Falcon have none, and verified nowhere."""
    _, version = desk.create("a", algorithm)
    made = sign(desk, call)
    for form in formats(version.algorithm):
        public_key = export_public_key(version.algorithm, version.public_key, form, version.name)
        raw = form is PublicKeyFormat.RAW
        hints = [made.algorithm] if raw else [0, made.algorithm]
        for hint in hints:
            given = {"public_key": public_key, "algorithm": hint}
            assert verify(desk, call, made.signature, **given).valid, (form, hint)
            assert not verify(desk, call, made.signature, message=b"n", **given).valid
            batch = pb.VerifyBatchRequest(
                items=[{"message": b"m", "signature": made.signature}], **given
            )
            assert (
                pb.VerifyBatchResponse.FromString(desk.service.verify_batch(call, batch))
                .results[0]
                .verdict.valid
            )
        if raw:
            request = pb.VerifyRequest(public_key=public_key, signature=made.signature)
            error = refused(lambda r=request: desk.service.verify(call, r))
            assert error.field == "public_key"
            assert "raw bytes with the algorithm" in error.message
