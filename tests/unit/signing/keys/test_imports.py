"""Keys from elsewhere and on their way out: what is taken, what is refused, and what is then left."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.rpc.call import Identity
from ketgate_server.signing.algorithms import ALGORITHMS
from ketgate_server.signing.formats import der as writer
from ketgate_server.signing.formats import pkcs8, spki
from ketgate_server.signing.formats.expanded import expanded_bytes
from ketgate_server.signing.keys import due
from ketgate_server.signing.keys.access import Access
from ketgate_server.signing.keys.exports import Exports
from ketgate_server.signing.keys.imports import Imports, NewImport, PublicKey, WrappedKey
from ketgate_server.signing.keys.record import Grant, Origin, Policy, Use
from ketgate_server.signing.keys.states import Act
from ketgate_server.signing.keys.store import NewKey
from ketgate_server.signing.keys.wrapping import Wrapping, WrappingPair, generate, unwrap, wrap
from ketgate_server.signing.keys.wrapping_keys import LIFETIME_US, WrappingKey, WrappingKeys
from ketgate_server.signing.provider import Form, Material

from .conftest import EMMA, Bench
from .test_key_store import audit

KEM, RSA = Wrapping.ML_KEM_768_AES_256_GCM, Wrapping.RSA_OAEP_SHA256_AES_KWP
SEED = bytes(range(32))
BOB = Identity("bob", "red", frozenset({"signing.admin"}))


class Dock:
    """Where keys come in and go out."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        keys = bench.keys
        self.wrapping = WrappingKeys(keys.store, keys.vault, 3)
        self.imports = Imports(keys, self.wrapping)
        self.exports = Exports(keys, Access(keys))

    def wrapping_key(self, how: Wrapping = KEM, **options) -> WrappingKey:
        asker = self.bench.asker("/CreateWrappingKey", **options)
        made = self.wrapping.create(asker, how, lambda key: key.id.encode()).value
        assert made is not None
        return made

    def wrapped(self, content: bytes, how: Wrapping = KEM) -> WrappedKey:
        key = self.wrapping_key(how)
        return WrappedKey(key.id, wrap(how, key.public_key, content, "f"))

    def run(self, source, algorithm: str = "ML_DSA_65", key_id: str = "a", **options):
        asker = options.pop("asker", None) or self.bench.asker("/ImportKey")
        given = frozenset(options)
        new = NewKey(key_id, ALGORITHMS[algorithm], **options)
        return self.imports.run(
            asker, NewImport(new, given, source), lambda made: made[1].name.encode()
        )

    def material(self, number: int = 1, key_id: str = "a") -> Material:
        key, version = self.bench.key(key_id), self.bench.version(number, key_id)
        assert version.envelope is not None
        return self.bench.keys.vault.open(self.bench.keys.owner(key, version), version.envelope)


@pytest.fixture
def dock(bench: Bench) -> Dock:
    return Dock(bench)


def refusal(call, *arguments, **options) -> KetgateError:
    with pytest.raises(KetgateError) as caught:
        call(*arguments, **options)
    return caught.value


def der(key) -> bytes:
    if hasattr(key, "private_bytes"):
        return key.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@pytest.mark.parametrize("how", Wrapping)
def test_a_private_key_comes_in(dock: Dock, bench: Bench, how: Wrapping) -> None:
    source = dock.wrapped(SEED, how)
    key, version = dock.run(source, exportable=True, labels={"desk": "fx"}).value
    assert (version.origin, version.version, key.labels) == (Origin.IMPORTED, 1, {"desk": "fx"})
    assert key.exportable
    public = mldsa.MLDSA65PrivateKey.from_seed_bytes(SEED).public_key()
    assert version.public_key == public.public_bytes_raw()
    assert version.fingerprint == spki.fingerprint(version.algorithm, version.public_key)
    assert dock.material() == Material(version.algorithm, Form.SEED, SEED)
    action, resource, facts = audit(bench)[-1]
    assert (action, resource) == ("/ImportKey", "keys/a/versions/1")
    assert facts["origin"] == "IMPORTED"
    assert int(facts["generation"]) > 0


@pytest.mark.parametrize(
    ("algorithm", "content", "form"),
    [
        ("ML_DSA_44", der(mldsa.MLDSA44PrivateKey.from_seed_bytes(SEED)), Form.SEED),
        ("ED25519", SEED, Form.SEED),
        ("ED25519", der(ed25519.Ed25519PrivateKey.from_private_bytes(SEED)), Form.SEED),
        ("ECDSA_P256_SHA256", der(ec.derive_private_key(7, ec.SECP256R1())), Form.PKCS8),
        ("ECDSA_SECP256K1_SHA256", der(ec.derive_private_key(7, ec.SECP256K1())), Form.PKCS8),
        ("ML_KEM_768", SEED * 2, Form.SEED),
        ("HPKE_MLKEM768_X25519", SEED, Form.SEED),
        ("HMAC_SHA384", SEED + SEED[:16], Form.RAW),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_all_that_has_a_private_key_can_come_in_and_go_out(
    dock: Dock, algorithm: str, content: bytes, form: Form
) -> None:
    key, version = dock.run(dock.wrapped(content), algorithm, exportable=True).value
    assert dock.material().form is form
    receiver = generate(KEM)
    out = dock.exports.run(dock.bench.asker("/Export"), "a", 1, KEM, receiver.public_key)
    assert out.version == version
    exported = unwrap(KEM, receiver.private, out.wrapped, "f")
    assert pkcs8.read_private(exported, key.algorithm) == dock.material()
    # What goes out of one server goes into another as it is.
    direct = dock.wrapping_key()
    again = dock.exports.run(dock.bench.asker("/Export"), "a", 1, KEM, direct.public_key)
    copied = dock.run(WrappedKey(direct.id, again.wrapped), algorithm, "b").value
    assert copied[1].public_key == version.public_key
    assert dock.material(1, "b").content == dock.material().content


def test_a_wrapping_key_is_good_for_one_import(dock: Dock, bench: Bench) -> None:
    source = dock.wrapped(SEED)
    dock.run(source)
    error = refusal(dock.run, source, key_id="b")
    assert (error.reason, error.field) == (Reason.RESOURCE_NOT_FOUND, "wrapped.wrapping_key")
    assert bench.keys.get("red", "b") is None


def test_a_wrapping_key_is_gone_after_an_hour(dock: Dock, bench: Bench) -> None:
    source = dock.wrapped(SEED)
    bench.time.pass_us(LIFETIME_US)
    assert refusal(dock.run, source).reason is Reason.RESOURCE_NOT_FOUND
    assert due.drop_wrapping_keys(bench.keys)
    with bench.store.read() as reader:
        assert reader.rows("SELECT id FROM signing_wrapping_keys") == []


def test_a_tenant_has_few_wrapping_keys_and_only_its_own(dock: Dock, bench: Bench) -> None:
    source = dock.wrapped(SEED)
    blue = bench.asker("/ImportKey", identity=Identity("emma", "blue", EMMA.roles))
    assert refusal(dock.run, source, asker=blue).reason is Reason.RESOURCE_NOT_FOUND
    dock.wrapping_key(RSA)
    dock.wrapping_key()
    error = refusal(dock.wrapping_key)
    assert (error.reason, error.limit) == (Reason.QUOTA_EXCEEDED, "signing.wrapping_keys_max")
    bench.time.pass_us(LIFETIME_US)
    dock.wrapping_key()


def test_what_does_not_open_uses_its_wrapping_key_up(dock: Dock, bench: Bench) -> None:
    source = dock.wrapped(SEED)
    hostile = replace(source, content=source.content[:-1] + bytes([source.content[-1] ^ 1]))
    error = refusal(dock.run, hostile)
    assert (error.reason, error.field) == (Reason.CIPHERTEXT_INVALID, "wrapped.wrapped_key")
    assert refusal(dock.run, source).reason is Reason.RESOURCE_NOT_FOUND
    action, resource, facts = audit(bench)[-1]
    assert (action, facts["caller"]) == ("signing.wrapping_key.spent", "emma")
    assert resource == f"wrappingKeys/{source.wrapping_key}"


def pkcs8_of(algorithm: str, seed: bytes, expanded: bytes) -> bytes:
    """RFC 9881's "both", by hand."""
    inner = writer.sequence(writer.octets(seed), writer.octets(expanded))
    return writer.sequence(
        writer.integer(0), spki.identifier(ALGORITHMS[algorithm]), writer.octets(inner)
    )


def test_what_is_no_key_of_the_algorithm_is_refused_without_showing_it(dock: Dock) -> None:
    ed25519_key = der(ed25519.Ed25519PrivateKey.from_private_bytes(SEED))
    both = pkcs8_of("ML_DSA_65", SEED, bytes(expanded_bytes(ALGORITHMS["ML_DSA_65"])))
    for algorithm, content in (
        ("ML_DSA_65", SEED[:-1]),
        ("ML_DSA_65", ed25519_key),
        ("ML_DSA_65", both),
        ("ED25519", ed25519_key + b"\x00"),
        ("ED25519", ed25519_key[:-1]),
        ("HMAC_SHA256", b"short"),
        ("ECDSA_P256_SHA256", der(ec.derive_private_key(7, ec.SECP384R1()))),
        ("RSA_PSS_SHA256", SEED),
        ("FALCON_512", SEED),
    ):
        error = refusal(dock.run, dock.wrapped(content), algorithm)
        if algorithm == "FALCON_512" and error.reason is Reason.PART_NOT_INSTALLED:
            continue
        assert (error.reason, error.field) == (Reason.FIELD_INVALID, "wrapped.wrapped_key"), (
            algorithm
        )
        assert SEED.hex() not in error.message
        dock.wrapping.spend(dock.bench.asker(), _newest(dock))


def _newest(dock: Dock) -> str:
    with dock.bench.store.read() as reader:
        row = reader.row("SELECT id FROM signing_wrapping_keys ORDER BY id DESC LIMIT 1")
    assert row is not None
    return str(row[0])


def test_an_ecdsa_key_with_the_public_part_of_another_is_refused(dock: Dock) -> None:
    one, other = (ec.derive_private_key(n, ec.SECP256R1()) for n in (7, 8))
    points = [
        key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        for key in (one, other)
    ]
    mixed = der(one).replace(*points)
    assert mixed != der(one)
    error = refusal(dock.run, dock.wrapped(mixed), "ECDSA_P256_SHA256")
    assert (error.reason, error.field) == (Reason.FIELD_INVALID, "wrapped.wrapped_key")


def test_a_public_key_comes_in_to_verify_with(dock: Dock) -> None:
    public = mldsa.MLDSA65PrivateKey.from_seed_bytes(SEED).public_key()
    _, version = dock.run(PublicKey(der(public))).value
    assert version.public_key == public.public_bytes_raw()
    assert version.envelope is None
    pem = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    again = dock.run(PublicKey(pem), key_id="b").value[1]
    assert again.fingerprint == version.fingerprint
    for content in (
        b"",
        der(public)[:-1],
        SEED,
        der(ec.derive_private_key(7, ec.SECP256R1()).public_key()),
    ):
        error = refusal(dock.run, PublicKey(content), key_id="c")
        assert (error.reason, error.field) == (Reason.FIELD_INVALID, "public_key")
    assert refusal(dock.run, PublicKey(pem), "HMAC_SHA256", "c").field == "public_key"


def test_the_next_version_of_a_key_that_is_there(dock: Dock, bench: Bench) -> None:
    bench.create("a", "ML_DSA_65")
    key, version = dock.run(dock.wrapped(SEED)).value
    assert (version.version, key.primary_version, version.origin) == (2, 2, Origin.IMPORTED)
    public = der(mldsa.MLDSA65PrivateKey.generate().public_key())
    key, version = dock.run(PublicKey(public)).value
    assert (version.version, key.primary_version) == (3, 2)  # one that cannot sign is not primary
    error = refusal(dock.run, dock.wrapped(SEED), "ML_DSA_44")
    assert (error.reason, error.field) == (Reason.FIELD_INVALID, "algorithm")
    assert refusal(dock.run, PublicKey(public), exportable=True).field == "exportable"
    assert refusal(dock.run, PublicKey(public), labels={"a": "b"}).field == "labels"


def test_a_key_of_others_is_one_that_is_taken(dock: Dock, bench: Bench) -> None:
    policy = Policy((Grant(frozenset({"emma"}), frozenset({Use.MANAGE})),))
    bench.create("a", "ML_DSA_65", policy=policy)
    bob = bench.asker("/ImportKey", identity=BOB)
    assert refusal(dock.run, dock.wrapped(SEED), asker=bob).reason is Reason.RESOURCE_EXISTS
    named = Policy((*policy.grants, Grant(frozenset({"bob"}), frozenset({Use.SIGN}))))
    bench.create("b", "ML_DSA_65", policy=named)
    error = refusal(dock.run, dock.wrapped(SEED), key_id="b", asker=bob)
    assert error.reason is Reason.POLICY_DENIED


def test_a_repeat_gets_the_same_reply_though_its_wrapping_key_is_gone(dock: Dock) -> None:
    source = dock.wrapped(SEED)
    first = dock.run(source, asker=dock.bench.asker("/ImportKey", "once"))
    again = dock.run(source, asker=dock.bench.asker("/ImportKey", "once"))
    assert (again.reply, again.value) == (first.reply, None)
    other = dock.bench.asker("/ImportKey", "once", b"another")
    assert refusal(dock.run, source, asker=other).reason is Reason.REQUEST_ID_REUSED
    made = dock.wrapping_key(request_id="w")
    repeat = dock.wrapping.create(
        dock.bench.asker("/CreateWrappingKey", "w"), KEM, lambda key: b"never"
    )
    assert repeat.reply == made.id.encode()


def test_an_import_beside_a_rotation_takes_the_next_number(dock: Dock, bench: Bench) -> None:
    bench.create("a", "ML_DSA_65")
    keys, look = bench.keys, bench.keys.get
    looks = []

    def get(tenant: str, key_id: str):
        looks.append(key_id)
        found = look(tenant, key_id)
        if len(looks) == 2:  # what is sealed is then of a number that is taken
            dock.imports._newest = lambda *_: 1  # type: ignore[method-assign]
            bench.rotate()
        else:
            dock.imports.__dict__.pop("_newest", None)
        return found

    keys.get = get  # type: ignore[method-assign]
    _, version = dock.run(dock.wrapped(SEED)).value
    assert (version.version, len(looks)) == (3, 3)
    del keys.get
    assert dock.material(3).content == SEED


def test_what_was_not_made_exportable_does_not_leave(dock: Dock, bench: Bench) -> None:
    receiver: WrappingPair = generate(KEM)

    def export(key_id: str, number: int = 1, identity: Identity = EMMA):
        asker = bench.asker("/Export", identity=identity)
        return dock.exports.run(asker, key_id, number, KEM, receiver.public_key)

    bench.create("inside")
    assert refusal(export, "inside").reason is Reason.KEY_NOT_EXPORTABLE
    dock.run(
        PublicKey(der(mldsa.MLDSA65PrivateKey.generate().public_key())),
        key_id="public",
        exportable=True,
    )
    assert refusal(export, "public").reason is Reason.KEY_NOT_EXPORTABLE
    sign_only = Policy((Grant(frozenset({"emma"}), frozenset({Use.SIGN, Use.MANAGE})),))
    bench.create("guarded", exportable=True, policy=sign_only)
    assert refusal(export, "guarded").reason is Reason.POLICY_DENIED
    assert refusal(export, "guarded", 1, BOB).reason is Reason.RESOURCE_NOT_FOUND
    bench.create("a", exportable=True)
    assert refusal(export, "a", 2).reason is Reason.RESOURCE_NOT_FOUND
    export("a")
    action, resource, facts = audit(bench)[-1]
    assert (action, resource) == ("/Export", "keys/a/versions/1")
    assert len(facts["receiver_sha256"]) == 64
    bench.act(Act.DISABLE, 1)
    assert refusal(export, "a").reason is Reason.KEY_UNUSABLE
    asker = bench.asker("/Export")
    error = refusal(dock.exports.run, asker, "a", 1, KEM, b"no key")
    assert error.field == "wrapping_public_key"
