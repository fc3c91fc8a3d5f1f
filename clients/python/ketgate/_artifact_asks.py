"""Questions about artifacts: which there are, what one is, and that it may go."""

import builtins
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ketgate import _wire
from ketgate._ask import Ask, AskPages, check_limit
from ketgate._errors import InvalidArgument
from ketgate.artifacts.v1 import artifact_service_pb2 as pb

PAGE_SIZE_MAX = 1000


@dataclass(frozen=True)
class Artifact:
    """Content that the server keeps under its digest."""

    name: str
    """ "artifacts/SHA256": what a Tensor may refer to."""
    size_bytes: int
    media_type: str
    create_time: datetime
    reference_count: int
    """Jobs that refer to it."""
    expire_time: datetime | None
    """When it is removed unless something refers to it by then; None while something does."""

    @property
    def sha256(self) -> str:
        """Hexadecimal."""
        return self.name.rpartition("/")[2]


def read_artifact(message: pb.Artifact) -> Artifact:
    expires = message.HasField("expire_time")
    return Artifact(
        message.name,
        message.size_bytes,
        message.media_type,
        message.create_time.ToDatetime(UTC),
        message.reference_count,
        message.expire_time.ToDatetime(UTC) if expires else None,
    )


def method(name: str) -> _wire.Method[Any, Any]:
    return _wire.Method(
        f"/ketgate.artifacts.v1.ArtifactService/{name}",
        getattr(pb, f"{name}Request"),
        getattr(pb, f"{name}Response"),
    )


def full_name(name: str) -> str:
    """ "artifacts/SHA256", also of a SHA256 alone."""
    if not isinstance(name, str) or not name:
        raise InvalidArgument(f'name: expected "artifacts/SHA256", given {name!r}', field="name")
    return name if "/" in name else f"artifacts/{name}"


def get(name: str) -> Ask[Artifact]:
    """Size and times of an artifact. Raises NotFound."""
    request = pb.GetArtifactRequest(name=full_name(name))
    return Ask(method("GetArtifact"), request, lambda answer: read_artifact(answer.artifact))


def list(*, limit: int | None = 100) -> AskPages[Artifact]:  # noqa: A001 - the contract's name
    """The tenant's artifacts, the newest first, at most limit; None: all."""

    def read(page: Any) -> builtins.list[Artifact]:
        return [read_artifact(one) for one in page.artifacts]

    return AskPages(
        method("ListArtifacts"),
        pb.ListArtifactsRequest(),
        read,
        check_limit(limit),
        page_size_max=PAGE_SIZE_MAX,
    )


def delete(name: str) -> Ask[None]:
    """Delete an artifact. Raises FailedPrecondition (ARTIFACT_IN_USE) while a job refers to it."""
    request = pb.DeleteArtifactRequest(name=full_name(name), request_id=uuid.uuid4().hex)
    return Ask(method("DeleteArtifact"), request, lambda _: None)
