"""What the suites run over: every provider that is here with every algorithm that it has."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from ketgate_server.signing.algorithms import ALGORITHMS, Algorithm, Family, Purpose
from ketgate_server.signing.provider import Material, Options, Provider
from ketgate_server.signing.providers.registry import find_providers
from ketgate_server.signing.settings import SigningSettings

EXPECTED = ("cryptography", "liboqs", "liboqs+cryptography")


@functools.cache
def providers() -> dict[str, Provider]:
    """By name."""
    return {provider.name: provider for provider in find_providers(SigningSettings()).providers.all}


def provider(name: str) -> Provider:
    """Skips the test where it is not there."""
    if name not in providers():
        pytest.skip(f"the provider {name} is not here; `make liboqs` builds liboqs")
    return providers()[name]


def subjects(*purposes: Purpose) -> list[Any]:
    """(provider, algorithm) of these purposes; a skipped one for each provider that is not here."""
    found = []
    for name in EXPECTED:
        here = providers().get(name)
        if here is None:
            mark = pytest.mark.skip(reason=f"no {name} here; `make liboqs` builds liboqs")
            found.append(pytest.param(name, None, marks=mark, id=name))
            continue
        found += [
            pytest.param(name, ALGORITHMS[id_], id=f"{name}-{id_}")
            for id_ in here.abilities()
            if ALGORITHMS[id_].purpose in purposes and here.abilities()[id_].generate
        ]
    return found


@functools.cache
def material(algorithm: Algorithm) -> Material:
    """One private key of each algorithm, made by the first provider that has it: keys of Falcon take long."""
    for candidate in providers().values():
        can = candidate.abilities().get(algorithm.id)
        if can is not None and can.generate:
            return candidate.generate(algorithm)
    raise LookupError(algorithm.id)


def a_context(algorithm: Algorithm) -> Options:
    """Options with a context where the algorithm has them."""
    return Options(context=b"desk" if algorithm.context_bytes_max else b"")


def is_slow(algorithm: Algorithm) -> bool:
    """Whether a signature takes long enough that loops should be short."""
    return algorithm.family is Family.SLH_DSA
