"""Small parts of the job engine: names, back-off, digests of requests, statements for many rows."""

import pytest
from ketgate.jobs.v1.job_service_pb2 import CancelJobRequest, CreateJobRequest
from ketgate_server.jobs import ids
from ketgate_server.jobs.policy import Policy
from ketgate_server.jobs.record import TERMINAL
from ketgate_server.jobs.transitions import TABLE
from ketgate_server.store.base import Store
from ketgate_server.store.insertion import ROWS_MAX, insert
from ketgate_server.store.requests import request_digest


def test_ids_sort_by_time_and_are_not_guessed() -> None:
    made = [ids.new_id(1_800_000_000_000_000 + ms * 1000) for ms in (0, 1, 31, 32, 10**9)]
    assert made == sorted(made)
    assert all(map(ids.is_id, made))
    assert len({ids.new_id(1) for _ in range(1000)}) == 1000
    assert ids.new_id(1_700_000_000_000_000, bytes(16)) == "01hf7yat000000000000000000"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "jobs/",
        "jobs/x",
        "job/" + "0" * 26,
        "jobs/" + "0" * 25,
        "jobs/" + "0" * 27,
        "jobs/8" + "0" * 25,
        "jobs/" + "u" * 26,
        "jobs/" + "0" * 26 + "\n",
        "jobs/" + "0" * 25 + "O",
    ],
)
def test_what_is_no_name_of_a_job(name: str) -> None:
    assert ids.job_id_of(name) is None


def test_names_and_ids() -> None:
    job_id = ids.new_id(5)
    assert ids.job_id_of(ids.job_name(job_id)) == job_id


def test_waits_double_up_to_a_bound_and_are_spread() -> None:
    policy = Policy(backoff_us=100, backoff_us_max=1000)
    assert [policy.wait_us(n, 0.0) for n in (0, 1, 2, 3, 4, 5, 10**6)] == [
        100,
        100,
        200,
        400,
        800,
        1000,
        1000,
    ]
    assert policy.wait_us(2, 0.5) == 150
    assert policy.wait_us(2, 0.999) >= 100


def test_what_is_over_leads_nowhere() -> None:
    assert not TERMINAL & TABLE.keys()
    assert frozenset().union(*TABLE.values()) >= TERMINAL


def test_a_request_id_does_not_count_in_the_digest_of_a_request() -> None:
    request = CreateJobRequest(request_id="a", priority=3, labels={"x": "1", "y": "2"})
    digest = request_digest(request)
    assert request.request_id == "a"
    same = CreateJobRequest(request_id="b", labels={"y": "2", "x": "1"}, priority=3)
    assert request_digest(same) == digest
    assert request_digest(CreateJobRequest(priority=4, labels=same.labels)) != digest
    assert digest[0] == 1  # version of the canonical form


def test_a_reason_counts_in_the_digest_of_a_cancellation() -> None:
    first = request_digest(CancelJobRequest(name="jobs/a", reason="x"))
    assert request_digest(CancelJobRequest(name="jobs/a", reason="y")) != first


@pytest.mark.parametrize("count", [0, 1, 2, 3, ROWS_MAX - 1, ROWS_MAX, 2 * ROWS_MAX + 21])
def test_many_rows_are_inserted_in_order(store: Store, count: int) -> None:
    rows = [(n, b"spec %d" % n) for n in range(count)]
    store.run(lambda tx: insert(tx, "job_bodies (seq, spec)", rows))
    store.run(
        lambda tx: insert(tx, "job_bodies (seq, spec)", rows[:1], "ON CONFLICT (seq) DO NOTHING")
    )
    with store.read() as reader:
        stored = reader.rows("SELECT seq, spec FROM job_bodies ORDER BY seq")
    assert [(seq, bytes(spec)) for seq, spec in stored] == rows
