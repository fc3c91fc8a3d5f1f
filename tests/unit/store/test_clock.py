"""The clock of transactions never goes back."""

import time

from ketgate_server.store.clock import Clock, steady_source
from ketgate_server.store.database import open_store


def stored_time(store):
    return store.run(lambda tx: (tx.take("revision"), tx.now_us)[1])


def test_a_clock_set_back_between_two_runs_goes_on_from_what_is_stored(tmp_path, store_url):
    wall = [1_000_000]
    first = open_store(tmp_path, store_url, clock=lambda: wall[0])
    assert stored_time(first) == 1_000_000
    wall[0] = 2_000_000
    assert stored_time(first) == 2_000_000
    first.close()
    wall[0] = 500_000
    second = open_store(tmp_path, store_url, clock=lambda: wall[0])
    assert second.now_us() == 2_000_000
    wall[0] += 10
    assert stored_time(second) == 2_000_010, "time passes on, and does not stand still"
    second.close()


def test_a_clock_set_back_while_it_runs(tmp_path, store_url):
    wall = [1_000_000]
    store = open_store(tmp_path, store_url, clock=lambda: wall[0])
    stored_time(store)
    wall[0] = 10
    assert stored_time(store) == 1_000_000
    wall[0] += 7
    assert stored_time(store) == 1_000_007
    store.close()


def test_a_command_beside_the_server_that_is_ahead(tmp_path, store_url):
    server = open_store(tmp_path, store_url, clock=lambda: 1_000_000)
    command = open_store(tmp_path, store_url, clock=lambda: 3_000_000)
    assert stored_time(command) == 3_000_000
    assert stored_time(server) == 3_000_000
    server.close()
    command.close()


def test_steps_of_the_wall_clock_are_not_followed(monkeypatch):
    source = steady_source()
    before = source()
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert source() >= before


def test_the_clock_of_a_store_is_the_time(store):
    assert abs(store.now_us() - time.time_ns() // 1000) < 60_000_000
    assert abs(stored_time(store) - time.time_ns() // 1000) < 60_000_000


def test_a_database_clock_is_followed():
    own = [7]
    clock = Clock(lambda: own[0])
    clock.follow(1000, stored_us=500)
    assert clock.now_us() == 1000
    own[0] += 1_000_000
    clock.follow(1100, stored_us=1000)  # the own source runs too fast
    assert clock.now_us() == 1100
    clock.follow(1050, stored_us=1100)
    assert clock.now_us() == 1100


def test_time_passes_on_while_a_database_clock_that_was_set_back_catches_up():
    """It stood still at each transaction: no lease of a dead worker ran out for an hour."""
    hour_us = 3_600_000_000
    own = [0]
    clock = Clock(lambda: own[0])
    clock.follow(2 * hour_us, stored_us=0)
    stored_us = clock.now_us()
    for step in range(1, 4):
        own[0] += 10_000_000
        clock.follow(hour_us + own[0], stored_us)
        stored_us = clock.now_us()
        assert stored_us == 2 * hour_us + step * 10_000_000
    started_later = Clock(lambda: 5)  # whatever its own time is
    started_later.follow(hour_us, stored_us)
    assert started_later.now_us() == stored_us
