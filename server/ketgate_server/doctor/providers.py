"""What does the cryptography of keys, and the algorithms that nothing here has."""

from collections.abc import Iterator

from ketgate_server.doctor.finding import Finding, State
from ketgate_server.errors import KetgateError
from ketgate_server.signing.algorithms import ALGORITHMS, Algorithm
from ketgate_server.signing.providers.liboqs_library import INSTALL_COMMAND
from ketgate_server.signing.providers.registry import Found, find_providers, missing_part, unmet
from ketgate_server.signing.settings import SigningSettings

TOPIC = "signing"


def findings(settings: SigningSettings) -> Iterator[Finding]:
    try:
        found = find_providers(settings)
    except KetgateError as error:
        yield Finding(TOPIC, "providers", State.FAULT, error.message)
        return
    for provider in found.providers.all:
        told = f"{provider.version}, {len(provider.abilities())} algorithms"
        if library := getattr(provider, "path", None):
            told += f"; the library {library}"
        yield Finding(TOPIC, provider.name, State.FINE, told)
        if distrusted := getattr(provider, "distrusted", ()):
            # Faults of liboqs up to 0.14 on processors with AVX2, which providers.mldsa_probe tells of.
            reason = (
                f"verifies {', '.join(distrusted)} otherwise than FIPS 204 says: used to sign only"
            )
            yield Finding(TOPIC, provider.name, State.ABSENT, reason, INSTALL_COMMAND)
    faults = {missing.absent.name for missing in unmet(settings, found)}
    for absent in found.absent:
        state = State.FAULT if absent.name in faults else State.ABSENT
        yield Finding(TOPIC, absent.name, state, absent.reason, absent.install_command)
    yield from _algorithms(settings, found)


def _algorithms(settings: SigningSettings, found: Found) -> Iterator[Finding]:
    there = [one for one in ALGORITHMS.values() if found.providers.of(one)]
    yield Finding(TOPIC, "algorithms", State.FINE, ", ".join(one.id for one in there))
    missing: dict[str, list[Algorithm]] = {}
    for algorithm in ALGORITHMS.values():
        if algorithm not in there:
            missing.setdefault(missing_part(algorithm)[1], []).append(algorithm)
    for command, algorithms in missing.items():
        names = ", ".join(one.id for one in algorithms)
        yield Finding(TOPIC, "algorithms", State.ABSENT, names, command)
    if settings.audit_algorithm not in {one.id for one in there}:
        yield Finding(
            TOPIC,
            "signing.audit_algorithm",
            State.FAULT,
            f"no provider has {settings.audit_algorithm}",
            missing_part(ALGORITHMS[settings.audit_algorithm])[1],
        )
