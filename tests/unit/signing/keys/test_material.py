"""Key material from outside, of every algorithm that is here: what belongs together is taken, and nothing else."""

from dataclasses import replace

import pytest
from ketgate_server.errors import FieldError, PartMissing
from ketgate_server.signing.algorithms import ALGORITHMS, Algorithm, Family
from ketgate_server.signing.formats import ml_kem, pkcs8, spki
from ketgate_server.signing.formats.export import export_public_key, formats
from ketgate_server.signing.keys.material import read_private, read_public, write_private
from ketgate_server.signing.provider import Form, KeyInvalid, Material, Providers
from ketgate_server.signing.providers import mldsa_expand
from ketgate_server.signing.providers.registry import find_providers
from ketgate_server.signing.settings import SigningSettings

PROVIDERS = find_providers(SigningSettings()).providers
FIELD = "wrapped.wrapped_key"
GENERATED = [algorithm for algorithm in ALGORITHMS.values() if algorithm.generates]
SLOW = ("SLH_DSA_SHA2_192S", "SLH_DSA_SHA2_256S", "SLH_DSA_SHAKE_192S", "SLH_DSA_SHAKE_256S")
"""Each takes a second to sign; the others of the family stand for them."""


def new_key(algorithm: Algorithm) -> tuple[Material, bytes]:
    """A private key and its public one; skips without a provider."""
    provider = PROVIDERS.to_generate(algorithm)
    if provider is None:
        pytest.skip(f"nobody here makes keys of {algorithm}")
    material = provider.generate(algorithm)
    return material, provider.public_key(material)


@pytest.mark.parametrize("algorithm", GENERATED, ids=lambda a: a.id)
def test_what_is_exported_is_imported(algorithm: Algorithm) -> None:
    if algorithm.id in SLOW:
        pytest.skip("as the others of its family, and slow")
    material, public_key = new_key(algorithm)
    fresh = read_private(PROVIDERS, algorithm, write_private(material), FIELD)
    assert fresh.material == material
    assert fresh.public_key == public_key
    for form in formats(algorithm):
        content = export_public_key(algorithm, public_key, form, "keys/a/versions/1")
        raw, fingerprint, _ = read_public(PROVIDERS, algorithm, content, "public_key")
        assert (raw, fingerprint) == (public_key, fresh.fingerprint), form


@pytest.mark.parametrize(
    "name", ["FALCON_512", "SLH_DSA_SHA2_128F", "SLH_DSA_SHAKE_128F", "ML_DSA_65", "ML_KEM_768"]
)
def test_halves_of_two_keys_are_no_key(name: str) -> None:
    algorithm = ALGORITHMS[name]
    (one, public), (other, stranger) = new_key(algorithm), new_key(algorithm)
    if algorithm.family is Family.FALCON:
        mixed = one.content + stranger
    elif algorithm.family is Family.SLH_DSA:  # seed, prf || public seed, root
        half = len(one.content) // 2
        mixed = pkcs8.write(replace(one, content=one.content[:half] + other.content[half:]))
    else:
        mixed = _expanded(one, public, stranger)
    with pytest.raises((FieldError, PartMissing)) as caught:
        read_private(PROVIDERS, algorithm, mixed, FIELD)
    if isinstance(caught.value, FieldError):
        assert caught.value.field == FIELD


def _expanded(one: Material, public: bytes, stranger: bytes) -> bytes:
    """The expanded form of a key, with the public key of another in it, or the part of it that is there."""
    if one.algorithm.family is Family.ML_KEM:
        content = bytearray(ml_kem.expand(one.algorithm, one.content))
        at, part = content.index(public), stranger
    else:
        parameters = mldsa_expand.PARAMETERS[one.algorithm.id]
        content = mldsa_expand.expand(parameters, one.content)[1]
        at, part = 0, stranger[:32]
    content[at : at + len(part)] = part
    return pkcs8.write(replace(one, form=Form.EXPANDED, content=bytes(content)))


def test_what_only_verifies_has_no_private_key() -> None:
    with pytest.raises(FieldError) as caught:
        read_private(PROVIDERS, ALGORITHMS["RSA_PSS_SHA256"], bytes(32), FIELD)
    assert "import a public key" in caught.value.message


def test_a_key_in_a_token_stays_there() -> None:
    with pytest.raises(KeyInvalid):
        write_private(Material(ALGORITHMS["ECDSA_P256_SHA256"], Form.TOKEN, b"id"))


def test_without_a_provider_the_way_to_have_one_is_told() -> None:
    none = Providers([])
    with pytest.raises(PartMissing):
        read_private(none, ALGORITHMS["ML_DSA_65"], bytes(32), FIELD)
    public = spki.write(ALGORITHMS["ED25519"], bytes(32))
    with pytest.raises(PartMissing):
        read_public(none, ALGORITHMS["ED25519"], public, "public_key")


@pytest.mark.parametrize("algorithm", GENERATED, ids=lambda a: a.id)
def test_nothing_is_no_public_key_and_codes_have_none(algorithm: Algorithm) -> None:
    if not PROVIDERS.of(algorithm):
        pytest.skip(f"nobody here has {algorithm}")
    with pytest.raises(FieldError) as caught:
        read_public(PROVIDERS, algorithm, b"", "public_key")
    assert caught.value.field == "public_key"
