"""The kinds of work that this server knows, by the name of the field of JobSpec. Filled by the
composition root; jobs knows no domain."""

from collections.abc import Iterable, Iterator

from google.protobuf.message import Message
from ketgate.jobs.v1 import job_pb2 as pb

from ketgate_server.errors import FieldError
from ketgate_server.jobs.base import JobKind

KINDS = tuple(field.name for field in pb.JobSpec.DESCRIPTOR.oneofs_by_name["work"].fields)
"""Names of all kinds of the contract."""


class Kinds:
    """A registry."""

    def __init__(self, kinds: Iterable[JobKind] = ()) -> None:
        self._kinds: dict[str, JobKind] = {}
        for kind in kinds:
            self.add(kind)

    def add(self, kind: JobKind) -> None:
        """Raises ValueError for a name that is no field of JobSpec.work, or is taken."""
        if kind.name not in KINDS or kind.name not in pb.JobResult.DESCRIPTOR.fields_by_name:
            raise ValueError(f"{kind.name!r} is no kind of the contract; it has {KINDS}")
        if kind.name in self._kinds:
            raise ValueError(f"the kind {kind.name!r} is there twice")
        self._kinds[kind.name] = kind

    def __iter__(self) -> Iterator[JobKind]:
        return iter(self._kinds.values())

    def get(self, name: str) -> JobKind | None:
        return self._kinds.get(name)

    def of(self, spec: pb.JobSpec, path: str = "spec") -> tuple[JobKind, Message]:
        """The kind of a spec, and the message that it takes. Raises FieldError."""
        name = spec.WhichOneof("work")
        known = ", ".join(self._kinds)
        if name is None:
            raise FieldError(path, expected=f"what to do: {known}", given="nothing")
        if name not in self._kinds:
            raise FieldError(f"{path}.{name}", expected=f"work of a kind: {known}", given=name)
        return self._kinds[name], getattr(spec, name)
