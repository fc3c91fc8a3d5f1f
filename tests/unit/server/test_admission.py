"""Slots: bounded, first come first served, with lanes for what is quick."""

import threading
import time

import pytest
from ketgate_server.admission import QUICK_LANES, Admission
from ketgate_server.errors import KetgateError, Reason

FAR = time.monotonic() + 1e6


def never() -> bool:
    return False


def waiting(admission: Admission, count: int) -> None:
    """Until so many stand in line; the line is short, so this takes a moment."""
    end = time.monotonic() + 20.0
    while len(admission._line) != count:
        assert time.monotonic() < end
        threading.Event().wait(0.001)


def test_a_full_house_is_refused_with_when_to_come_back() -> None:
    admission = Admission(1, 0)
    slot = admission.enter(FAR, never)
    with pytest.raises(KetgateError) as refusal:
        admission.enter(FAR, never)
    assert refusal.value.reason is Reason.SERVER_BUSY
    assert refusal.value.retry_after_s is not None
    slot.release()
    admission.enter(FAR, never).release()


def test_a_slot_is_given_back_once() -> None:
    admission = Admission(1, 0)
    slot = admission.enter(FAR, never)
    slot.release()
    slot.release()
    assert admission.running == 0


def test_those_who_wait_come_in_the_order_of_arrival() -> None:
    admission = Admission(1, 2)
    first = admission.enter(FAR, never)
    order: list[int] = []

    def stand(number: int) -> None:
        slot = admission.enter(FAR, never)
        order.append(number)
        slot.release()

    threads = []
    for number in (1, 2):
        threads.append(threading.Thread(target=stand, args=(number,)))
        threads[-1].start()
        waiting(admission, number)
    first.release()
    for thread in threads:
        thread.join(20.0)
    assert order == [1, 2]
    assert admission.running == 0


def test_waiting_ends_with_the_limit() -> None:
    admission = Admission(1, 1)
    slot = admission.enter(FAR, never)
    with pytest.raises(KetgateError, match="time limit"):
        admission.enter(time.monotonic() + 0.01, never)
    assert not admission._line
    slot.release()


def test_waiting_ends_when_the_caller_goes() -> None:
    admission = Admission(1, 1)
    slot = admission.enter(FAR, never)
    gone = threading.Event()
    reasons: list[Reason] = []

    def stand() -> None:
        try:
            admission.enter(FAR, gone.is_set)
        except KetgateError as refusal:
            reasons.append(refusal.reason)

    thread = threading.Thread(target=stand)
    thread.start()
    waiting(admission, 1)
    gone.set()
    admission.wake()
    thread.join(20.0)
    assert reasons == [Reason.CANCELLED]
    slot.release()


def test_what_is_quick_passes_by_what_is_heavy() -> None:
    admission = Admission(1, 0)
    heavy = admission.enter(FAR, never)
    quick = [admission.enter(FAR, never, quick=True) for _ in range(QUICK_LANES)]
    with pytest.raises(KetgateError):
        admission.enter(FAR, never, quick=True)
    for slot in (*quick, heavy):
        slot.release()
    assert admission.running == 0


def test_the_patient_wait_in_the_same_line_but_do_not_fill_it() -> None:
    admission = Admission(1, 1)
    first = admission.enter(FAR, never)
    order: list[str] = []

    def stand(name: str, patient: bool) -> None:
        slot = admission.enter(FAR, never, patient=patient)
        order.append(name)
        slot.release()

    threads = []
    for count, (name, patient) in enumerate([("p1", True), ("p2", True), ("caller", False)], 1):
        threads.append(threading.Thread(target=stand, args=(name, patient)))
        threads[-1].start()
        waiting(admission, count)
    with pytest.raises(KetgateError, match="1 are waiting"):
        admission.enter(FAR, never)
    last = threading.Thread(target=stand, args=("p3", True))  # even now that the line is full
    last.start()
    waiting(admission, 4)
    first.release()
    for thread in [*threads, last]:
        thread.join()
    assert order == ["p1", "p2", "caller", "p3"]


def test_a_patient_one_that_gives_up_leaves_no_trace() -> None:
    admission = Admission(1, 1)
    first = admission.enter(FAR, never)
    with pytest.raises(KetgateError) as refusal:
        admission.enter(FAR, lambda: True, patient=True)
    assert refusal.value.reason is Reason.CANCELLED
    first.release()
    admission.enter(FAR, never).release()
    assert (admission.running, admission._patient) == (0, 0)
