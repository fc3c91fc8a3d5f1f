"""What is installed, what is missing and how to have it, and whether a server could start here."""

from collections.abc import Iterator

from ketgate_server.doctor import folder, kernels, programs, providers, software, store
from ketgate_server.doctor.finding import Finding, State
from ketgate_server.settings import Settings

__all__ = ["Finding", "State", "examine"]


def examine(settings: Settings) -> Iterator[Finding]:
    """One finding after the other. Changes nothing, makes no file, and takes no lock.

    A token that the settings name is logged in to once, and a database that they name is connected to.
    """
    yield from software.findings()
    yield from kernels.findings()
    yield from providers.findings(settings.signing)
    yield from programs.findings()
    yield from folder.findings(settings)
    yield from store.findings(settings)
