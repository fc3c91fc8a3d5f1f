"""JWS and COSE_Sign1, JWK and COSE_Key: the examples of RFC 9964, round trips, and headers that lie."""

import hashlib
import json
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from ketgate_server.errors import FieldError
from ketgate_server.signing.algorithms import ALGORITHMS, RSA_PSS, SECP256K1
from ketgate_server.signing.formats import base64url, cbor, ecdsa, jose, jws, sign1
from ketgate_server.signing.formats.export import PublicKeyFormat, export_public_key
from ketgate_server.signing.formats.malformed import Malformed
from ketgate_server.signing.provider import Form, Material, Options, VerifyingKey

from tests.unit.signing.formats.pairs import IN_JOSE, PROVIDER, SIGNS, VECTORS, Pair, pair

KID = "keys/desk/versions/3"
PAYLOAD = b"\x00 a payment"
RFC9964: list[dict[str, str]] = json.loads((VECTORS / "rfc9964.json").read_text())


def zero_pair(name: str) -> Pair:
    """The key of RFC 9964's examples."""
    material = Material(ALGORITHMS[name], Form.SEED, bytes(32))
    return Pair(material, PROVIDER.public_key(material))


def jws_of(own: Pair, header: Any, payload: str = base64url.write(PAYLOAD)) -> bytes:
    """A JWS whose signature holds, with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    signed = f"{base64url.write(text)}.{payload}".encode()
    raw = jose.to_jose(own.algorithm, own.sign(signed))
    return signed + b"." + base64url.write(raw).encode()


def sign1_of(own: Pair, protected: Any, unprotected: Any, payload: bytes | None = PAYLOAD) -> bytes:
    """A COSE_Sign1 whose signature holds, with any headers."""
    head = protected if isinstance(protected, bytes) else cbor.write(protected)
    signed = cbor.write(["Signature1", head, b"", PAYLOAD if payload is None else payload])
    raw = jose.to_jose(own.algorithm, own.sign(signed))
    return cbor.write(cbor.Tagged(18, [head, unprotected, payload, raw]))


@pytest.mark.parametrize("example", RFC9964, ids=lambda e: e["algorithm"] + "-" + e["format"])
def test_examples_of_rfc_9964(example: dict[str, str]) -> None:
    own = zero_pair(example["algorithm"])
    payload = bytes.fromhex(example["payload"])
    if example["format"] == "JWS":
        signed = example["signed"].encode()
        parsed = jws.parse(signed, own.algorithm)
        assert parsed.kid == example["kid"]
        written = jws.assemble(own.algorithm, payload, parsed.kid, parsed.signature)
        prepared = jws.prepare(own.algorithm, payload, parsed.kid)
        jwk = json.loads(export_public_key(own.algorithm, own.public_key, PublicKeyFormat.JWK))
        required = {name: jwk[name] for name in ("alg", "kty", "pub")}
        text = json.dumps(required, separators=(",", ":")).encode()  # RFC 7638
        assert base64url.write(hashlib.sha256(text).digest()) == parsed.kid
    else:
        signed = bytes.fromhex(example["signed"])
        parsed = sign1.parse(signed, own.algorithm)
        key = export_public_key(own.algorithm, own.public_key, PublicKeyFormat.COSE)
        thumbprint = hashlib.sha256(key).digest()  # RFC 9679: the members that it has are those
        assert thumbprint.hex() == example["kid"]
        protected = cbor.write({1: -48, 4: thumbprint})
        prepared = cbor.write(["Signature1", protected, b"", payload])
        written = cbor.write(
            cbor.Tagged(18, [protected, {}, payload, jose.to_jose(own.algorithm, parsed.signature)])
        )
    assert parsed.payload == payload
    assert own.verify(parsed.signature, parsed.signed)
    assert prepared == parsed.signed
    assert written == signed


@pytest.mark.parametrize("name", IN_JOSE)
@pytest.mark.parametrize("module", [jws, sign1], ids=["jws", "cose"])
@pytest.mark.parametrize("kid", [KID, ""])
def test_what_is_signed_verifies(name: str, module: Any, kid: str) -> None:
    own = pair(name)
    signature = own.sign(module.prepare(own.algorithm, PAYLOAD, kid))
    wrapped = module.assemble(own.algorithm, PAYLOAD, kid, signature)
    parsed = module.parse(wrapped, own.algorithm)
    assert (parsed.payload, parsed.kid) == (PAYLOAD, kid)
    assert own.verify(parsed.signature, parsed.signed)
    assert not own.verify(parsed.signature, parsed.signed + b"\0")


@pytest.mark.parametrize("name", [n for n in SIGNS if n not in IN_JOSE])
def test_what_jose_has_not_is_refused(name: str) -> None:
    own = pair(name)
    for module in (jws, sign1):
        with pytest.raises(FieldError, match=f"options.format: .*has no n.* for {own.algorithm}"):
            module.prepare(own.algorithm, PAYLOAD, KID)  # type: ignore[attr-defined]
    with pytest.raises(Malformed, match=f"keys of {own.algorithm} make no JWS"):
        jws.parse(jws_of(pair("ED25519"), {"alg": "EdDSA"}), own.algorithm)
    with pytest.raises(Malformed, match=f"keys of {own.algorithm} make no COSE_Sign1"):
        sign1.parse(sign1_of(pair("ED25519"), {1: -8}, {}), own.algorithm)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({"alg": "none"}, '"alg" is not ML-DSA-44'),
        ({"alg": "ML-DSA-65"}, '"alg" is not ML-DSA-44'),
        ({"alg": ""}, '"alg" is not ML-DSA-44'),
        ({"alg": ["ML-DSA-44"]}, '"alg" is not ML-DSA-44'),
        ({}, '"alg" is not ML-DSA-44'),
        ({"alg": "ML-DSA-44", "crit": ["exp"]}, '"crit"'),
        ({"alg": "ML-DSA-44", "crit": []}, '"crit"'),
        ({"alg": "ML-DSA-44", "b64": False}, "unencoded payload"),
        ({"alg": "ML-DSA-44", "b64": 0}, "unencoded payload"),
        ({"alg": "ML-DSA-44", "kid": 7}, '"kid" is no text'),
        ([{"alg": "ML-DSA-44"}], "no JSON object"),
        (b'{"alg":"none","alg":"ML-DSA-44"}', "a member twice"),
        (b'{"alg":"ML-DSA-44","x":{"y":1,"y":2}}', "a member twice"),
        (b'{"alg":"ML-DSA-44","x":NaN}', "not JSON: NaN"),
        (b'{"alg":"ML-DSA-44"', "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 12_000, "not JSON"),
        (b'{"alg":"ML-DSA-44","x":' + b"1" * 5_000 + b"}", "not JSON"),
        (b"{}" + b" " * (16 << 10), "more than"),
    ],
)
def test_jws_headers_that_would_have_it_otherwise(header: Any, said: str) -> None:
    own = pair("ML_DSA_44")
    with pytest.raises(Malformed, match=said):
        jws.parse(jws_of(own, header), own.algorithm)


def test_other_members_of_a_jws_header_do_not_matter() -> None:
    own = pair("ML_DSA_44")
    wrapped = jws_of(own, {"typ": "JWT", "alg": "ML-DSA-44", "b64": True, "x5c": ["?"]})
    parsed = jws.parse(wrapped, own.algorithm)
    assert own.verify(parsed.signature, parsed.signed)


def test_both_names_of_ed25519_are_read() -> None:
    own = pair("ED25519")
    for name, number in (("EdDSA", -8), ("Ed25519", -19)):
        one = jws.parse(jws_of(own, {"alg": name}), own.algorithm)
        assert own.verify(one.signature, one.signed)
        other = sign1.parse(sign1_of(own, {1: number}, {}), own.algorithm)
        assert own.verify(other.signature, other.signed)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text + b"=",
        lambda text: text.replace(b".", b"", 1),
        lambda text: text + b".",
        lambda text: b" " + text,
        lambda text: text.replace(b".", b"\n.", 1),
        lambda text: text.replace(b".", b"=.", 1),
        lambda text: text.replace(b".", b"+.", 1),
        lambda text: text[:-1] + b"\xc3\xa9",
        lambda _: b"",
        lambda _: b"..",
        lambda _: b".",
    ],
)
def test_jws_that_is_none(spoil: Any) -> None:
    own = pair("ED25519")
    with pytest.raises(Malformed):
        jws.parse(spoil(jws_of(own, {"alg": "EdDSA"})), own.algorithm)


def test_base64url_has_one_text_for_each_content() -> None:
    # "YQ" is "a"; the four bits that "YR" has left over are not zero.
    assert base64url.read(b"YQ", "it") == b"a"
    for text in (b"YR", b"YQ==", b"YQ=", b"Y", b"Y Q", b"YQ\n", b"+_", b"/w", "é".encode()):
        with pytest.raises(Malformed, match="it is not base64url"):
            base64url.read(text, "it")


@pytest.mark.parametrize(
    ("protected", "unprotected", "said"),
    [
        ({1: -7}, {}, "algorithm is not -8"),
        ({1: 0}, {}, "algorithm is not -8"),
        ({1: False}, {}, "algorithm is not -8"),
        ({1: "EdDSA"}, {}, "algorithm is not -8"),
        ({1: [-8]}, {}, "algorithm is not -8"),
        (b"\xa1\x01\xf9\xc8\x00", {}, "algorithm is not -8"),  # -8.0
        ({}, {1: -8}, "algorithm is not -8"),
        (b"", {1: -8}, "algorithm is not -8"),
        ({1: -8}, {1: -8}, "in both places"),
        ({1: -8, 4: b"a"}, {4: b"b"}, "in both places"),
        ({1: -8, 2: [4]}, {}, "critical"),
        ({1: -8}, {2: [4]}, "critical"),
        ({1: -8, 4: "a"}, {}, "no byte string"),
        ([1, -8], {}, "no map"),
        ({1: -8}, [], "two headers"),
        (b"\xa1\x01\x19\x01", {}, "cut off"),
        (b"\xa1\x01\x27\x00", {}, "follow"),
    ],
)
def test_cose_headers_that_would_have_it_otherwise(
    protected: Any, unprotected: Any, said: str
) -> None:
    own = pair("ED25519")
    with pytest.raises(Malformed, match=said):
        sign1.parse(sign1_of(own, protected, unprotected), own.algorithm)


def test_a_key_id_may_stand_outside_of_what_is_signed() -> None:
    own = pair("ED25519")
    assert (
        sign1.parse(sign1_of(own, {1: -8}, {4: b"a\xff"}), own.algorithm).kid
        == "a\N{REPLACEMENT CHARACTER}"
    )


@pytest.mark.parametrize(
    "value",
    [
        [b"", {}, b"", b""],
        cbor.Tagged(98, [b"", {}, b"", b""]),
        cbor.Tagged(18, [b"", {}, b""]),
        cbor.Tagged(18, [b"", {}, b"", b"", b""]),
        cbor.Tagged(18, {}),
        cbor.Tagged(18, [b"", {}, "text", b""]),
        cbor.Tagged(18, [b"", {}, b"", None]),
        cbor.Tagged(18, cbor.Tagged(18, [b"", {}, b"", b""])),
    ],
)
def test_cose_that_is_no_sign1(value: cbor.Value) -> None:
    with pytest.raises(Malformed, match="COSE_Sign1"):
        sign1.parse(cbor.write(value), ALGORITHMS["ED25519"])


def test_a_payload_may_be_elsewhere() -> None:
    own = pair("ML_DSA_44")
    whole = jws_of(own, {"alg": "ML-DSA-44"})
    head, _, tail = whole.split(b".")
    one = jws.parse(head + b".." + tail, own.algorithm, PAYLOAD)
    other = sign1.parse(sign1_of(own, {1: -48}, {}, None), own.algorithm, PAYLOAD)
    for parsed in (one, other):
        assert parsed.payload == PAYLOAD
        assert own.verify(parsed.signature, parsed.signed)
    # What brings its payload along keeps it: the caller compares.
    assert jws.parse(whole, own.algorithm, b"another").payload == PAYLOAD


@pytest.mark.parametrize("name", [n for n in IN_JOSE if jose.REGISTERED[n].scalar_bytes])
def test_signatures_of_ecdsa_have_a_fixed_length_there(name: str) -> None:
    own = pair(name)
    size = jose.REGISTERED[name].scalar_bytes
    signature = own.sign(PAYLOAD)
    fixed = jose.to_jose(own.algorithm, signature)
    assert len(fixed) == 2 * size
    back = jose.from_jose(own.algorithm, fixed)
    assert back == (signature[:64] if own.algorithm == SECP256K1 else signature)
    assert own.verify(back, PAYLOAD)
    for wrong in (fixed + b"\0", fixed[:-1], b"", signature + b"\0" * 9):
        with pytest.raises(Malformed, match=f"has {2 * size} bytes, given"):
            jose.from_jose(own.algorithm, wrong)


def test_the_higher_s_of_other_libraries_is_read() -> None:
    # RFC 8812 asks for neither of the two; our own provider, as chains, takes the lower one only.
    own = pair("ECDSA_SECP256K1_SHA256")
    fixed = jose.to_jose(own.algorithm, own.sign(PAYLOAD))
    s = ecdsa.SECP256K1_ORDER - int.from_bytes(fixed[32:])
    back = jose.from_jose(own.algorithm, fixed[:32] + s.to_bytes(32))
    assert own.verify(back, PAYLOAD)
    for wrong in (bytes(64), b"\xff" * 64, fixed[:32] + bytes(32), fixed[:32] + b"\xff" * 32):
        with pytest.raises(Malformed, match="below the order"):
            jose.from_jose(own.algorithm, wrong)


def test_rsa_of_others_is_verified() -> None:
    private = rsa.generate_private_key(65537, 2048)
    key = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    verifier = cast("VerifyingKey", PROVIDER.open_public(RSA_PSS, key))

    def sign(content: bytes) -> bytes:
        scheme = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
        return private.sign(content, scheme, hashes.SHA256())

    header = base64url.write(json.dumps({"alg": "PS256"}).encode())
    head = f"{header}.{base64url.write(PAYLOAD)}".encode()
    one = jws.parse(head + b"." + base64url.write(sign(head)).encode(), RSA_PSS)
    protected = cbor.write({1: -37})
    signed = cbor.write(["Signature1", protected, b"", PAYLOAD])
    wrapped = cbor.write(cbor.Tagged(18, [protected, {}, PAYLOAD, sign(signed)]))
    other = sign1.parse(wrapped, RSA_PSS)
    for parsed in (one, other):
        assert parsed.payload == PAYLOAD
        assert verifier.verify(parsed.signature, parsed.signed, Options())


@pytest.mark.parametrize("name", IN_JOSE)
def test_keys_name_their_version(name: str) -> None:
    own = pair(name)
    jwk = json.loads(export_public_key(own.algorithm, own.public_key, PublicKeyFormat.JWK, KID))
    assert (jwk["kid"], jwk["use"]) == (KID, "sig")
    assert jwk["alg"] == jose.REGISTERED[name].jose
    key = cbor.read(export_public_key(own.algorithm, own.public_key, PublicKeyFormat.COSE, KID))
    assert isinstance(key, dict)
    assert (key[2], key[3]) == (KID.encode(), jose.REGISTERED[name].cose)
