"""Which providers a server has: `cryptography` always, liboqs and a token where they are there.

What is not there is named, with why and how to have it. What the operator named must be there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from ketgate_server.errors import KetgateError, PartMissing, Reason
from ketgate_server.parts import PARTS, part_version
from ketgate_server.signing.algorithms import Algorithm, Family
from ketgate_server.signing.provider import Provider, Providers
from ketgate_server.signing.providers.composite import CompositeProvider
from ketgate_server.signing.providers.cryptography_provider import CryptographyProvider
from ketgate_server.signing.providers.liboqs_library import INSTALL_COMMAND, LibraryAbsent
from ketgate_server.signing.settings import SigningSettings

NEW_LIBOQS = "install liboqs 0.14 or newer and set signing.liboqs to it"
NAME_CRYPTOGRAPHY = 'add "cryptography" to the setting signing.providers'


@dataclass(frozen=True)
class Absent:
    """A provider that is not there."""

    name: str
    reason: str
    install_command: str


class ProviderMissing(PartMissing):
    """A provider that the settings name is not there."""

    def __init__(self, setting: str, absent: Absent) -> None:
        KetgateError.__init__(
            self,
            Reason.PART_NOT_INSTALLED,
            f"{setting} names {absent.name!r}, which cannot be used: {absent.reason}; "
            f"to have it: {absent.install_command}",
            metadata={"part": absent.name},
        )
        self.absent = absent


@dataclass(frozen=True)
class Found:
    """What there is, and what is not."""

    providers: Providers
    absent: Sequence[Absent] = ()


def load_providers(settings: SigningSettings) -> Providers:
    """The providers of a server. Raises ProviderMissing for one that the settings name and that is not there."""
    found = find_providers(settings)
    for missing in unmet(settings, found):
        raise missing
    return found.providers


def unmet(settings: SigningSettings, found: Found) -> Iterator[ProviderMissing]:
    """Those that the settings name and that are not there."""
    named = {
        "signing.liboqs": ("liboqs", settings.liboqs is not None),
        "signing.pkcs11": ("pkcs11", settings.pkcs11.module is not None),
    }
    for absent in found.absent:
        if absent.name in settings.providers:
            yield ProviderMissing("signing.providers", absent)
        for setting, (name, is_set) in named.items():
            if name == absent.name and is_set and not settings.providers:
                yield ProviderMissing(setting, absent)


def find_providers(settings: SigningSettings) -> Found:
    """Those that there are, in the operator's order if there is one, and those that there are not."""
    loaders: dict[str, Callable[[SigningSettings], Provider | Absent]] = {
        "liboqs": _liboqs,
        "cryptography": lambda _: CryptographyProvider(),
        "pkcs11": _pkcs11,
    }
    wanted: Iterable[str] = settings.providers or loaders
    tried = {name: loaders[name](settings) for name in dict.fromkeys(wanted)}
    there = {name: p for name, p in tried.items() if not isinstance(p, Absent)}
    return Found(
        Providers(_with_composites(there), ordered=bool(settings.providers)),
        tuple(p for p in tried.values() if isinstance(p, Absent)),
    )


def _with_composites(there: dict[str, Provider]) -> list[Provider]:
    """liboqs does the ML-DSA of composites and cryptography the rest, where there are both."""
    found: list[Provider] = []
    for name, provider in there.items():
        found.append(provider)
        if name == "liboqs" and "cryptography" in there:
            found.append(CompositeProvider(provider, there["cryptography"]))
    return found


def _liboqs(settings: SigningSettings) -> Provider | Absent:
    if part_version("native") is None:
        return Absent("liboqs", "Ketgate's kernels are not built", PARTS["native"].install_command)
    from ketgate_server.signing.providers.liboqs_provider import LiboqsProvider

    try:
        return LiboqsProvider(settings.liboqs)
    except LibraryAbsent as absent:
        return Absent("liboqs", str(absent), absent.install_command)


def _pkcs11(settings: SigningSettings) -> Provider | Absent:
    install = PARTS["pkcs11"].install_command
    if settings.pkcs11.module is None:
        return Absent(
            "pkcs11",
            "no token is set",
            f"{install}, and set signing.pkcs11.module, token_label and pin_file",
        )
    from ketgate_server.signing.providers.pkcs11_module import TokenUnusable
    from ketgate_server.signing.providers.pkcs11_provider import Pkcs11Provider
    from ketgate_server.signing.providers.pkcs11_token import open_token

    try:
        return Pkcs11Provider(open_token(settings.pkcs11))
    except TokenUnusable as error:
        return Absent("pkcs11", str(error), install)


def missing_part(algorithm: Algorithm) -> tuple[str, str]:
    """What would have an algorithm that no provider here has, and how to have that."""
    if algorithm.family is Family.SLH_DSA:
        return "liboqs", NEW_LIBOQS
    if algorithm.family is Family.FALCON or algorithm.id == "ML_KEM_512":
        return "liboqs", INSTALL_COMMAND
    return "cryptography", NAME_CRYPTOGRAPHY
