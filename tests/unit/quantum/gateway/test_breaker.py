"""A back end that fails often rests, and is tried again by one."""

import pytest
from ketgate_server.quantum.breaker import Breaker

from .fakes import Clock


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breaker(clock):
    return Breaker(3, 10.0, clock)


def fail(breaker, times):
    for _ in range(times):
        breaker.failed("broken")


def test_it_opens_after_failures_in_a_row(breaker):
    fail(breaker, 2)
    breaker.succeeded()
    fail(breaker, 2)
    assert breaker.rest is None
    assert breaker.begin()
    breaker.failed("the last straw")
    assert not breaker.begin()
    assert breaker.rest.cause == "the last straw"
    assert breaker.rest.remaining_s == 10.0


def test_after_the_rest_one_may_try(breaker, clock):
    fail(breaker, 3)
    clock.now_s = 10.0
    assert breaker.rest is None
    assert breaker.begin()
    assert not breaker.begin()
    assert breaker.rest is not None  # others see that it is being tried
    breaker.succeeded()
    assert breaker.begin()
    assert breaker.begin()


def test_a_failed_try_doubles_the_rest_up_to_a_bound(breaker, clock):
    fail(breaker, 3)
    rests = []
    for _ in range(7):
        clock.now_s = breaker.rest.until_s
        assert breaker.begin()
        breaker.failed("again")
        rests.append(breaker.rest.remaining_s)
    assert rests == [20.0, 40.0, 80.0, 160.0, 200.0, 200.0, 200.0]
    clock.now_s += 200.0
    assert breaker.begin()
    breaker.succeeded()
    fail(breaker, 3)
    assert breaker.rest.remaining_s == 10.0


def test_a_try_that_came_to_nothing_leaves_room_for_another(breaker, clock):
    fail(breaker, 3)
    clock.now_s = 10.0
    assert breaker.begin()
    breaker.abandoned()
    assert breaker.begin()


def test_a_try_that_nobody_ended_is_forgotten(breaker, clock):
    fail(breaker, 3)
    clock.now_s = 10.0
    assert breaker.begin()
    clock.now_s = 20.0
    assert breaker.begin()


def test_failures_of_those_that_were_under_way_do_not_lengthen_the_rest(breaker, clock):
    fail(breaker, 3)
    until_s = breaker.rest.until_s
    clock.now_s = 5.0
    fail(breaker, 2)
    assert breaker.rest.until_s == until_s
