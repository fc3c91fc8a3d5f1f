"""The newest changes of one tenant's jobs, as watchers are sent them. Shared by all its watchers, so
that one that lags costs no memory: it reads from the store what is not here any more."""

from bisect import bisect_left
from dataclasses import dataclass
from operator import attrgetter

_revision = attrgetter("revision")


@dataclass(frozen=True, slots=True)
class Change:
    """An event, serialised once for all who watch."""

    revision: int
    job: str
    """ "jobs/ID"."""
    is_progress: bool
    ends: bool
    """The job is over, or gone."""
    content: bytes
    """Of a WatchJobsResponse with this event alone: messages may be joined."""


class Tail:
    """Changes in order of revision; all there are from the revision `floor` on."""

    def __init__(self, floor: int) -> None:
        self.floor = floor
        self._changes: list[Change] = []

    def append(self, change: Change, count_max: int) -> None:
        """Add the newest. What is beyond count_max goes, many at a time."""
        changes = self._changes
        changes.append(change)
        if len(changes) > 2 * count_max:
            del changes[:-count_max]
            self.floor = changes[0].revision

    def since(self, revision: int, count_max: int) -> list[Change]:
        """At most count_max changes from a revision on, that is not below the floor."""
        start = bisect_left(self._changes, revision, key=_revision)
        return self._changes[start : start + count_max]
