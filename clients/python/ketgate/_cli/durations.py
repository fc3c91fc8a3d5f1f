"""Lengths of time as people type and read them: 90s, 5m, 12h, 30d."""

import re
from datetime import UTC, datetime

from ketgate._errors import InvalidArgument

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def read_seconds(text: str, option: str) -> float:
    """Seconds. A number alone is not taken: it would be guessed at."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    if found is None:
        raise InvalidArgument(
            f"{option}: expected a number with s, m, h or d, for example 30d, given {text!r}",
            field=option,
        )
    return float(found[1]) * _UNITS[found[2]]


def short(seconds: float) -> str:
    """For a column of a table: 0.3 s, 42 s, 7 min, 3 h, 12 d."""
    if seconds < 10:
        return f"{max(seconds, 0.0):.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86400:.0f} d"


def ago(time: datetime) -> str:
    return f"{short((datetime.now(UTC) - time).total_seconds())} ago"


def local(time: datetime | None) -> str:
    """A time in the zone of this machine, to the second."""
    return "" if time is None else time.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def clock(time: datetime) -> str:
    """Time of day, to the millisecond."""
    return time.astimezone().strftime("%H:%M:%S.%f")[:-3]
