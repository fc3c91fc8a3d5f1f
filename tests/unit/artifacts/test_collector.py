"""What nobody uses goes, what anybody does stays, whatever crashes in between."""

import dataclasses
import threading

import pytest
from ketgate_server.artifacts import collector as collector_module
from ketgate_server.artifacts.collector import Collector
from ketgate_server.artifacts.index import tenant_bytes
from ketgate_server.artifacts.store import ArtifactStore
from ketgate_server.errors import KetgateError, NotFound
from ketgate_server.store.base import StoreUnavailable

from .conftest import POLICY, asker, content, read, sha256, upload

DATA = content(100_000)
STEPS = 18
"""Before and after each change of blobs in the life below: two uploads of four, and one delete."""


class Crash(BaseException):
    """The process ends here: nothing after it runs."""


class Crashing:
    """A blob store that ends the process before or after its nth change."""

    CHANGES = ("stage", "publish", "discard", "delete")

    def __init__(self, blobs, at: int) -> None:
        self._blobs = blobs
        self._left = at

    def __getattr__(self, name):
        method = getattr(self._blobs, name)
        if name not in self.CHANGES:
            return method

        def change(*arguments):
            self._tick()
            answer = method(*arguments)
            self._tick()
            return answer

        return change

    def _tick(self) -> None:
        if self._left == 0:
            raise Crash
        self._left -= 1


@pytest.fixture
def collector(artifacts):
    return Collector(artifacts, "one")


def refer(store, digest, tenant="desk", seq=1):
    sql = "INSERT INTO artifact_references (tenant, sha256, seq) VALUES (?, ?, ?)"
    store.run(lambda tx: tx.execute(sql, (tenant, digest, seq)))


def test_what_is_not_used_for_a_day_goes(artifacts, collector, clock, store):
    row = upload(artifacts, DATA)
    clock.pass_hours(23)
    assert collector.run_once()
    assert read(artifacts, artifacts.get("desk", row.sha256)) == DATA
    clock.pass_hours(2)
    assert collector.run_once()
    with pytest.raises(NotFound):
        artifacts.get("desk", row.sha256)
    assert list(artifacts.blobs.digests()) == []
    with store.read() as reader:
        assert tenant_bytes(reader, "desk") == 0
        assert reader.rows("SELECT * FROM artifacts") == []
    assert upload(artifacts, DATA).sha256 == row.sha256


def test_what_is_used_or_referred_to_stays(artifacts, collector, clock, store):
    referred, used = upload(artifacts, DATA), upload(artifacts, b"used")
    refer(store, referred.sha256)
    clock.pass_hours(25)
    artifacts.begin(asker(), used.sha256, 4, "")
    collector.run_once()
    assert {row.sha256 for row in artifacts.page("desk", None, 9)} == {referred.sha256, used.sha256}


def test_a_tenants_content_stays_for_another(artifacts, collector, clock, store):
    upload(artifacts, DATA, "desk")
    clock.pass_hours(25)
    theirs = upload(artifacts, DATA, "rival")
    collector.run_once()
    with pytest.raises(NotFound):
        artifacts.get("desk", theirs.sha256)
    assert read(artifacts, theirs) == DATA


def test_a_halted_upload_goes_and_one_that_goes_on_stays(artifacts, collector, clock):
    halted, _ = artifacts.begin(asker(), sha256(DATA), len(DATA), "")
    going, _ = artifacts.begin(asker(), sha256(b"other"), 5, "")
    artifacts.write("desk", halted.id, 0, DATA[:10])
    artifacts.write("desk", going.id, 0, b"oth")
    clock.pass_hours(25)
    artifacts.write("desk", going.id, 3, b"e")
    artifacts.store.run(lambda tx: None)  # behind what was written beside
    collector.run_once()
    assert list(artifacts.blobs.uploads()) == [going.id]
    with pytest.raises(NotFound):
        artifacts.write("desk", halted.id, 10, b"x")
    artifacts.write("desk", going.id, 4, b"r")
    artifacts.finish(asker(), going.id)


def test_one_server_at_a_time_collects(artifacts, collector, clock):
    assert collector.run_once()
    other = Collector(artifacts, "two")
    assert not other.run_once()
    clock.pass_hours(1)
    assert other.run_once()


def test_content_without_a_row_is_swept_and_no_other(artifacts, collector):
    artifacts.blobs.stage("a" * 32, 0, b"stray")
    artifacts.blobs.publish("a" * 32, sha256(b"stray"), 5)
    kept = upload(artifacts, DATA)
    row, _ = artifacts.begin(asker(), sha256(b"going"), 5, "")
    artifacts.write("desk", row.id, 0, b"go")
    collector.run_once(sweep=False)
    assert len(list(artifacts.blobs.digests())) == 2
    collector.run_once()
    assert list(artifacts.blobs.digests()) == [kept.sha256]
    assert list(artifacts.blobs.uploads()) == [row.id]


def test_a_deletion_that_a_crash_cut_is_ended(artifacts, collector, clock, store):
    row = upload(artifacts, DATA)
    dying = ArtifactStore(store, Crashing(artifacts.blobs, 0), POLICY)
    with pytest.raises(Crash):
        dying.delete(asker(), row.sha256)
    with pytest.raises(KetgateError, match="at this moment"):
        upload(artifacts, DATA)
    clock.pass_hours(1)
    collector.run_once(sweep=False)
    assert list(artifacts.blobs.digests()) == []
    upload(artifacts, DATA)


def test_a_deletion_that_a_crash_cut_is_ended_by_who_wants_the_content(artifacts, clock, store):
    row = upload(artifacts, DATA)
    with pytest.raises(Crash):
        ArtifactStore(store, Crashing(artifacts.blobs, 0), POLICY).delete(asker(), row.sha256)
    clock.pass_hours(0.08)
    with pytest.raises(KetgateError, match="at this moment"):
        upload(artifacts, DATA)
    clock.pass_hours(0.01)
    assert upload(artifacts, DATA).sha256 == row.sha256
    assert read(artifacts, artifacts.get("desk", row.sha256)) == DATA


def test_a_server_ends_at_its_start_what_its_former_self_deleted(artifacts, store):
    rows = [upload(artifacts, data) for data in (DATA, DATA[1:])]
    for row, server in zip(rows, ("one", "two"), strict=True):
        with pytest.raises(Crash):
            ArtifactStore(store, Crashing(artifacts.blobs, 0), POLICY, server=server).delete(
                asker(), row.sha256
            )
    again = ArtifactStore(store, artifacts.blobs, POLICY, server="one")
    Collector(again, "one").end_own_deletions()
    assert list(artifacts.blobs.digests()) == [rows[1].sha256]
    upload(again, DATA)
    with pytest.raises(KetgateError, match="at this moment"):  # that server may be at it
        upload(again, DATA[1:])


def steps(artifacts, clock, store):
    """A whole life: two tenants upload, one deletes, the other's runs out."""
    upload(artifacts, DATA, "desk")
    upload(artifacts, DATA, "rival")
    artifacts.delete(asker("desk"), sha256(DATA))
    clock.pass_hours(25)
    Collector(artifacts, "one").run_once()


@pytest.mark.parametrize("at", range(20))
def test_after_a_crash_at_any_step_rows_have_content_and_all_else_is_swept(
    artifacts, clock, store, at
):
    blobs = artifacts.blobs
    try:
        steps(ArtifactStore(store, Crashing(blobs, at), POLICY), clock, store)
        ended = True
    except Crash:
        ended = False
    for tenant in ("desk", "rival"):
        for row in artifacts.page(tenant, None, 10):
            assert read(artifacts, row) == DATA
    for tenant in ("desk", "rival"):  # what was cut goes on
        if not ended:
            clock.pass_hours(0.2)
            Collector(artifacts, "one").run_once(sweep=False)
        assert upload(artifacts, DATA, tenant).size_bytes == len(DATA)
    clock.pass_hours(26)
    Collector(artifacts, "two").run_once()
    assert list(blobs.digests()) == []
    assert list(blobs.uploads()) == []
    with store.read() as reader:
        assert reader.rows("SELECT * FROM artifacts") == []
        assert reader.rows("SELECT * FROM uploads") == []
    assert ended == (at >= STEPS)


def test_uploads_race_with_a_collector_that_takes_all_it_may(store, folder):
    """Small contents, put and removed over and over: what an upload was told is there can be read
    until it is removed, and it is never removed under a row."""
    artifacts = ArtifactStore(store, folder, dataclasses.replace(POLICY, unused_us=-1))
    stop = threading.Event()
    faults = []

    def collect():
        while not stop.is_set():
            try:
                Collector(artifacts, "one").run_once()
            except Exception as error:
                faults.append(error)
                return

    def put(tenant):
        for number in range(12):
            data = content(50, number % 3)
            try:
                upload(artifacts, data, tenant)
            except (NotFound, KetgateError):  # dropped under way, or just being removed
                continue
            except Exception as error:
                faults.append(error)
                return

    collecting = threading.Thread(target=collect)
    putting = [threading.Thread(target=put, args=(tenant,)) for tenant in ("desk", "rival")]
    for thread in (collecting, *putting):
        thread.start()
    for thread in putting:
        thread.join()
    stop.set()
    collecting.join()
    assert not faults
    for tenant in ("desk", "rival"):
        for row in artifacts.page(tenant, None, 10):
            assert len(read(artifacts, row)) == 50


def test_content_that_this_server_cannot_reach_is_said_to_be_so(artifacts):
    row = upload(artifacts, DATA)
    artifacts.blobs.delete(row.sha256)
    with pytest.raises(StoreUnavailable, match="artifacts_url"):
        read(artifacts, row)


def test_content_that_hangs_does_not_hold_up_the_end(artifacts, monkeypatch):
    monkeypatch.setattr(collector_module, "INTERVAL_S", 0.0)
    entered, go, over = threading.Event(), threading.Event(), threading.Event()

    def hang():
        entered.set()
        go.wait(30)
        over.set()
        return iter(())

    monkeypatch.setattr(artifacts.blobs, "uploads", hang)
    collector = Collector(artifacts, "one")
    collector.start()
    assert entered.wait(30)
    collector.close(0.0)
    assert not over.is_set()
    go.set()
    collector.close(30.0)
    assert over.is_set()
