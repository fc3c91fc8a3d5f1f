"""Prometheus metrics of artifacts. Labels are bounded: what happened is one of a few words, and
reasons are those of the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import ParamSpec, TypeVar

from prometheus_client import CollectorRegistry, Counter

from ketgate_server.errors import KetgateError

P = ParamSpec("P")
T = TypeVar("T")


class ArtifactMetrics:
    """Counts from the start; shown by the registry that it is given to."""

    def __init__(self) -> None:
        uploads = Counter(
            "ketgate_artifact_uploads",
            "Uploads that were begun, resumed or finished, and those that were not needed, as the "
            "tenant had the content (present).",
            ("event",),
            registry=None,
        )
        moved = Counter(
            "ketgate_artifact_transferred_bytes",
            "Bytes of chunks that callers uploaded and downloaded, and of results that the server kept.",
            ("direction",),
            registry=None,
        )
        self.removed = Counter(
            "ketgate_artifacts_removed",
            "Artifacts that this server removed, as nothing had used them for long enough.",
            registry=None,
        )
        self._refusals = Counter(
            "ketgate_artifact_refusals",
            "Calls of the artifact service that were refused, by reason.",
            ("reason",),
            registry=None,
        )
        self._all = (uploads, moved, self.removed, self._refusals)
        # Named once, so that each is told as 0 from the start.
        self.begun, self.resumed, self.finished, self.present = (
            uploads.labels(event) for event in ("begun", "resumed", "finished", "present")
        )
        self.uploaded_bytes, self.downloaded_bytes, self.kept_bytes = (
            moved.labels(direction) for direction in ("uploaded", "downloaded", "kept")
        )

    def show(self, registry: CollectorRegistry) -> None:
        for counter in self._all:
            registry.register(counter)

    def refused(self, error: KetgateError) -> None:
        self._refusals.labels(str(error.reason)).inc()

    def counting(self, function: Callable[P, T]) -> Callable[P, T]:
        """The same function; what it refuses is counted."""

        @wraps(function)
        def counted(*arguments: P.args, **named: P.kwargs) -> T:
            try:
                return function(*arguments, **named)
            except KetgateError as error:
                self.refused(error)
                raise

        return counted

    def counting_stream(self, function: Callable[P, Iterator[T]]) -> Callable[P, Iterator[T]]:
        """As counting, for a function that refuses when it is first asked for an answer."""

        @wraps(function)
        def counted(*arguments: P.args, **named: P.kwargs) -> Iterator[T]:
            try:
                yield from function(*arguments, **named)
            except KetgateError as error:
                self.refused(error)
                raise

        return counted
