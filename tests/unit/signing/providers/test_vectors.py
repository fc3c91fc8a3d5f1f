"""Every public vector whose inputs a provider's interface takes, through that provider; the others are counted by why.

A runner checks one vector and returns None, or says why this provider cannot be given it.
"""

import hashlib
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

import pytest
from ketgate_server.signing import messages
from ketgate_server.signing.algorithms import ALGORITHMS, Algorithm
from ketgate_server.signing.provider import (
    DecapsulationKey,
    Form,
    Input,
    KeyInvalid,
    Material,
    Options,
    Provider,
    SigningKey,
    VerifyingKey,
)

from . import vectors
from .subjects import provider, providers
from .vectors import octets

Test = dict[str, Any]
NO_ALGORITHM = "has not the algorithm"
NO_MU = "takes no mu: the vector is of FIPS 204's internal interface"
NO_EXPANDED = "opens seeds only"
NO_NONCE = "no interface takes the randomness"
NO_FIPS_205 = "no provider here has FIPS 205 itself"
NOT_OURS = "no algorithm of keys: the library does it under Ketgate's envelopes"


def can_verify_mu(subject: Provider, algorithm: Algorithm) -> bool:
    return Input.MU in subject.abilities()[algorithm.id].inputs


def opened(subject: Provider, algorithm: Algorithm, form: Form, content: bytes) -> Any:
    return subject.open_private(Material(algorithm, form, content))


def ml_dsa_key_generation(
    subject: Provider, algorithm: Algorithm, group: Test, test: Test
) -> str | None:
    seed = Material(algorithm, Form.SEED, octets(test["seed"]))
    assert subject.public_key(seed) == octets(test["pk"])
    if Form.EXPANDED in subject.abilities()[algorithm.id].forms:
        expanded = Material(algorithm, Form.EXPANDED, octets(test["sk"]))
        assert subject.public_key(expanded) == octets(test["pk"])
    return None


def ml_dsa_signature(
    subject: Provider, algorithm: Algorithm, group: Test, test: Test
) -> str | None:
    if Form.EXPANDED not in subject.abilities()[algorithm.id].forms:
        return NO_EXPANDED
    # The randomness cannot be given: what is checked is that the key is the one that made the vector.
    key = opened(subject, algorithm, Form.EXPANDED, octets(test["sk"]))
    message, signature = octets(test["message"]), octets(test["signature"])
    verifier = cast(VerifyingKey, subject.open_public(algorithm, key.public_key))
    assert verifier.verify(key.sign(message, Options()), message, Options())
    mu = internal_mu(key.public_key, message)
    other = cast(VerifyingKey, provider("cryptography").open_public(algorithm, key.public_key))
    assert other.verify(signature, mu, Options(Input.MU))
    return None


def internal_mu(public_key: bytes, formatted: bytes) -> bytes:
    """mu of a message as Sign_internal takes it: without a prefix."""
    return hashlib.shake_256(hashlib.shake_256(public_key).digest(64) + formatted).digest(64)


def ml_dsa_internal_verification(
    subject: Provider, algorithm: Algorithm, group: Test, test: Test
) -> str | None:
    if not can_verify_mu(subject, algorithm):
        return NO_MU
    key = octets(group["pk"])
    verifier = cast(VerifyingKey, subject.open_public(algorithm, key))
    mu = internal_mu(key, octets(test["message"]))
    held = verifier.verify(octets(test["signature"]), mu, Options(Input.MU))
    assert held is test["testPassed"], test["reason"]
    return None


def verification(subject: Provider, algorithm: Algorithm, group: Test, test: Test) -> str | None:
    key = group["publicKey"]
    raw = octets(key if isinstance(key, str) else key.get("uncompressed") or key["pk"])
    try:
        verifier = cast(VerifyingKey, subject.open_public(algorithm, raw))
    except KeyInvalid:
        assert test["result"] == "invalid", test
        return None
    options = Options(context=octets(test.get("ctx", "")))
    held = verifier.verify(octets(test["sig"]), octets(test["msg"]), options)
    assert held is (test["result"] == "valid"), test
    return None


def seeded_signature(
    subject: Provider, algorithm: Algorithm, group: Test, test: Test
) -> str | None:
    """Signatures are hedged: ours differ from the vector's, and both hold."""
    try:
        key = cast(SigningKey, opened(subject, algorithm, Form.SEED, octets(group["privateSeed"])))
    except KeyInvalid:
        assert "IncorrectPrivateKeyLength" in test["flags"]
        return None
    assert key.public_key == octets(group["publicKey"])
    verifier = cast(VerifyingKey, subject.open_public(algorithm, key.public_key))
    expected = octets(test["sig"])
    options = Options(context=octets(test.get("ctx", "")))
    if "msg" not in test:
        if not can_verify_mu(subject, algorithm):
            return NO_MU
        options = Options(Input.MU)
        content = octets(test["mu"])
    else:
        content = octets(test["msg"])
        if test["result"] == "valid":
            assert messages.mu(key.public_key, options.context, content) == octets(test["mu"])
    if test["result"] == "invalid":
        with pytest.raises(ValueError, match=r"[Cc]ontext"):
            key.sign(content, options)
        return None
    assert verifier.verify(expected, content, options)
    assert verifier.verify(key.sign(content, options), content, options)
    return None


def ml_kem_key_generation(
    subject: Provider, algorithm: Algorithm, group: Test, test: Test
) -> str | None:
    seed = octets(test["seed"]) if "seed" in test else octets(test["d"]) + octets(test["z"])
    assert subject.public_key(Material(algorithm, Form.SEED, seed)) == octets(test["ek"])
    if Form.EXPANDED in subject.abilities()[algorithm.id].forms:
        expanded = Material(algorithm, Form.EXPANDED, octets(test["dk"]))
        assert subject.public_key(expanded) == octets(test["ek"])
    return None


def ml_kem_expanded(subject: Provider, algorithm: Algorithm, group: Test, test: Test) -> str | None:
    if Form.EXPANDED not in subject.abilities()[algorithm.id].forms:
        return NO_EXPANDED
    key = opened(subject, algorithm, Form.EXPANDED, octets(test.get("dk") or group["dk"]))
    assert key.decapsulate(octets(test["c"])) == octets(test["k"])
    return None


def ml_kem_decapsulation(
    subject: Provider, algorithm: Algorithm, group: Test, test: Test
) -> str | None:
    try:
        key = cast(DecapsulationKey, opened(subject, algorithm, Form.SEED, octets(test["seed"])))
        secret = key.decapsulate(octets(test["c"]))
    except (KeyInvalid, ValueError, RuntimeError):
        assert test["result"] == "invalid", test
        return None
    assert test["result"] == "valid", test
    assert secret == octets(test["K"])
    return None


def ml_kem_encapsulation(
    subject: Provider, algorithm: Algorithm, group: Test, test: Test
) -> str | None:
    try:
        subject.open_public(algorithm, octets(test["ek"]))
    except KeyInvalid:
        assert test["result"] == "invalid", test
        return None
    assert test["result"] == "valid", test
    return NO_NONCE


Runner = Callable[[Provider, Algorithm, Test, Test], str | None]
RUNNERS: dict[str, tuple[Runner, str]] = {
    "acvp_ML-DSA-keyGen-FIPS204": (ml_dsa_key_generation, ""),
    "acvp_ML-DSA-sigGen-FIPS204": (ml_dsa_signature, ""),
    "acvp_ML-DSA-sigVer-FIPS204": (ml_dsa_internal_verification, ""),
    "acvp_ML-KEM-encapDecap-FIPS203": (ml_kem_expanded, ""),
    "acvp_ML-KEM-keyGen-FIPS203": (ml_kem_key_generation, ""),
    "wycheproof_ecdsa_secp256r1_sha256_test": (verification, "ECDSA_P256_SHA256"),
    "wycheproof_ed25519_test": (verification, "ED25519"),
    "wycheproof_mldsa_44_sign_seed_test": (seeded_signature, "ML_DSA_44"),
    "wycheproof_mldsa_44_verify_test": (verification, "ML_DSA_44"),
    "wycheproof_mldsa_65_sign_seed_test": (seeded_signature, "ML_DSA_65"),
    "wycheproof_mldsa_65_verify_test": (verification, "ML_DSA_65"),
    "wycheproof_mldsa_87_sign_seed_test": (seeded_signature, "ML_DSA_87"),
    "wycheproof_mldsa_87_verify_test": (verification, "ML_DSA_87"),
    "wycheproof_mlkem_1024_test": (ml_kem_decapsulation, ""),
    "wycheproof_mlkem_512_test": (ml_kem_decapsulation, ""),
    "wycheproof_mlkem_768_encaps_test": (ml_kem_encapsulation, ""),
    "wycheproof_mlkem_768_keygen_seed_test": (ml_kem_key_generation, ""),
    "wycheproof_mlkem_768_test": (ml_kem_decapsulation, ""),
}
"""By file: how a vector is run, and its algorithm where the file does not say it of each group."""

NOT_FOR_PROVIDERS = {
    "acvp_SLH-DSA-keyGen-FIPS205": NO_FIPS_205,
    "acvp_SLH-DSA-sigVer-FIPS205": NO_FIPS_205,
    "wycheproof_aes_gcm_test": NOT_OURS,
    "wycheproof_aes_wrap_test": NOT_OURS,
    "wycheproof_hkdf_sha256_test": NOT_OURS,
}
"""Files of which no vector is run, and why."""

NOT_RUN: dict[str, dict[str, dict[str, int]]] = {
    "cryptography": {
        "acvp_ML-DSA-sigGen-FIPS204": {NO_EXPANDED: 12},
        "acvp_ML-KEM-encapDecap-FIPS203": {NO_ALGORITHM: 13, NO_EXPANDED: 26},
        "acvp_ML-KEM-keyGen-FIPS203": {NO_ALGORITHM: 6},
        "wycheproof_mlkem_512_test": {NO_ALGORITHM: 16},
        "wycheproof_mlkem_768_encaps_test": {NO_NONCE: 3},
    },
    "liboqs": {
        "acvp_ML-DSA-sigVer-FIPS204": {NO_MU: 18},
        "wycheproof_ecdsa_secp256r1_sha256_test": {NO_ALGORITHM: 248},
        "wycheproof_ed25519_test": {NO_ALGORITHM: 77},
        "wycheproof_mldsa_44_sign_seed_test": {NO_MU: 3},
        "wycheproof_mldsa_65_sign_seed_test": {NO_MU: 8},
        "wycheproof_mldsa_87_sign_seed_test": {NO_MU: 8},
        "wycheproof_mlkem_768_encaps_test": {NO_NONCE: 3},
    },
}
"""Of each provider and file, how many vectors are not run, and why; all others are."""


def run_all(subject: Provider, name: str) -> Counter[str]:
    """Runs a file; counts what was not run, by why, and what was under ""."""
    runner, id_ = RUNNERS[name]
    outcome: Counter[str] = Counter()
    for group, test in vectors.tests(name):
        of_group = id_ or group["parameterSet"].replace("-", "_")
        if of_group not in subject.abilities():
            outcome[NO_ALGORITHM] += 1
            continue
        outcome[runner(subject, ALGORITHMS[of_group], group, test) or ""] += 1
    return outcome


def test_every_file_has_a_runner() -> None:
    # Those of composites, HPKE and HashML-DSA have tests of their own, which run all of them.
    other = {"composite_bouncycastle", "composite_draft", "hashmldsa_noble", "hpke_mlkem768_x25519"}
    assert set(vectors.names()) == set(RUNNERS) | set(NOT_FOR_PROVIDERS) | other


def test_no_provider_has_what_is_not_run() -> None:
    """When one comes that has FIPS 205, its vectors are to be run."""
    assert not [name for p in providers().values() for name in p.abilities() if "SLH_DSA" in name]


@pytest.mark.parametrize("name", RUNNERS)
@pytest.mark.parametrize("of", ["cryptography", "liboqs"])
def test_vectors(of: str, name: str) -> None:
    outcome = run_all(provider(of), name)
    ran = outcome.pop("", 0)
    assert (of, name, dict(outcome)) == (of, name, NOT_RUN[of].get(name, {}))
    assert ran + outcome.total() == sum(1 for _ in vectors.tests(name))
