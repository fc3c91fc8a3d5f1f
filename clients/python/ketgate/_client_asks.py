"""What a client asks by itself: what the server is, what it can, and a signature of a document."""

from __future__ import annotations

from typing import Any

from ketgate import _wire
from ketgate._ask import Ask, AskPages
from ketgate._document import SignedDocument
from ketgate._errors import InvalidArgument
from ketgate._flow import Flow
from ketgate._key_types import Key, KeyVersion
from ketgate._server import (
    ServerInfo,
    SolverDescription,
    problem_kind,
    server_info,
    solver_descriptions,
)
from ketgate.optimization.v1 import optimization_service_pb2
from ketgate.server.v1 import server_service_pb2


def info() -> Ask[ServerInfo]:
    """Version, limits and parts of the server."""
    return Ask(_wire.GET_SERVER_INFO, server_service_pb2.GetServerInfoRequest(), server_info)


def solvers(problem: str | None = None) -> AskPages[SolverDescription]:
    """The solvers; problem: only those that take this kind, for example
    "portfolio_discrete".
    """
    request = optimization_service_pb2.ListSolversRequest(problem=problem_kind(problem))
    return AskPages(_wire.LIST_SOLVERS, request, lambda page: solver_descriptions(page.solvers))


def sign(
    content: Any,
    *,
    key: str | Key | KeyVersion | None = None,
    title: str | None = None,
) -> Flow[SignedDocument]:
    """Sign a result, a model or anything else as a document that is verified without a server.

    content: a result of this package (signed with what was asked), a model, a protobuf message,
    a pathlib.Path, bytes, a dict or list, or a DataFrame. key: "keys/ID", or
    "keys/ID/versions/N"; default: $KETGATE_SIGNING_KEY. title: name to sign it under.

    >>> client.sign(result, key="keys/desk").save("result.signed.json")
    """
    from ketgate._document_signing import DocumentSigning

    document = DocumentSigning(content, key, title)
    try:
        exported = yield document.export
    except InvalidArgument as error:
        if error.field != "format":
            raise
        raise InvalidArgument(  # it has no SubjectPublicKeyInfo, which a document carries
            f"key: expected one whose signatures can be verified without a server, given {document.key}",
            field="key",
            remedy="`ketgate key show` tells its algorithm; ML_DSA_65 is one that will do.",
        ) from None
    signed: SignedDocument = yield document.sign(exported)
    return signed
