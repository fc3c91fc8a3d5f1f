"""What a call that never reached the server failed of, in words: gRPC tells it by a text only."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ketgate._connect import Endpoint

_VERIFY_DETAIL = re.compile(r"CERTIFICATE_VERIFY_FAILED: (?P<detail>[^:]+)")


@dataclass(frozen=True)
class Failure:
    """Why a connection failed, and what to do."""

    message: str
    remedy: str
    passes: bool = True
    """Whether it may be gone at the next attempt."""


def explain(message: str, endpoint: "Endpoint | None") -> Failure:
    """message: of gRPC, for a call with code UNAVAILABLE that no server answered."""
    where = f" at {endpoint.address}" if endpoint else ""
    lowered = message.lower()
    if "certificate_verify_failed" in lowered:
        return _untrusted(message, where, endpoint)
    if "hostname verification" in lowered:
        return Failure(
            f"the certificate of the server{where} is for another name",
            "Connect by a name that its certificate holds, or have it made for this one.",
            passes=False,
        )
    if "wrong_version_number" in lowered:
        return Failure(
            f"the server{where} does not speak TLS",
            "Check the address. A server of this machine that was started with --insecure is "
            "reached with insecure=True (--insecure).",
            passes=False,
        )
    if any(word in lowered for word in ("certificate", "ssl", "handshake", "tsi")):
        return Failure(
            f"no secure connection to the server{where}: {message}",
            "Check that ca_file is the server's (its ready file names it), and that the server speaks TLS.",
            passes="ssl_error_ssl" not in lowered,  # one that a restart cut off is tried again
        )
    if "socket closed" in lowered or "connection reset" in lowered:
        return Failure(
            f"the connection to the server{where} was closed: {message}",
            "Check that the server still runs. One that speaks TLS also closes a plaintext connection: "
            "then leave out insecure.",
        )
    return Failure(
        f"the server{where} cannot be reached: {message}",
        "Check the address, and that the server runs: `ketgate serve` starts one.",
    )


def _untrusted(message: str, where: str, endpoint: "Endpoint | None") -> Failure:
    """The certificate was refused: by which authorities, and why."""
    found = _VERIFY_DETAIL.search(message)
    detail = f" ({found['detail'].strip()})" if found else ""
    if endpoint is not None and endpoint.ca_certificates is not None:
        return Failure(
            f"the certificate of the server{where} is not trusted by "
            f"ca_file {endpoint.ca_file}{detail}",
            "Pass the ca_file of this very server (--ca-file, KETGATE_CA_FILE): its ready file names it.",
            passes=False,
        )
    return Failure(
        f"the certificate of the server{where} is not trusted by the authorities of this system{detail}",
        "Pass the server's ca_file (--ca-file, KETGATE_CA_FILE): its ready file names it.",
        passes=False,
    )
