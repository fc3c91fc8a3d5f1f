"""What goes wrong at a provider, told apart by what can be done about it.

Throttled, Unreachable     nothing is known to be wrong with the work: ask again later
CredentialsRefused         an operator must act; work that is there is not given up
Refused, JobFailed         the provider's last word on this work
Undecided, NeverAnswered   whether it took the work is not known: a person has to look

Words of a provider pass through `plain`: cut, on one line, and without secrets.
"""

import re
from collections.abc import Iterable

from ketgate_server.errors import KetgateError, Reason

WORDS_MAX = 500
"""Characters of a provider's own words that an error repeats."""

THROTTLE_S = 10.0
"""Wait after a provider that throttles without saying for how long."""

_SECRETS = re.compile(
    r"(?i)\b(?:bearer|apikey|basic)\s+[\w.~+/=-]{8,}"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{12,}"
    r"|\beyJ[\w-]{10,}\.[\w.-]+"  # a JSON web token
    r"|(?i:(?<=token=)|(?<=apikey=)|(?<=signature=)|(?<=credential=))[^&\s\"']{4,}"
)


def plain(words: object, secrets: Iterable[str] = ()) -> str:
    """What a provider or its SDK said, as a caller may read it. secrets: what must not be in it,
    whatever it looks like."""
    text = " ".join(str(words).split())
    for secret in secrets:
        if len(secret) >= 4:  # shorter ones would tear words apart, and are no secrets
            text = text.replace(secret, "***")
    text = _SECRETS.sub("***", text)
    return text if len(text) <= WORDS_MAX else text[: WORDS_MAX - 3] + "..."


class ProviderFault(KetgateError):  # noqa: N818 - a family of states
    """Any of these. provider: its name; words: what it said, already plain."""

    def __init__(
        self,
        reason: Reason,
        provider: str,
        message: str,
        *,
        retry_after_s: float | None = None,
        metadata: dict[str, str] | None = None,
    ) -> None:
        super().__init__(
            reason,
            message,
            retry_after_s=retry_after_s,
            metadata={"provider": provider} | (metadata or {}),
        )
        self.provider = provider


class Throttled(ProviderFault):
    """It has too much to do, or too much from us. The question was not acted on."""

    retry_after_s: float

    def __init__(self, provider: str, words: str, retry_after_s: float | None = None) -> None:
        wait_s = THROTTLE_S if retry_after_s is None else max(retry_after_s, 0.0)
        super().__init__(
            Reason.PROVIDER_FAILED,
            provider,
            f"the provider {provider!r} takes no more for now: {words}",
            retry_after_s=wait_s,
        )


class Unreachable(ProviderFault):
    """It did not answer, or with a fault of its own. A question that changes nothing may be asked
    again; of a submission this means that it was not sent."""

    def __init__(self, provider: str, words: str) -> None:
        super().__init__(
            Reason.PROVIDER_FAILED,
            provider,
            f"the provider {provider!r} did not answer: {words}",
            retry_after_s=THROTTLE_S,
        )


class CredentialsRefused(ProviderFault):
    """It does not accept who we are, or there are no credentials at all."""

    def __init__(self, provider: str, words: str) -> None:
        super().__init__(
            Reason.PROVIDER_CREDENTIALS,
            provider,
            f"the provider {provider!r} refuses this server's credentials: {words}; "
            "ask the operator to renew them",
        )


class Refused(ProviderFault):
    """It will not do this work, now or later: what it said tells why. Nothing runs there."""

    def __init__(self, provider: str, backend: str, words: str) -> None:
        super().__init__(
            Reason.BACKEND_UNSUITABLE,
            provider,
            f"the provider {provider!r} refuses this work for {backend!r}: {words}",
            metadata={"backend": backend},
        )


class JobFailed(ProviderFault):
    """It took the work, and that failed or vanished there."""

    def __init__(self, provider: str, job: str, words: str) -> None:
        super().__init__(
            Reason.PROVIDER_JOB_FAILED,
            provider,
            f"the job {job!r} failed at the provider {provider!r}: {words}",
            metadata={"provider_job": job},
        )


class Undecided(ProviderFault):
    """Whether it took the work cannot be told: the answer to a submission was lost, or it cannot
    look for the tag."""

    def __init__(self, provider: str, tag: str, words: str) -> None:
        super().__init__(
            Reason.SUBMISSION_UNDECIDED,
            provider,
            f"whether the provider {provider!r} took the work tagged {tag!r} cannot be told: {words}; "
            "it is not sent a second time",
            metadata={"tag": tag},
        )


class NeverAnswered(ProviderFault):
    """It was asked to take the work again and again, and each time nothing was heard of it, nor found
    afterwards. asked: how often; words: of the last time."""

    def __init__(self, provider: str, tag: str, asked: int, words: str) -> None:
        super().__init__(
            Reason.SUBMISSION_UNDECIDED,
            provider,
            f"the provider {provider!r} was asked {asked} times to take the work, answered none of "
            f"them, and showed nothing tagged {tag!r} afterwards; it is not asked again: look for "
            f"the tag there, then create the job anew (the last time: {words or 'no answer'})",
            metadata={"tag": tag},
        )
