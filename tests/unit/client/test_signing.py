"""client.signing over a server within the test: what is sent, what is checked, what is asked again."""

import asyncio
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import google_crc32c
import grpc
import ketgate
import pytest
from ketgate.signing.v1 import (
    algorithm_pb2,
    key_pb2,
    key_service_pb2,
    signature_pb2,
    signing_service_pb2,
)

from .fake_server import Behaviour, FakeServer, answering, failing

MESSAGE = b"an order"
ML_DSA_65 = algorithm_pb2.ALGORITHM_ML_DSA_65


def signature(message: bytes = MESSAGE, **changed: Any) -> signature_pb2.Signature:
    signed = b"signed:" + message
    fields = {
        "signature": signed,
        "signature_crc32c": google_crc32c.value(signed),
        "content_sha256": sha256(message).digest(),
        "algorithm": ML_DSA_65,
        "standard": "FIPS 204",
        "key_version": "keys/desk/versions/1",
        "provider": "liboqs 0.13.0",
        "format": signature_pb2.SIGNATURE_FORMAT_RAW,
    }
    return signature_pb2.Signature(**(fields | changed))


def signed(**changed: Any) -> Behaviour:
    return answering(signing_service_pb2.SignResponse(signature=signature(**changed)))


class Recording:
    """Signs batches, and keeps the requests."""

    def __init__(self, items_max: int = 10_000, burst: int = 0) -> None:
        self.requests: list[Any] = []
        self.items_max = items_max
        self.burst = burst

    def __call__(self, content: bytes, context: Any) -> Any:
        request = signing_service_pb2.SignBatchRequest.FromString(content)
        exhausted = grpc.StatusCode.RESOURCE_EXHAUSTED
        if len(request.items) > self.items_max:
            limit = "signing.batch_items_max"
            yield from failing(exhausted, "LIMIT_EXCEEDED", limit=limit)(b"", context)
        if self.burst and len(request.items) > self.burst:
            told = {"burst": str(self.burst)}
            yield from failing(exhausted, "RATE_EXCEEDED", metadata=told)(b"", context)
        self.requests.append(request)
        results = [
            signature_pb2.SignItemResult(
                error=signature_pb2.ItemError(
                    reason="FIELD_INVALID", message=f"items[{i}].message: bad"
                )
            )
            if item.message == b"bad"
            else signature_pb2.SignItemResult(signature=signature(item.message))
            for i, item in enumerate(request.items)
        ]
        yield signing_service_pb2.SignBatchResponse(results=results)

    @property
    def sizes(self) -> list[int]:
        return [len(request.items) for request in self.requests]


def test_a_signature_tells_who_made_it_with_what(fake: FakeServer, client: ketgate.Client) -> None:
    sent: list[Any] = []

    def sign(content: bytes, _: Any) -> Any:
        sent.append(signing_service_pb2.SignRequest.FromString(content))
        yield signing_service_pb2.SignResponse(signature=signature())

    fake.behave(sign)
    made = client.signing.sign("desk", "an order", context="orders", prehash="SHA2-512")
    assert bytes(made) == b"signed:an order"
    assert (made.algorithm, made.key_version, made.format) == (
        "ML_DSA_65",
        "keys/desk/versions/1",
        "raw",
    )
    (request,) = sent
    assert (request.key, request.message) == ("keys/desk", MESSAGE)
    assert request.message_crc32c == google_crc32c.value(MESSAGE)
    assert (request.options.context, request.options.prehash) == (b"orders", "SHA2-512")
    assert request.request_id
    assert "signed:" not in repr(made)


@pytest.mark.parametrize("changed", [{"signature": b"other"}, {"content_sha256": bytes(32)}])
def test_what_was_damaged_is_asked_for_again(fake: FakeServer, changed: dict[str, Any]) -> None:
    ids: list[str] = []

    def noting(behaviour: Behaviour) -> Behaviour:
        def behave(content: bytes, context: Any) -> Any:
            ids.append(signing_service_pb2.SignRequest.FromString(content).request_id)
            yield from behaviour(content, context)

        return behave

    with ketgate.connect(fake.address, insecure=True) as client:
        fake.behave(noting(signed(**changed)), noting(signed(**changed)), noting(signed()))
        assert bytes(client.signing.sign("desk", MESSAGE)) == b"signed:an order"
        assert len(ids) == 3
        assert len(set(ids)) == 1
        fake.behave(signed(**changed))
        with pytest.raises(ketgate.DataLoss) as caught:
            client.signing.sign("desk", MESSAGE)
        assert len(fake.calls) == 3
    assert caught.value.reason == "DIGEST_MISMATCH"


def test_what_the_server_got_damaged_is_sent_again(fake: FakeServer) -> None:
    damaged = failing(grpc.StatusCode.INVALID_ARGUMENT, "CHECKSUM_MISMATCH", fields=("message",))
    with ketgate.connect(fake.address, insecure=True) as client:
        fake.behave(damaged, signed())
        assert client.signing.sign("desk", MESSAGE)
        fake.behave(failing(grpc.StatusCode.DATA_LOSS, "KEY_CORRUPT"))
        with pytest.raises(ketgate.DataLoss):
            client.signing.sign("desk", MESSAGE)
        assert len(fake.calls) == 1  # what the store lost is not found by asking again


def test_a_batch_keeps_its_order_and_its_errors(fake: FakeServer, client: ketgate.Client) -> None:
    recording = Recording()
    fake.behave(recording)
    messages = [f"{i}" for i in range(2_100)]
    messages[1_003] = "bad"
    found = client.signing.sign_many("desk", messages)
    assert recording.sizes == [1_000, 1_000, 100]
    expected = [f"signed:{m}".encode() for m in messages if m != "bad"]
    assert [bytes(one) for one in found if one] == expected
    assert not found[1_003]
    assert found[1_003] == ketgate.ItemError("FIELD_INVALID", "items[1003].message: bad")
    assert client.signing.sign_many("desk", []) == []


def test_a_batch_is_as_large_as_the_server_takes(fake: FakeServer, client: ketgate.Client) -> None:
    recording = Recording(items_max=300)
    fake.behave(recording)
    assert len(client.signing.sign_many("desk", [b"x"] * 1_000)) == 1_000
    assert recording.sizes == [250] * 4
    recording = Recording(burst=400)
    fake.behave(recording)
    assert len(client.signing.sign_many("desk", [b"x"] * 1_000)) == 1_000
    assert recording.sizes == [400, 400, 200]


def test_a_batch_that_is_refused_for_something_else_is_not_split(
    fake: FakeServer, client: ketgate.Client
) -> None:
    for limit in ("rpc.message_bytes_max", ""):
        fake.behave(failing(grpc.StatusCode.RESOURCE_EXHAUSTED, "LIMIT_EXCEEDED", limit=limit))
        with pytest.raises(ketgate.LimitExceeded):
            client.signing.sign_many("desk", [b"x"] * 10)
        assert len(fake.calls) == 1


def test_a_call_has_not_too_many_bytes(
    fake: FakeServer, client: ketgate.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ketgate._signing_tables.BYTES_MAX", 100)
    recording = Recording()
    fake.behave(recording)
    messages = [b"x", bytes(99), b"y", bytes(200), b"z", b"z"]
    assert len(client.signing.sign_many("desk", messages)) == 6
    assert recording.sizes == [2, 1, 1, 2]


def test_a_data_frame_gets_columns(fake: FakeServer, client: ketgate.Client) -> None:
    pandas = pytest.importorskip("pandas")
    recording = Recording()
    fake.behave(recording)
    orders = pandas.DataFrame(
        {"message": ["a", "bad", "c"], "context": [b"x", None, None], "reference": [1, 2, 3]},
        index=[7, 8, 9],
    )
    found = client.signing.sign_many("desk", orders)
    assert list(found.index) == [7, 8, 9]
    assert list(found["reference"]) == [1, 2, 3]
    assert list(found["signature"]) == [b"signed:a", None, b"signed:c"]
    assert list(found["error"]) == ["", "items[1].message: bad", ""]
    items = recording.requests[0].items
    assert [item.HasField("context") for item in items] == [True, False, False]
    assert "signature" not in orders.columns
    with pytest.raises(ketgate.InvalidArgument, match="message"):
        client.signing.sign_many("desk", pandas.DataFrame({"text": ["a"]}))


def test_a_rate_is_waited_for_only_where_that_helps(fake: FakeServer) -> None:
    with ketgate.connect(
        fake.address, insecure=True, retry=ketgate.Retry(delay_s_initial=0.0)
    ) as client:
        busy = grpc.StatusCode.RESOURCE_EXHAUSTED
        fake.behave(failing(busy, "RATE_EXCEEDED", retry_after_s=0.001), signed())
        assert client.signing.sign("desk", MESSAGE)
        fake.behave(failing(busy, "RATE_EXCEEDED", metadata={"burst": "5"}))
        with pytest.raises(ketgate.RateExceeded) as caught:
            client.signing.sign("desk", MESSAGE)
        assert len(fake.calls) == 1
    assert caught.value.burst == 5


def test_shared_secrets_are_shown_by_their_length(fake: FakeServer, client: ketgate.Client) -> None:
    secret, ciphertext = b"s" * 32, b"c" * 1088
    answer = signing_service_pb2.EncapsulateResponse(
        ciphertext=ciphertext,
        ciphertext_crc32c=google_crc32c.value(ciphertext),
        shared_secret=secret,
        shared_secret_crc32c=google_crc32c.value(secret),
        algorithm=algorithm_pb2.ALGORITHM_ML_KEM_768,
    )
    fake.behave(answering(answer))
    made = client.signing.encapsulate("desk")
    assert made.shared_secret == secret
    assert "sss" not in repr(made)
    assert "32 bytes" in repr(made)
    answer.shared_secret_crc32c ^= 1
    fake.behave(answering(answer))
    with pytest.raises(ketgate.DataLoss, match="shared_secret"):
        client.signing.encapsulate("desk")


def test_keys_are_given_by_name_by_id_or_as_they_are(
    fake: FakeServer, client: ketgate.Client
) -> None:
    key = key_pb2.Key(name="keys/desk", algorithm=ML_DSA_65, primary_version=2)
    fake.behave(answering(key_service_pb2.GetKeyResponse(key=key)))
    found = client.signing.get_key("desk")
    assert repr(found) == "<Key keys/desk: ML_DSA_65, unspecified, version 2>"
    names: list[str] = []

    def rotate(content: bytes, _: Any) -> Any:
        names.append(key_service_pb2.RotateKeyRequest.FromString(content).name)
        yield key_service_pb2.RotateKeyResponse()

    fake.behave(rotate)
    for given in (found, "desk", "keys/desk"):
        client.signing.rotate(given)
    assert names == ["keys/desk"] * 3


def test_a_policy_comes_back_as_it_was_set(fake: FakeServer, client: ketgate.Client) -> None:
    policy = ketgate.Policy(
        grants=(ketgate.Grant(("desk-1", "role:signing.user"), ("sign", "verify")),),
        contexts=(b"orders",),
        uses_per_second=10.0,
        burst=5,
        quorum=ketgate.Quorum(2, ("ann", "bob", "eve")),
    )

    def create(content: bytes, _: Any) -> Any:
        request = key_service_pb2.CreateKeyRequest.FromString(content)
        assert request.rotation_period.seconds == 86_400
        key = key_pb2.Key(name="keys/desk", policy=request.policy, labels=request.labels)
        yield key_service_pb2.CreateKeyResponse(key=key)

    fake.behave(create)
    made = client.signing.create_key(
        "desk", "ml-dsa-65", policy=policy, labels={"a": "b"}, rotation_period=timedelta(days=1)
    )
    assert made.policy == policy
    assert made.labels == {"a": "b"}


def test_what_is_wrong_is_told_before_it_is_sent(
    fake: FakeServer, client: ketgate.Client, tmp_path: Path
) -> None:
    fake.behave(failing(grpc.StatusCode.INTERNAL, "INTERNAL", "it was sent"))
    signing = client.signing
    wrong: dict[str, Any] = {
        "algorithm: .*ML_DSA_65": lambda: signing.create_key("desk", "ML-DSA-66"),
        "labels": lambda: signing.create_key("desk", labels={"a": 1}),  # type: ignore[dict-item]
        "rotation_period": lambda: signing.create_key("desk", rotation_period=5),  # type: ignore[arg-type]
        "members: expected a list": lambda: signing.create_key(
            "desk", policy=ketgate.Policy([ketgate.Grant("ann", ["sign"])])
        ),
        "uses: expected some of": lambda: signing.create_key(
            "desk", policy=ketgate.Policy([ketgate.Grant(["ann"], ["signing"])])
        ),
        "policy: expected a ketgate.Policy": lambda: signing.create_key("desk", policy={}),  # type: ignore[arg-type]
        "message: expected bytes": lambda: signing.sign("desk", 5),  # type: ignore[arg-type]
        "key: expected the name": lambda: signing.sign(5, "x"),  # type: ignore[arg-type]
        "format: expected": lambda: signing.sign("desk", "x", format="pkcs7"),
        "input: expected": lambda: signing.sign("desk", "x", input="hash"),
        "given neither": lambda: signing.verify(b"", "x"),
        "given both": lambda: signing.verify(b"", "x", key="desk", public_key=b"x"),
        "path: .*cannot be read": lambda: signing.sign_file("desk", tmp_path),
        "messages: expected a list": lambda: signing.sign_many("desk", "text"),
        "messages: expected 2": lambda: signing.verify_many([b"", b""], [b""], key="desk"),
        r"messages\[1\]": lambda: signing.sign_many("desk", ["a", 5]),
        "request_id: expected str, given int": lambda: signing.sign("desk", "x", request_id=5),  # type: ignore[arg-type]
        "prehash: expected": lambda: signing.sign("desk", "x", prehash=None),  # type: ignore[arg-type]
        "size_bytes: expected int": lambda: signing.random("32"),  # type: ignore[arg-type]
        "subject: expected str": lambda: signing.certificate_request("desk", 5),  # type: ignore[arg-type]
        "limit": lambda: signing.keys(limit=0),
        "update_key: expected something": lambda: signing.update_key("desk"),
    }
    for match, call in wrong.items():
        with pytest.raises(ketgate.InvalidArgument, match=match):
            call()
    with pytest.raises(TypeError, match="kontext"):
        signing.sign("desk", "x", kontext=b"y")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"create_key\(\) takes from 1 to 2"):
        signing.create_key("desk", "ML_DSA_65", {"desk": "fx"})  # type: ignore[call-arg, arg-type]
    assert not fake.calls


def test_the_asynchronous_client_does_the_same(fake: FakeServer) -> None:
    recording = Recording(burst=2)

    async def run() -> None:
        async with ketgate.aio.connect(fake.address, insecure=True) as client:
            fake.behave(signed(content_sha256=bytes(32)), signed())
            made = await client.signing.sign("desk", MESSAGE)
            assert bytes(made) == b"signed:an order"
            fake.behave(recording)
            assert len(await client.signing.sign_many("desk", ["a", "b", "c"])) == 3

    asyncio.run(run())
    assert recording.sizes == [2, 1]


def test_a_list_names_keys_that_are_corrupt(fake: FakeServer, client: ketgate.Client) -> None:
    """They are left out, and whoever runs the server would not miss them before they are needed."""
    key = key_pb2.Key(name="keys/desk", algorithm=ML_DSA_65)
    response = key_service_pb2.ListKeysResponse(keys=[key], corrupt_keys=["keys/fx"])
    fake.behave(answering(response))
    with pytest.warns(RuntimeWarning, match="keys/fx is corrupt"):
        found = client.signing.keys()
    assert [one.name for one in found] == ["keys/desk"]
