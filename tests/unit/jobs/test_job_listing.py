"""Lists of jobs: the filter language, and pages that neither miss nor repeat."""

import itertools
import re

import pytest
from ketgate_server.errors import FieldError
from ketgate_server.jobs import filters, listing
from ketgate_server.jobs.base import Ending, Outcome
from ketgate_server.jobs.listing import ListQuery
from ketgate_server.jobs.record import CANCELLED, FAILED, QUEUED, RUNNING, SUCCEEDED

from .conftest import ACTOR, LEASE_US, Bench, FakeTime

NOON_US = 1_795_348_800_000_000  # 2026-11-22T12:00:00Z


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", filters.Filter()),
        ("  state=RUNNING ", filters.Filter(states=frozenset({RUNNING}))),
        (
            'state = (QUEUED, "JOB_STATE_FAILED") AND state != QUEUED',
            filters.Filter(states=frozenset({FAILED})),
        ),
        ("state = RUNNING AND state = QUEUED", filters.Filter(states=frozenset(), is_empty=True)),
        (
            r'kind = solve AND creator = "a \"b\" \\ c" AND labels.desk.eu-1 = "fx"',
            filters.Filter(kind="solve", creator=r'a "b" \ c', labels={"desk.eu-1": "fx"}),
        ),
        ('labels.a = b AND labels.a = "c"', filters.Filter(labels={"a": "c"}, is_empty=True)),
        (
            'create_time >= "2026-11-22T12:00:00Z" AND create_time < 2026-11-22T14:00:00+01:00',
            filters.Filter(created_us=(NOON_US, NOON_US + 3_600_000_000 - 1)),
        ),
        (
            "end_time > 2026-11-22T12:00:00.5Z AND end_time <= 2026-11-22T12:00:00.5Z",
            filters.Filter(ended_us=(NOON_US + 500_001, NOON_US + 500_000), is_empty=True),
        ),
    ],
)
def test_filters(text: str, expected: filters.Filter) -> None:
    assert filters.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "position", "expected"),
    [
        ("colour = red", 1, "state, kind"),
        ("state", 6, "= or !="),
        ("state > RUNNING", 7, "= or !="),
        ("state = BUSY", 9, "QUEUED"),
        ("state = (QUEUED", 16, ", or )"),
        ("state = QUEUED kind = solve", 16, "AND"),
        ("state = QUEUED AND", 19, "state, kind"),
        ("kind = (a)", 8, "quotes"),
        ('kind = "a', 8, "a term"),
        ("labels.Desk = a", 1, "labels."),
        ("create_time = 2026-11-22T12:00:00Z", 13, "one of <"),
        ("create_time > yesterday", 15, "a time"),
        ("create_time > 2026-11-22T12:00:00", 15, "offset"),
        ("kind = a; DROP TABLE jobs", 9, "a term"),
    ],
)
def test_what_is_no_filter_is_told_where(text: str, position: int, expected: str) -> None:
    with pytest.raises(FieldError, match=re.escape(f"at character {position},")) as caught:
        filters.parse(text)
    assert caught.value.field == "filter"
    assert expected in caught.value.expected


def test_filters_are_bounded() -> None:
    with pytest.raises(FieldError, match="NUL"):  # which PostgreSQL would answer with its own error
        filters.parse('kind = "a\0b"')
    with pytest.raises(FieldError, match="at most 2000 characters"):
        filters.parse("x" * 2_001)
    with pytest.raises(FieldError, match="at most 20 terms"):
        filters.parse(" AND ".join(["kind = a"] * 21))


FILTERS = [
    "",
    "state = SUCCEEDED",
    "state != (SUCCEEDED, QUEUED)",
    "labels.n = even",
    "labels.n = even AND labels.m = three",
    "labels.m = three AND state = (SUCCEEDED, CANCELLED) AND creator = ann",
    "creator = bob",
    "kind = other AND state = QUEUED",
    "kind = nothing",
    "create_time >= 2027-01-15T08:00:10Z",
    "create_time > 2027-01-15T08:00:05Z AND create_time <= 2027-01-15T08:00:20Z AND state = QUEUED",
    "end_time < 2027-01-15T08:00:15Z",
    "state = QUEUED AND state = FAILED",
]


@pytest.fixture
def jobs(timed: Bench, time: FakeTime) -> list[dict[str, object]]:
    """Jobs of all sorts, as a list to filter by hand."""
    timed.jobs.policy = type(timed.jobs.policy)()
    made = []
    for n in range(40):
        time.pass_s(n % 3 / 2)
        labels = ({"n": "even"} if n % 2 == 0 else {}) | ({"m": "three"} if n % 3 == 0 else {})
        job = timed.create(
            labels=labels,
            creator="bob" if n % 5 == 0 else "ann",
            kind="other" if n % 7 == 0 else "solve",
        )
        timed.create(tenant="blue", labels=labels)
        state, end_us = QUEUED, None
        if n % 4 == 1:
            timed.jobs.cancel(ACTOR, timed.request(), job.uid)
            state, end_us = CANCELLED, time.us
        elif n % 4 == 2:
            held = {c.id: c for c in timed.jobs.claim("w", 100, LEASE_US)}
            time.pass_s(1)
            for claim in held.values():
                kind = Outcome.SUCCEEDED if claim.id == job.uid else Outcome.GIVEN_BACK
                assert timed.jobs.finish(claim, Ending(kind, b""))
            state, end_us = SUCCEEDED, time.us
        made.append(
            {
                "id": job.uid,
                "seq": job.revision,
                "state": state,
                "labels": labels,
                "creator": job.creator,
                "kind": job.kind,
                "create": job.create_time.ToMicroseconds(),
                "end": end_us,
            }
        )
    return made


def matches(job: dict[str, object], wanted: filters.Filter) -> bool:
    def within(value: object, bounds: tuple[int | None, int | None]) -> bool:
        if bounds == (None, None):
            return True
        first, last = bounds
        assert value is None or isinstance(value, int)
        return value is not None and (first or 0) <= value <= (last or 1 << 62)

    labels = job["labels"]
    assert isinstance(labels, dict)
    return (
        not wanted.is_empty
        and (wanted.states is None or job["state"] in wanted.states)
        and wanted.kind in (None, job["kind"])
        and wanted.creator in (None, job["creator"])
        and wanted.labels.items() <= labels.items()
        and within(job["create"], wanted.created_us)
        and within(job["end"], wanted.ended_us)
    )


def pages(bench: Bench, query: ListQuery) -> tuple[list[str], int]:
    """Ids over all pages, and how many pages there were."""
    found: list[str] = []
    token, revision = "", None
    for number in itertools.count(1):
        page = bench.jobs.list(
            "red", ListQuery(query.page_size, token, query.filter, query.order_by)
        )
        assert len(page.jobs) <= (query.page_size or 50)
        assert revision in (None, page.revision)
        revision, token = page.revision, page.next_page_token
        found += [job.uid for job in page.jobs]
        if not token:
            return found, number
    raise AssertionError


@pytest.mark.parametrize("scan_max", [10_000, 7], ids=["whole", "bounded"])
def test_pages_hold_what_the_filter_asks_for_in_order(
    timed: Bench, jobs: list[dict[str, object]], scan_max: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "SCAN_MAX", scan_max)
    for text, order in itertools.product(FILTERS, ("", *listing.ORDERS)):
        key = "end" if order.startswith("end") else "seq"
        wanted = [job for job in jobs if matches(job, filters.parse(text))]
        wanted = [job for job in wanted if job[key] is not None]
        wanted.sort(
            key=lambda job: (job[key], job["seq"]), reverse=order in ("", *listing.ORDERS[::2])
        )
        for size in (1, 3, 0):
            found, _ = pages(timed, ListQuery(size, "", text, order))
            assert found == [job["id"] for job in wanted], (text, order, size)


def test_a_filter_that_matches_nearly_nothing_has_short_pages(
    timed: Bench, jobs: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "SCAN_MAX", 10)
    page = timed.jobs.list("red", ListQuery(filter="creator = nobody"))
    assert page.jobs == []
    assert page.next_page_token
    assert pages(timed, ListQuery(filter="creator = nobody")) == ([], 5)


def test_jobs_that_come_while_pages_are_read_do_not_shift_them(
    timed: Bench, jobs: list[dict[str, object]]
) -> None:
    first = timed.jobs.list("red", ListQuery(20))
    timed.create()
    second = timed.jobs.list("red", ListQuery(20, first.next_page_token))
    assert [job.uid for job in (*first.jobs, *second.jobs)] == [job["id"] for job in reversed(jobs)]
    assert second.revision == first.revision == timed.jobs.revision() - 1
    assert not second.next_page_token


def test_tokens_are_of_one_list(bench: Bench) -> None:
    for _ in range(3):
        bench.create()
    token = bench.jobs.list("red", ListQuery(1)).next_page_token
    for tenant, query in (
        ("blue", ListQuery(1, token)),
        ("red", ListQuery(1, token, "state = QUEUED")),
        ("red", ListQuery(1, token, "", "create_time")),
        ("red", ListQuery(1, "nonsense")),
        ("red", ListQuery(1, "é" * 9)),
        ("red", ListQuery(1, token[:-2])),
    ):
        with pytest.raises(FieldError) as caught:
            bench.jobs.list(tenant, query)
        assert caught.value.field == "page_token"


def test_other_fields_of_a_list(bench: Bench) -> None:
    bench.create()
    assert len(bench.jobs.list("red", ListQuery(5_000)).jobs) == 1
    with pytest.raises(FieldError, match="page_size"):
        bench.jobs.list("red", ListQuery(-1))
    with pytest.raises(FieldError, match="create_time desc"):
        bench.jobs.list("red", ListQuery(order_by="size"))
    assert bench.jobs.list("red", ListQuery(order_by="  create_time   desc ")).jobs
