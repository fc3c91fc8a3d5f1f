"""Answers that come later, from another thread than the call's, and hold none until then."""

import threading

import grpc
import pytest
from ketgate.server.v1 import server_service_pb2 as pb
from ketgate_server.errors import FieldError
from ketgate_server.rpc.call import Later

from .conftest import TIMEOUT_S


class Desk:
    """Takes what is asked for, and answers when it is told to."""

    def __init__(self):
        self.waiting = []
        self._came = threading.Semaphore(0)

    def unary(self, _):
        return Later(self._take)

    def _take(self, answer):
        self.waiting.append(answer)
        self._came.release()

    def wait(self, count):
        for _ in range(count):
            assert self._came.acquire(timeout=TIMEOUT_S)

    def answer_all(self):
        waiting, self.waiting = self.waiting, []
        for number, answer in enumerate(waiting):
            answer(lambda number=number: pb.GetServerInfoResponse(version=str(number)))


@pytest.fixture(name="desk")
def desk_fixture(puppet):
    desk = Desk()
    puppet.unary = desk.unary
    return desk


def version(future):
    return pb.GetServerInfoResponse.FromString(future.result(TIMEOUT_S)).version


def test_many_calls_wait_without_a_thread_each(puppet, desk):
    before = threading.active_count()
    futures = [puppet.future() for _ in range(100)]
    desk.wait(100)
    assert puppet.edge._unary_lane.count == 100
    assert threading.active_count() < before + 20
    desk.answer_all()
    assert sorted(int(version(future)) for future in futures) == list(range(100))
    assert puppet.edge.wait_idle(TIMEOUT_S)


def test_a_refusal_comes_later_too(puppet, desk, refused):
    def refuse():
        raise FieldError("spec", expected="something", given="nothing")

    future = puppet.future()
    desk.wait(1)
    desk.waiting[0](refuse)
    refusal = refused(lambda: future.result(TIMEOUT_S))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert puppet.edge.wait_idle(TIMEOUT_S)


def test_what_cannot_begin_is_refused(puppet, refused):
    def begin(_):
        raise FieldError("spec", expected="something", given="nothing")

    puppet.unary = lambda _: Later(begin)
    assert refused(puppet.call_unary).reason == "FIELD_INVALID"
    assert puppet.edge.wait_idle(TIMEOUT_S)


def test_a_fault_comes_later_too(puppet, desk, refused):
    future = puppet.future()
    desk.wait(1)
    desk.waiting[0](lambda: 1 // 0)
    refusal = refused(lambda: future.result(TIMEOUT_S))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")


def test_who_goes_before_the_answer_harms_nobody(puppet, desk):
    future = puppet.future()
    desk.wait(1)
    future.cancel()
    desk.answer_all()
    assert puppet.edge.wait_idle(TIMEOUT_S)
    other = puppet.future()
    desk.wait(1)
    desk.answer_all()
    assert version(other) == "0"


def test_the_server_waits_for_them_when_it_stops(puppet, desk):
    future = puppet.future()
    desk.wait(1)
    puppet.edge.begin_drain()
    assert not puppet.edge.wait_idle(0.0)
    desk.answer_all()
    assert puppet.edge.wait_idle(TIMEOUT_S)
    assert version(future) == "0"
