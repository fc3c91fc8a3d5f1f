"""Fuzz the providers of signatures: python tests/fuzz/fuzz_providers.py --seconds 20 [--seed N].

Keys, signatures and ciphertexts with bytes changed, cut and added. Opening gives a key or KeyInvalid, verifying an
answer and nothing else; and where two providers have an algorithm they agree on all of them, batches included.
"""

# ruff: noqa: E402 - imported from this checkout, whose folders are put into the path first

import argparse
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT / "server"), str(ROOT / "native")]

from ketgate_server.signing.algorithms import ALGORITHMS, Algorithm, Purpose
from ketgate_server.signing.provider import KeyInvalid, Material, Options, Provider
from ketgate_server.signing.providers.registry import find_providers
from ketgate_server.signing.settings import SigningSettings

PROVIDERS = find_providers(SigningSettings()).providers
SLOW_TO_MAKE = 4
"""Keys of each algorithm: those of Falcon take long."""


LAST: dict[str, Any] = {}
"""What the round under way works on, told with a finding: keys are new in every run."""


def changed(rng: random.Random, content: bytes) -> bytes:
    """Mostly of the same length, so that it is looked at."""
    made = bytearray(content)
    match rng.randrange(10):
        case 0:
            return rng.randbytes(rng.randrange(2 * len(content) + 2))
        case 1:
            return bytes(made[: rng.randrange(len(made) + 1)])
        case 2:
            return bytes(made) + rng.randbytes(rng.randrange(1, 40))
        case 3:
            return content
        case 4:
            start = rng.randrange(len(made))
            size = rng.randrange(1, 65)
            made[start : start + size] = bytes([rng.choice((0, 255))]) * len(
                made[start : start + size]
            )
        case _:
            for _ in range(rng.choice((1, 1, 1, 2, 8))):
                made[rng.randrange(len(made))] ^= 1 << rng.randrange(8)
    return bytes(made)


def opened(provider: Provider, algorithm: Algorithm, public_key: bytes) -> Any:
    try:
        return provider.open_public(algorithm, public_key)
    except KeyInvalid:
        return None


def agreed(what: str, answers: dict[str, Any]) -> Any:
    assert len({repr(answer) for answer in answers.values()}) == 1, (what, answers)
    return next(iter(answers.values()))


def signatures(rng: random.Random, algorithm: Algorithm, material: Material) -> None:
    providers = PROVIDERS.of(algorithm)
    maker = rng.choice(providers)
    key = maker.open_private(material)
    context = rng.randbytes(rng.choice((0, 0, 1, 255))) if algorithm.context_bytes_max else b""
    options, message = Options(context=context), rng.randbytes(rng.randrange(200))
    good = key.sign(message, options)
    public = changed(rng, key.public_key) if rng.random() < 0.2 else key.public_key
    tried = [good, *(changed(rng, good) for _ in range(6))]
    asked = [Options(context=rng.choice((context, context, rng.randbytes(300)))) for _ in tried]
    LAST.update(public=public, message=message, tried=tried, asked=asked)
    said = {}
    for provider in providers:
        verifier = opened(provider, algorithm, public)
        if verifier is None:
            said[provider.name] = None
            continue
        each = [verifier.verify(s, message, o) for s, o in zip(tried, asked, strict=True)]
        batch = verifier.verify_many(tried, [message] * len(tried), asked, 2, bool)
        assert each == batch, (provider.name, algorithm.id, each, batch)
        said[provider.name] = each
    found = agreed(f"{algorithm.id}: verdicts", said)
    if public == key.public_key and asked[0] == options:
        assert found[0], (algorithm.id, maker.name)


def exchanges(rng: random.Random, algorithm: Algorithm, material: Material) -> None:
    providers = PROVIDERS.of(algorithm)
    keys = {provider.name: provider.open_private(material) for provider in providers}
    public = next(iter(keys.values())).public_key
    shared, ciphertext = rng.choice(providers).open_public(algorithm, public).encapsulate()
    wrong = changed(rng, ciphertext)
    LAST.update(public=public, ciphertext=wrong)
    if len(wrong) == len(ciphertext):
        got = {name: key.decapsulate(wrong) for name, key in keys.items()}
        assert (agreed(f"{algorithm.id}: secrets", got) == shared) == (wrong == ciphertext)
    other = LAST["public"] = changed(rng, public)
    taken = {p.name: opened(p, algorithm, other) is not None for p in providers}
    agreed(f"{algorithm.id}: public keys", taken)


def materials(rng: random.Random, algorithm: Algorithm, material: Material) -> None:
    """Private keys: a key or KeyInvalid."""
    wrong = Material(
        algorithm,
        material.form,
        changed(rng, material.content),
        changed(rng, material.public) if material.public else b"",
    )
    LAST.update(content=wrong.content, public=wrong.public)
    for provider in PROVIDERS.of(algorithm):
        try:
            provider.open_private(wrong).close()
        except KeyInvalid:
            pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4)))
    asked = parser.parse_args()
    rng = random.Random(asked.seed)
    print(
        f"seed {asked.seed}; {', '.join(provider.name for provider in PROVIDERS.all)}", flush=True
    )
    made: dict[str, list[Material]] = {}
    kinds = {Purpose.SIGN: signatures, Purpose.ENCAPSULATE: exchanges}
    there = [
        one
        for one in ALGORITHMS.values()
        if one.purpose in kinds and PROVIDERS.to_generate(one) is not None
    ]
    rounds, end = 0, time.monotonic() + asked.seconds
    while time.monotonic() < end:
        algorithm = rng.choice(there)
        known = made.setdefault(algorithm.id, [])
        maker = PROVIDERS.to_generate(algorithm)
        assert maker is not None
        if len(known) < SLOW_TO_MAKE:
            known.append(maker.generate(algorithm))
        material = rng.choice(known)
        LAST.clear()
        LAST.update(algorithm=algorithm.id, key=material.content)
        try:
            kinds[algorithm.purpose](rng, algorithm, material)
            materials(rng, algorithm, material)
        except Exception:
            print(f"FINDING with --seed {asked.seed}: {LAST}")
            raise
        rounds += 1
    print(f"{rounds:,} rounds")


if __name__ == "__main__":
    main()
