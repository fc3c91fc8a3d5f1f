"""SigningService: messages in, messages out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import google_crc32c
from ketgate.signing.v1 import signing_service_pb2 as pb

from ketgate_server.errors import FieldError, KetgateError, Reason
from ketgate_server.rpc.call import Answer, Call, Method, Service
from ketgate_server.signing.algorithms import HPKE, Algorithm, Purpose
from ketgate_server.signing.formats import public_keys
from ketgate_server.signing.keys.record import KeyRecord
from ketgate_server.signing.provider import KeyInvalid
from ketgate_server.signing.use import convert, convert_batches, streams
from ketgate_server.signing.use import options as check
from ketgate_server.signing.use.batches import Batches, check_batch_size
from ketgate_server.signing.use.certification import Certification
from ketgate_server.signing.use.encryption import Encryption
from ketgate_server.signing.use.options import Format
from ketgate_server.signing.use.places import batch_places, stream_places
from ketgate_server.signing.use.signatures import (
    How,
    Signatures,
    Signed,
    wrong_length,
)
from ketgate_server.signing.use.uses import Asked
from ketgate_server.signing.use.verdicts import Failure, Found
from ketgate_server.signing.use.wrapped import Read

NAME = "ketgate.signing.v1.SigningService"
ROLE = "signing.user"


class _Signer(Protocol):
    """A request that names a key or brings one."""

    key: str
    public_key: bytes

    def WhichOneof(self, name: str) -> str | None: ...  # noqa: N802


class SigningServicer:
    """Parse, call, build the answer."""

    def __init__(
        self,
        signatures: Signatures,
        batches: Batches,
        encryption: Encryption,
        certification: Certification,
        limits: Mapping[str, int],
    ) -> None:
        self._signatures = signatures
        self._batches = batches
        self._certification = certification
        self._encryption = encryption
        self._limits = limits
        self._message_max = limits[convert.MESSAGE_LIMIT]
        self._stream_places = stream_places(limits)
        self._batch_places = batch_places(limits)

    def veiled(self, call: Call, error: KetgateError) -> KetgateError:
        """A refusal, without what the caller may not know of."""
        return self._signatures.veiled(call, error)

    def sign(self, call: Call, request: pb.SignRequest) -> Answer:
        asked = convert.asked(call, request)
        message = convert.content(request, "message", self._message_max, convert.MESSAGE_LIMIT)
        return self._signatures.sign(
            asked, request.key, message, convert.how(request), convert.sign_reply
        )

    def verify(self, call: Call, request: pb.VerifyRequest) -> Answer:
        message = convert.content(request, "message", self._message_max, convert.MESSAGE_LIMIT)
        how = convert.how(request)
        if _names_key(request):
            found = self._signatures.verify(call, request.key, request.signature, message, how)
        else:
            algorithm, public_key = _given(request, request.algorithm, Purpose.SIGN)
            found = self._signatures.verify_given(
                algorithm, public_key, request.signature, message, how
            )
        return pb.VerifyResponse(verdict=convert.verdict(found))

    def sign_batch(self, call: Call, request: pb.SignBatchRequest) -> Answer:
        with self._batch_places.take(call.identity.subject):
            return self._sign_batch(call, request)

    def _sign_batch(self, call: Call, request: pb.SignBatchRequest) -> Answer:
        asked = convert.asked(call, request)
        check_batch_size(len(request.items), self._limits["signing.batch_items_max"])
        how = _raw(convert.how(request), "in a batch")
        return self._batches.sign(
            asked,
            request.key,
            convert.sign_columns(request, how.options, self._message_max),
            how,
            lambda results: convert_batches.sign_batch_reply(request, results),
        )

    def verify_batch(self, call: Call, request: pb.VerifyBatchRequest) -> Answer:
        with self._batch_places.take(call.identity.subject):
            return self._verify_batch(call, request)

    def _verify_batch(self, call: Call, request: pb.VerifyBatchRequest) -> Answer:
        check_batch_size(len(request.items), self._limits["signing.batch_items_max"])
        how = _raw(convert.how(request), "in a batch")
        columns = convert.verify_columns(request, how.options, self._message_max)
        key = None
        if _names_key(request):
            key, versions = self._signatures.verifiers(call, request.key)
            algorithm = key.algorithm
            keys = [(version.name, version.public_key) for version in versions]
            self._signatures.take(key, len(columns.contents))
        else:
            algorithm, public_key = _given(request, request.algorithm, Purpose.SIGN)
            keys = [("", public_key)]
        check.check(algorithm, how.options, how.format, how.path)
        results = self._batches.verify(call, algorithm, keys, columns, how.options, key)
        return convert_batches.verify_batch_reply(request, results)

    def sign_stream(self, call: Call, requests: Iterator[pb.SignStreamRequest]) -> Answer:
        with self._stream_places.take(call.identity.subject):
            return self._sign_stream(call, requests)

    def _sign_stream(self, call: Call, requests: Iterator[pb.SignStreamRequest]) -> Answer:
        start = _start(requests)
        asked = convert.asked(call, start)
        how = _raw(convert.how(start, "start.options"), "in a stream")
        name = start.key
        try:
            key, version = self._signatures.current(
                lambda: self._signatures.signer(call, name, how)
            )
        except KetgateError as error:
            if not asked.request_id or error.reason is not Reason.KEY_UNUSABLE:
                raise
            return self._streamed_before(asked, name, requests, error)
        self._check_stream(key, how)
        self._signatures.check_context(key, how.options, how.path)
        hashed = streams.hash_message(
            key.algorithm,
            [version.public_key],
            how.options,
            streams.parts_of(convert.stream_parts(requests)),
            self._limits["signing.stream_bytes_max"],
        )

        def again() -> bytes:
            # The same version: the hash may be bound to its public key.
            generation = self._signatures.generation
            key, now = self._signatures.signer(call, version.name, how)
            self._signatures.check_context(key, how.options, how.path)
            self._signatures.take(key, 1, asked)
            raw, provider = self._signatures.sign_with(key, now, hashed.contents[0], hashed.options)
            signed = Signed(raw, hashed.content_sha256, now, provider)
            reply = pb.SignStreamResponse(
                signature=convert.signature(signed), message_bytes=hashed.size_bytes
            )
            return self._signatures.write_signed(
                asked,
                generation,
                signed,
                reply.SerializeToString(),
                message_bytes=str(hashed.size_bytes),
            )

        # What was asked is the whole message, not its first part alone.
        asked = asked.with_content(hashed.content_sha256)
        known = self._signatures.known(asked, name)
        return known if known is not None else self._signatures.current(again)

    def _streamed_before(
        self,
        asked: Asked,
        name: str,
        requests: Iterator[pb.SignStreamRequest],
        unusable: KetgateError,
    ) -> Answer:
        """The reply of the same stream before, when its version is not usable any more: nothing is signed. Raises
        unusable for a new one."""
        content_sha256, _ = streams.read_message(
            streams.parts_of(convert.stream_parts(requests)),
            self._limits["signing.stream_bytes_max"],
        )
        known = self._signatures.known(asked.with_content(content_sha256), name)
        if known is None:
            raise unusable
        return known

    def verify_stream(self, call: Call, requests: Iterator[pb.VerifyStreamRequest]) -> Answer:
        with self._stream_places.take(call.identity.subject):
            return self._verify_stream(call, requests)

    def _verify_stream(self, call: Call, requests: Iterator[pb.VerifyStreamRequest]) -> Answer:
        start = _start(requests)
        how = _raw(convert.how(start, "start.options"), "in a stream")
        named = _names_key(start, "start.")
        if named:
            key, versions = self._signatures.verifiers(call, start.key, "start.key")
            if len(versions) > streams.VERSIONS_MAX:
                raise FieldError(
                    "start.key",
                    expected=f"a version of a key with more than {streams.VERSIONS_MAX} usable ones",
                    given=start.key,
                )
            algorithm = key.algorithm
            keys = [(version.name, version.public_key) for version in versions]
            self._check_stream(key, how)
            self._signatures.take(key, 1)
            if self._signatures.denies_context(key, how.options):
                return pb.VerifyStreamResponse(
                    verdict=convert.verdict(Found(Failure.CONTEXT, algorithm, keys[0][0]))
                )
        else:
            algorithm, public_key = _given(start, start.algorithm, Purpose.SIGN, "start.")
            keys = [("", public_key)]
            check.check(algorithm, how.options, how.format, how.path)
            streams.check(algorithm, how.options, "start")
        hashed = streams.hash_message(
            algorithm,
            [public_key for _, public_key in keys],
            how.options,
            streams.parts_of(convert.stream_parts(requests)),
            self._limits["signing.stream_bytes_max"],
        )
        usable = {""}
        if named:  # as they are now: the message may have taken long
            _, versions = self._signatures.verifiers(call, start.key, "start.key")
            usable = {version.name for version in versions}
        found = Found(Failure.LENGTH, algorithm, keys[0][0])
        if not wrong_length(algorithm, start.signature):
            found = Found(Failure.VERSION, algorithm)
            for (name, public_key), signed in zip(keys, hashed.contents, strict=True):
                if name not in usable:
                    continue
                read = Read(start.signature, signed)
                now = self._signatures.check_with(algorithm, public_key, read, hashed.options, name)
                if now.valid or found.failure is Failure.VERSION:
                    found = now
                if now.valid:
                    break
        return pb.VerifyStreamResponse(
            verdict=convert.verdict(found), message_bytes=hashed.size_bytes
        )

    def _check_stream(self, key: KeyRecord, how: How) -> None:
        check.check(key.algorithm, how.options, how.format, how.path, stream=True)
        streams.check(key.algorithm, how.options, "start")

    def encapsulate(self, call: Call, request: pb.EncapsulateRequest) -> Answer:
        if _names_key(request):
            done = self._encryption.encapsulate(call, request.key)
        else:
            algorithm, public_key = _given(request, 0, Purpose.ENCAPSULATE)
            done = self._encryption.encapsulate_to(algorithm, public_key)
        return pb.EncapsulateResponse(
            ciphertext=done.output,
            ciphertext_crc32c=google_crc32c.value(done.output),
            shared_secret=done.secret,
            shared_secret_crc32c=google_crc32c.value(done.secret),
            **convert.made_by(done),
        )

    def decapsulate(self, call: Call, request: pb.DecapsulateRequest) -> Answer:
        ciphertext = convert.content(
            request, "ciphertext", self._message_max, convert.MESSAGE_LIMIT
        )
        done = self._encryption.decapsulate(convert.asked(call, request), request.key, ciphertext)
        return pb.DecapsulateResponse(
            shared_secret=done.output,
            shared_secret_crc32c=google_crc32c.value(done.output),
            **convert.made_by(done),
        )

    def seal(self, call: Call, request: pb.SealRequest) -> Answer:
        plaintext = convert.content(request, "plaintext", convert.SEAL_BYTES_MAX, "")
        info = convert.bounded(request.info, convert.INFO_BYTES_MAX, "info")
        data = convert.bounded(
            request.associated_data, convert.ASSOCIATED_DATA_BYTES_MAX, "associated_data"
        )
        if _names_key(request):
            done = self._encryption.seal(call, request.key, plaintext, info, data)
        else:
            done = self._encryption.seal_to(HPKE, request.public_key, plaintext, info, data)
        return pb.SealResponse(
            ciphertext=done.output,
            ciphertext_crc32c=google_crc32c.value(done.output),
            **convert.made_by(done),
        )

    def open(self, call: Call, request: pb.OpenRequest) -> Answer:
        most = convert.SEAL_BYTES_MAX + HPKE.output_bytes_max
        ciphertext = convert.content(request, "ciphertext", most, "")
        info = convert.bounded(request.info, convert.INFO_BYTES_MAX, "info")
        data = convert.bounded(
            request.associated_data, convert.ASSOCIATED_DATA_BYTES_MAX, "associated_data"
        )
        done = self._encryption.open(
            convert.asked(call, request), request.key, ciphertext, info, data
        )
        return pb.OpenResponse(
            plaintext=done.output,
            plaintext_crc32c=google_crc32c.value(done.output),
            **convert.made_by(done),
        )

    def generate_random(self, _: Call, request: pb.GenerateRandomRequest) -> Answer:
        if not 1 <= request.size_bytes <= convert.RANDOM_BYTES_MAX:
            raise FieldError(
                "size_bytes",
                expected=f"1 to {convert.RANDOM_BYTES_MAX}",
                given=request.size_bytes,
            )
        random = os.urandom(request.size_bytes)
        return pb.GenerateRandomResponse(random=random, random_crc32c=google_crc32c.value(random))

    def compute_mac(self, call: Call, request: pb.ComputeMacRequest) -> Answer:
        message = convert.content(request, "message", self._message_max, convert.MESSAGE_LIMIT)
        done = self._encryption.compute_mac(convert.asked(call, request), request.key, message)
        return pb.ComputeMacResponse(
            mac=done.output,
            mac_crc32c=google_crc32c.value(done.output),
            **convert.made_by(done),
        )

    def verify_mac(self, call: Call, request: pb.VerifyMacRequest) -> Answer:
        message = convert.content(request, "message", self._message_max, convert.MESSAGE_LIMIT)
        found = self._encryption.verify_mac(call, request.key, message, request.mac)
        return pb.VerifyMacResponse(verdict=convert.verdict(found))

    def create_signing_request(self, call: Call, request: pb.CreateSigningRequestRequest) -> Answer:
        return self._certification.request(
            convert.asked(call, request),
            request.key,
            request.subject,
            list(request.subject_alternative_names),
            convert.signing_request_reply,
        )

    def issue_certificate(self, call: Call, request: pb.IssueCertificateRequest) -> Answer:
        return self._certification.issue(
            convert.asked(call, request),
            request.key,
            convert.order(request),
            convert.certificate_reply,
        )


def _names_key(request: object, path: str = "") -> bool:
    """Whether it names a key of the store, rather than bring one."""
    oneof = (
        "recipient"
        if hasattr(type(request), "DESCRIPTOR")
        and "recipient"
        in (
            request.DESCRIPTOR.oneofs_by_name  # type: ignore[attr-defined]
        )
        else "signer"
    )
    which = request.WhichOneof(oneof)  # type: ignore[attr-defined]
    if which is None:
        raise FieldError(f"{path}{oneof}", expected="key or public_key", given="neither")
    number = getattr(request, "algorithm", 0)
    if which == "key" and number:
        given = convert.algorithm(number, f"{path}algorithm")
        raise FieldError(
            f"{path}algorithm",
            expected="nothing beside key, which has an algorithm of its own",
            given=given.id if given else number,
        )
    return bool(which == "key")


def _given(
    request: _Signer, number: int, purpose: Purpose, path: str = ""
) -> tuple[Algorithm, bytes]:
    """The algorithm and the raw bytes of a public key in a request."""
    hinted = convert.algorithm(number, f"{path}algorithm")
    try:
        algorithm, raw = public_keys.read(request.public_key, hinted)
    except KeyInvalid as error:
        raise FieldError(
            f"{path}public_key",
            expected=public_keys.FORMATS + (f", of {hinted.name}" if hinted else ""),
            given=request.public_key,
            hint=str(error),
        ) from error
    check.check_purpose(algorithm, purpose, f"{path}public_key")
    return algorithm, raw


def _raw(how: How, where: str) -> How:
    if how.format is not Format.RAW:
        raise FieldError(f"{how.path}.format", expected=f"RAW {where}", given=how.format.value)
    return how


def _start(requests: Iterator):  # type: ignore[no-untyped-def,type-arg]
    first = next(requests)  # the edge gives one at least
    if first.WhichOneof("part") != "start":
        raise FieldError(
            "start", expected="start in the first message", given=first.WhichOneof("part")
        )
    if first.start.message or first.start.HasField("message_crc32c"):
        raise FieldError(
            "start.message",
            expected="nothing: the message follows in chunks",
            given=first.start.message,
        )
    return first.start


def create_service(servicer: Callable[[], SigningServicer]) -> Service:
    """The service as the edge serves it. servicer: asked at each call, as keys are there only once the store
    is open."""

    def late(name: str) -> Callable[[Call, Any], Answer]:
        def call_it(call: Call, request: Any) -> Answer:
            asked = servicer()
            try:
                answer: Answer = getattr(asked, name)(call, request)
            except KetgateError as error:
                raise asked.veiled(call, error) from error.__cause__
            return answer

        return call_it

    return Service(
        NAME,
        {
            "Sign": Method(pb.SignRequest, ROLE, unary=late("sign"), mutates=True),
            "Verify": Method(pb.VerifyRequest, ROLE, unary=late("verify")),
            "SignBatch": Method(pb.SignBatchRequest, ROLE, unary=late("sign_batch"), mutates=True),
            "VerifyBatch": Method(pb.VerifyBatchRequest, ROLE, unary=late("verify_batch")),
            "SignStream": Method(
                pb.SignStreamRequest, ROLE, upload=late("sign_stream"), mutates=True
            ),
            "VerifyStream": Method(pb.VerifyStreamRequest, ROLE, upload=late("verify_stream")),
            "Encapsulate": Method(pb.EncapsulateRequest, ROLE, unary=late("encapsulate")),
            "Decapsulate": Method(
                pb.DecapsulateRequest, ROLE, unary=late("decapsulate"), mutates=True
            ),
            "Seal": Method(pb.SealRequest, ROLE, unary=late("seal")),
            "Open": Method(pb.OpenRequest, ROLE, unary=late("open"), mutates=True),
            "GenerateRandom": Method(pb.GenerateRandomRequest, ROLE, unary=late("generate_random")),
            "ComputeMac": Method(
                pb.ComputeMacRequest, ROLE, unary=late("compute_mac"), mutates=True
            ),
            "VerifyMac": Method(pb.VerifyMacRequest, ROLE, unary=late("verify_mac")),
            "CreateSigningRequest": Method(
                pb.CreateSigningRequestRequest,
                ROLE,
                unary=late("create_signing_request"),
                mutates=True,
            ),
            "IssueCertificate": Method(
                pb.IssueCertificateRequest, ROLE, unary=late("issue_certificate"), mutates=True
            ),
        },
    )
