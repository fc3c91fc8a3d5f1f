"""What became of a verification: an answer, whatever the bytes were."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ketgate_server.signing.algorithms import Algorithm, Purpose


class Failure(StrEnum):
    """Why a signature does not hold; names as the contract's VerifyFailure."""

    MISMATCH = "MISMATCH"
    LENGTH = "LENGTH"
    MALFORMED = "MALFORMED"
    CONTEXT = "CONTEXT"
    VERSION = "VERSION"


_WORDS = {
    Failure.MISMATCH: "it is not a {kind} of this key over this message with these options",
    Failure.LENGTH: "a {kind} of {name} has {size} bytes",
    Failure.MALFORMED: "it cannot be read as what it should be",
    Failure.CONTEXT: "the key's policy does not allow this context",
    Failure.VERSION: "it names a version of the key that may not be used, or none of this key",
}


@dataclass(frozen=True, slots=True)
class Found:
    """Whether a signature holds."""

    failure: Failure | None
    algorithm: Algorithm
    version: str = ""
    """Name of the version whose public key was used."""
    provider: str = ""
    said: str = ""
    """More than the failure's own words."""

    @property
    def valid(self) -> bool:
        return self.failure is None

    @property
    def detail(self) -> str:
        if self.failure is None:
            return ""
        size = self.algorithm.output_bytes_max
        words = _WORDS[self.failure].format(
            kind="code" if self.algorithm.purpose is Purpose.MAC else "signature",
            name=self.algorithm.name,
            size=size if self.algorithm.output_bytes_fixed else f"at most {size}",
        )
        return f"{words}: {self.said}" if self.said else words
