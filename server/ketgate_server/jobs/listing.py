"""Pages of jobs.

A page is read along an index: of states, of a label, of ends, or of the tenant's jobs. Terms that
the index does not answer are checked row by row, on at most SCAN_MAX rows a page; when those hold
too few matches, the page is short, even empty, and its token goes on behind them. So a page costs
no more than that, whatever the filter and however many jobs there are.
"""

import base64
import binascii
import hashlib
import heapq
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from ketgate_server.errors import FieldError
from ketgate_server.jobs import convert, events, filters, record
from ketgate_server.jobs.base import Job
from ketgate_server.jobs.filters import Filter
from ketgate_server.jobs.record import JobRow
from ketgate_server.store.base import Reader

PAGE_SIZE_DEFAULT = 50
PAGE_SIZE_MAX = 1_000
SCAN_MAX = 10_000

ORDERS = ("create_time desc", "create_time", "end_time desc", "end_time")

_TOKEN = struct.Struct(">B8sqqq")  # version, digest of the list, revision, and the last position
_TOKEN_VERSION = 1

_AFTER_ALL = (1 << 62, 1 << 62)
_BEFORE_ALL = (-(1 << 62), -(1 << 62))

Position = tuple[int, int]
"""Where a job stands in its list: (end time or 0, seq)."""


@dataclass(frozen=True)
class ListQuery:
    """As ListJobsRequest."""

    page_size: int = 0
    page_token: str = ""
    filter: str = ""
    order_by: str = ""


@dataclass(frozen=True)
class Page:
    jobs: list[Job]
    next_page_token: str
    """Empty at the end."""
    revision: int
    """Of which the first page of the list tells."""


@dataclass(frozen=True)
class _Stretch:
    """A part of an index in the order of the list, from which matches are taken."""

    table: str
    """With its alias: j for jobs, i for anything else."""
    where: str
    parameters: tuple[object, ...]


def page(reader: Reader, tenant: str, query: ListQuery) -> Page:
    """Raises FIELD_INVALID for page_size, page_token, filter and order_by."""
    size = _size(query.page_size)
    order = _order(query.order_by)
    wanted = filters.parse(query.filter)
    digest = hashlib.sha256(f"{tenant}\n{order}\n{query.filter}".encode()).digest()[:8]
    listing = _List(reader, tenant, wanted, by_end=order.startswith("end"), desc="desc" in order)
    if query.page_token:
        revision, position = _read_token(query.page_token, digest)
    else:
        revision = events.newest(reader)
        position = listing.start
    if wanted.is_empty:
        return Page([], "", revision)
    rows, reached = listing.take(position, size)
    token = "" if reached is None else _token(digest, revision, reached)
    return Page([convert.job(row) for row in rows], token, revision)


class _List:
    """One list: which jobs, in which order."""

    def __init__(
        self, reader: Reader, tenant: str, wanted: Filter, *, by_end: bool, desc: bool
    ) -> None:
        self._reader = reader
        self._tenant = tenant
        self._by_end = by_end
        self._desc = desc
        self._order = "DESC" if desc else "ASC"
        self._along = "j"
        """Alias of the table that has the index."""
        self.start = _AFTER_ALL if desc else _BEFORE_ALL
        self._stretches, self._checks, self._check_parameters = self._plan(wanted)

    def take(self, position: Position, size: int) -> tuple[list[JobRow], Position | None]:
        """The next jobs behind position, and the position from which to go on; None: there are no
        more."""
        border = self._border(position) if self._checks else None
        merged = heapq.merge(
            *(iter(self._rows(stretch, position, border, size + 1)) for stretch in self._stretches),
            key=self._key,
            reverse=self._desc,
        )
        rows = list(islice(merged, size + 1))
        if len(rows) > size:
            return rows[:size], self._key(rows[size - 1])
        return rows, border

    def _plan(self, wanted: Filter) -> tuple[list[_Stretch], str, tuple[object, ...]]:
        """The stretches to read, and what remains to be checked of their rows."""
        checks: list[str] = []
        values: list[object] = []

        def check(sql: str, *parameters: object) -> None:
            checks.append(sql)
            values.extend(parameters)

        labels = sorted(wanted.labels.items())
        states = sorted(wanted.states) if wanted.states is not None else None
        self._along = "i" if labels and not self._by_end else "j"
        bounds, bound_values = self._bounds(wanted, check)

        def stretch(table: str, where: str, *parameters: object) -> _Stretch:
            where = f"{self._along}.tenant = ?{where}{bounds}"
            return _Stretch(table, where, (self._tenant, *parameters, *bound_values))

        if self._by_end:
            stretches = [stretch("jobs j", " AND j.end_time_us IS NOT NULL")]
        elif labels:
            stretches = [stretch("job_labels i", " AND i.key = ? AND i.value = ?", *labels.pop(0))]
        elif states is not None:
            stretches = [stretch("jobs j", " AND j.state = ?", state) for state in states]
            states = None
        else:
            stretches = [stretch("jobs j", "")]
        if states is not None:
            check(f"j.state IN ({', '.join(map(str, states))})")
        for key, value in labels:
            check(
                "EXISTS (SELECT 1 FROM job_labels l WHERE l.tenant = j.tenant AND l.key = ? "
                "AND l.value = ? AND l.seq = j.seq)",
                key,
                value,
            )
        if wanted.kind is not None:
            check("j.kind = ?", wanted.kind)
        if wanted.creator is not None:
            check("j.creator = ?", wanted.creator)
        return stretches, "".join(f" AND {sql}" for sql in checks), tuple(values)

    def _bounds(self, wanted: Filter, check: Callable[..., None]) -> tuple[str, tuple[object, ...]]:
        """The ranges of time, as far as the order of the index knows them; the rest is checked."""
        first, last = wanted.created_us
        sql = ""
        values: list[object] = []
        if self._by_end:
            if first is not None:
                check("j.create_time_us >= ?", first)
            if last is not None:
                check("j.create_time_us <= ?", last)
            first, last = wanted.ended_us
            column = "j.end_time_us"
        else:
            # Numbers and times of creation rise together.
            first = None if first is None else self._first_created(first)
            last = None if last is None else self._first_created(last + 1) - 1
            column = f"{self._along}.seq"
            ended_first, ended_last = wanted.ended_us
            if ended_first is not None:
                check("j.end_time_us >= ?", ended_first)
            if ended_last is not None:
                check("j.end_time_us <= ?", ended_last)
        if first is not None:
            sql += f" AND {column} >= ?"
            values.append(first)
        if last is not None:
            sql += f" AND {column} <= ?"
            values.append(last)
        return sql, tuple(values)

    def _first_created(self, time_us: int) -> int:
        """A number such that the tenant's jobs from it on, and no others, were created at time_us
        or later. By halving: each probe is one look into the index."""
        low, high = 1, events.newest(self._reader) + 1
        while low < high:
            middle = (low + high) // 2
            row = self._reader.row(
                "SELECT seq, create_time_us FROM jobs WHERE tenant = ? AND seq >= ? ORDER BY seq LIMIT 1",
                (self._tenant, middle),
            )
            if row is None or row[1] >= time_us:
                high = middle
            else:
                low = row[0] + 1
        return low

    def _rows(
        self, stretch: _Stretch, position: Position, border: Position | None, limit: int
    ) -> Iterator[JobRow]:
        where, parameters = self._behind(stretch, position)
        if border is not None:
            sql, values = self._up_to(border)
            where, parameters = where + sql, (*parameters, *values)
        columns = ", ".join(f"j.{name}" for name in JobRow._fields)
        join = "" if self._along == "j" else " JOIN jobs j ON j.seq = i.seq"
        rows = self._reader.rows(
            f"SELECT {columns} FROM {stretch.table}{join} "  # noqa: S608 - no value is in the text
            f"WHERE {where}{self._checks} ORDER BY {self._ordering} LIMIT ?",
            (*parameters, *self._check_parameters, limit),
        )
        return map(record.as_job, rows)

    def _border(self, position: Position) -> Position | None:
        """How far rows may be checked: None, to the end. With several stretches, to where the first
        of them has shown its share."""
        borders = []
        share = SCAN_MAX // len(self._stretches)
        columns = "j.end_time_us, j.seq" if self._by_end else f"0, {self._along}.seq"
        for stretch in self._stretches:
            where, parameters = self._behind(stretch, position)
            row = self._reader.row(
                f"SELECT {columns} FROM {stretch.table} WHERE {where} "  # noqa: S608 - as above
                f"ORDER BY {self._ordering} LIMIT 1 OFFSET ?",
                (*parameters, share - 1),
            )
            if row is not None:
                borders.append((row[0], row[1]))
        if not borders:
            return None
        return max(borders) if self._desc else min(borders)

    def _behind(self, stretch: _Stretch, position: Position) -> tuple[str, tuple[object, ...]]:
        sign = "<" if self._desc else ">"
        if self._by_end:
            where = f"{stretch.where} AND (j.end_time_us, j.seq) {sign} (?, ?)"
            return where, (*stretch.parameters, *position)
        return f"{stretch.where} AND {self._along}.seq {sign} ?", (*stretch.parameters, position[1])

    def _up_to(self, border: Position) -> tuple[str, tuple[object, ...]]:
        sign = ">=" if self._desc else "<="
        if self._by_end:
            return f" AND (j.end_time_us, j.seq) {sign} (?, ?)", border
        return f" AND {self._along}.seq {sign} ?", (border[1],)

    @property
    def _ordering(self) -> str:
        seq = f"{self._along}.seq {self._order}"
        return f"j.end_time_us {self._order}, {seq}" if self._by_end else seq

    def _key(self, row: JobRow) -> Position:
        return (row.end_time_us or 0, row.seq) if self._by_end else (0, row.seq)


def _size(page_size: int) -> int:
    if page_size < 0:
        raise FieldError("page_size", expected="0 or more", given=page_size)
    return min(page_size or PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)


def _order(order_by: str) -> str:
    order = " ".join(order_by.split()) or ORDERS[0]
    if order not in ORDERS:
        expected = "one of " + ", ".join(f'"{name}"' for name in ORDERS)
        raise FieldError("order_by", expected=expected, given=order_by)
    return order


def _token(digest: bytes, revision: int, position: Position) -> str:
    packed = _TOKEN.pack(_TOKEN_VERSION, digest, revision, *position)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _read_token(token: str, digest: bytes) -> tuple[int, Position]:
    try:
        packed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        version, of, revision, time_us, seq = _TOKEN.unpack(packed)
    except (binascii.Error, ValueError, struct.error):
        version, of = 0, b""
    if version != _TOKEN_VERSION:
        raise FieldError("page_token", expected="a next_page_token of this method", given=token)
    if of != digest:
        raise FieldError(
            "page_token",
            expected="a token of this very list",
            given="one of another list",
            hint="filter and order_by must stay as they were on the first page",
        )
    return revision, (time_us, seq)
