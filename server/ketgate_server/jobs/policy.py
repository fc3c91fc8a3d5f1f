"""What an operator may tune in the job engine."""

from dataclasses import dataclass

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
DAY_US = 86_400 * SECOND_US


@dataclass(frozen=True)
class Policy:
    """How much a tenant may queue, and how often a job is tried."""

    unfinished_max: int = 100_000
    """Jobs of one tenant that are not over."""

    attempts_max: int = 5
    """Attempts that may end by the fault of a provider or a server; the last makes the job FAILED."""

    outage_faults_max: int = 1_440
    """As attempts_max, for a job whose work is at a provider that did not answer but may again: its
    error says when to ask. About 18 hours, as the wait grows: an outage must not lose a result that
    is paid for."""

    losses_max: int = 3
    """Attempts in a row whose worker may die; the last makes the job FAILED. A job that kills its
    workers would otherwise go round for ever."""

    losses_lived_us: int = 10 * MINUTE_US
    """An attempt whose worker was heard of for longer than that does not count as such a loss, and
    the count begins anew: servers are killed for reasons that are not the job's, and a long job
    must outlast any number of them."""

    backoff_us: int = SECOND_US
    """Wait after the first failed attempt; doubled after each more. A random half of it is taken
    off, so that those who failed together do not come back together."""

    backoff_us_max: int = 60 * SECOND_US

    provider_cancel_us: int = 10 * MINUTE_US
    """How long a provider has to cancel the work of a job that was cancelled or is too late."""

    def wait_us(self, failures: int, jitter: float) -> int:
        """How long to wait after so many failed attempts. jitter: 0 to below 1, random."""
        wait = min(self.backoff_us << min(max(failures, 1) - 1, 30), self.backoff_us_max)
        return round(wait * (1.0 - jitter / 2))


@dataclass(frozen=True)
class Retention:
    """How long what is over is kept. None: for ever."""

    jobs_us: int | None = 30 * DAY_US
    """Jobs, from their end: with spec, result and attempts."""

    events_us: int | None = 7 * DAY_US
    """Events; a watch cannot resume before the oldest."""

    events_max: int | None = 10_000_000
    """Events, whatever their age."""

    replies_us: int | None = 7 * DAY_US
    """Replies to requests with a request_id. That they were done is kept for ever."""
