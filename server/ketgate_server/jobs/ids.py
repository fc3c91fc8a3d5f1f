"""Names of jobs: 48 bits of milliseconds and 80 random bits in 26 characters of Crockford's base32,
lower case. They sort by time, so that new ones go to one end of an index, and cannot be guessed.
"""

import re
from functools import lru_cache

from ketgate_server.randomness import drawn

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_DIGITS = bytes(ord(_ALPHABET[byte & 31]) for byte in range(256))
_ID = re.compile(f"[0-7][{_ALPHABET}]{{25}}")
_PREFIX = "jobs/"
RANDOM_BYTES = 16
"""Of each, five bits are used."""


def new_id(now_us: int, random_bytes: bytes | None = None) -> str:
    """An id for something made now.

    now_us: microseconds since 1970, before the year 10000. random_bytes: RANDOM_BYTES of them; drawn here when absent.

    >>> new_id(1_700_000_000_000_000, bytes(16))
    '01hf7yat000000000000000000'
    """
    random_bytes = drawn(RANDOM_BYTES) if random_bytes is None else random_bytes
    return _time_digits(now_us // 1000) + random_bytes.translate(_DIGITS).decode("ascii")


@lru_cache(maxsize=4)  # many are made within a millisecond
def _time_digits(ms: int) -> str:
    return "".join([_ALPHABET[ms >> shift & 31] for shift in range(45, -1, -5)])


def is_id(text: str) -> bool:
    """Whether text has the form of an id."""
    return _ID.fullmatch(text) is not None


def job_name(job_id: str) -> str:
    """ "jobs/ID"."""
    return _PREFIX + job_id


def job_id_of(name: str) -> str | None:
    """The id in "jobs/ID"; None when it has not that form, so that no such job can be."""
    job_id = name.removeprefix(_PREFIX)
    return job_id if name.startswith(_PREFIX) and is_id(job_id) else None
