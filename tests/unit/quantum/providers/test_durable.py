"""The turns of a job at a provider: one by one, with every fault."""

import pytest
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.jobs.base import Fault
from ketgate_server.jobs.faults import Stopped, classify
from ketgate_server.quantum.base import ProviderJobStatus, Unsuitable
from ketgate_server.quantum.providers.durable import ASKED_MAX, LISTED_S, Finished
from ketgate_server.quantum.providers.errors import (
    CredentialsRefused,
    JobFailed,
    NeverAnswered,
    Refused,
    Undecided,
)
from ketgate_server.quantum.providers.handle import Handle, Stage

from .model import Engine, ModelProvider


def there() -> tuple[ModelProvider, Engine]:
    provider = ModelProvider()
    engine = Engine(provider)
    assert engine.step() is None
    assert Handle.unpack(engine.handle).stage is Stage.THERE
    return provider, engine


def test_a_job_is_submitted_polled_and_fetched() -> None:
    provider, engine = there()
    provider.jobs["job-0"].status = ProviderJobStatus.RUNNING
    assert engine.step() is None
    provider.jobs["job-0"].status = ProviderJobStatus.SUCCEEDED
    finished = engine.step()
    assert isinstance(finished, Finished)
    assert finished.provider_job == "job-0"
    assert finished.tag == "ketgate-" + engine.job_id
    assert finished.result.outcomes[0].counts == {0: 50, 3: 50}
    assert provider.questions == ["submit", "poll", "poll", "poll", "fetch"]


def test_it_is_asked_after_ever_more_slowly_and_at_once_when_it_moves() -> None:
    provider, engine = there()
    for _ in range(12):
        engine.step()
    assert engine.delays[:4] == [2.0, 3.0, 4.5, 6.75]
    assert engine.delays[-1] == 60.0
    provider.jobs["job-0"].status = ProviderJobStatus.RUNNING
    engine.step()
    assert engine.delays[-1] == 2.0
    provider.poll_after_s = 30.0
    engine.step()
    assert engine.delays[-1] == 30.0


@pytest.mark.parametrize("fault", ["after:lost", "after:worker", "after:bug", "after:crash"])
def test_a_lost_answer_is_searched_for_and_not_asked_for_again(fault: str) -> None:
    provider = ModelProvider(faults={"submit": [fault]}, lag_us=30_000_000)
    engine = Engine(provider)
    while Stage.THERE is not (engine.handle and Handle.unpack(engine.handle).stage):
        assert engine.step() is None
    assert provider.questions.count("submit") == 1
    assert len(provider.jobs) == 1


def test_what_never_arrived_is_sent_again_only_when_the_provider_would_show_it() -> None:
    provider = ModelProvider(faults={"submit": ["lost"]})
    engine = Engine(provider)
    while not provider.jobs:
        assert engine.step() is None
    assert provider.now_us >= LISTED_S * 1e6
    assert provider.questions.count("submit") == 2


@pytest.mark.parametrize("late_s", [400, 3000])
def test_what_a_list_shows_late_is_not_sent_again(late_s: int) -> None:
    provider = ModelProvider(faults={"submit": ["after:lost"]}, lag_us=late_s * 1_000_000)
    engine = Engine(provider)
    while Handle.unpack(engine.handle).stage is not Stage.THERE if engine.handle else True:
        assert engine.step() is None
    assert provider.questions.count("submit") == 1


@pytest.mark.parametrize("fault", ["throttled", "unreachable", "credentials", "refused", ""])
def test_what_was_not_taken_is_not_reserved(fault: str) -> None:
    provider = ModelProvider(faults={"submit": [fault]} if fault else {})
    engine = Engine(provider)
    engine.step()
    assert engine.reserved == (not fault)


def test_a_lost_answer_stays_reserved() -> None:
    engine = Engine(ModelProvider(faults={"submit": ["lost"]}))
    assert engine.step() is None
    assert engine.reserved


def test_what_may_not_be_reserved_is_not_asked_for() -> None:
    provider = ModelProvider()
    engine = Engine(provider, broke=True)
    end = engine.step()
    assert isinstance(end, KetgateError)
    assert end.reason is Reason.CAP_EXCEEDED
    assert provider.questions == []


def test_a_crash_between_reservation_and_question_is_given_back_when_it_is_cancelled() -> None:
    provider = ModelProvider()
    engine = Engine(provider, crash_at="reserved")
    assert engine.step() is None
    assert engine.reserved
    engine.stopped = True
    end = None
    while end is None:
        end = engine.step()
    assert isinstance(end, Stopped)
    assert not engine.reserved
    assert "submit" not in provider.questions


def test_with_an_idempotency_token_it_is_sent_again_at_once() -> None:
    provider = ModelProvider(faults={"submit": ["after:lost"]}, lag_us=10**9, repeatable=True)
    engine = Engine(provider)
    assert engine.step() is None
    assert engine.step() is None
    assert Handle.unpack(engine.handle).stage is Stage.THERE
    assert len(provider.jobs) == 1


def test_a_provider_that_never_answers_is_not_asked_for_ever() -> None:
    provider = ModelProvider(faults={"submit": ["lost"] * 9})
    engine = Engine(provider)
    end = None
    while end is None:
        end = engine.step()
    assert provider.questions.count("submit") == ASKED_MAX
    assert isinstance(end, NeverAnswered)
    assert classify(end, "its job")[0] is Fault.CALLER  # no attempt follows
    assert end.reason is Reason.SUBMISSION_UNDECIDED
    assert "the answer was lost" in end.message
    assert "ketgate-" + engine.job_id in end.message
    assert engine.reserved  # nobody can tell that it was not taken


def test_a_crash_before_the_question_is_on_disk_asks_nothing() -> None:
    provider = ModelProvider()
    engine = Engine(provider, crash_at="before")
    assert engine.step() is None
    assert provider.questions == []
    assert engine.step() is None
    assert len(provider.jobs) == 1


def test_a_provider_that_cannot_look_for_the_tag_ends_it_with_the_tag() -> None:
    provider = ModelProvider(faults={"submit": ["after:lost"], "find": ["lost"]})
    engine = Engine(provider)
    assert engine.step() is None
    end = engine.step()
    assert isinstance(end, Undecided)
    assert end.reason is Reason.SUBMISSION_UNDECIDED
    assert provider.questions.count("submit") == 1


def test_giving_up_on_a_search_tells_that_it_is_undecided() -> None:
    provider = ModelProvider(faults={"submit": ["after:lost"], "find": ["unreachable", "worker"]})
    engine = Engine(provider)
    for _ in range(3):
        engine.step()
    assert [fault.reason for fault in engine.passing] == [Reason.SUBMISSION_UNDECIDED] * 2
    assert "ketgate-" + engine.job_id in engine.passing[0].message


def test_a_throttled_submission_waits_as_long_as_the_provider_says() -> None:
    provider = ModelProvider(faults={"submit": ["throttled"]})
    engine = Engine(provider)
    assert engine.step() is None
    assert engine.delays == [7.0]
    assert engine.step() is None
    assert provider.questions == ["submit", "submit", "poll"]


def test_a_refusal_of_the_work_is_final() -> None:
    for fault, kind in (
        ("refused", Refused),
        ("unsuitable", Unsuitable),
        ("credentials", CredentialsRefused),
    ):
        engine = Engine(ModelProvider(faults={"submit": [fault]}))
        assert isinstance(engine.step(), kind)


def test_expired_credentials_do_not_lose_work_that_is_there() -> None:
    provider, engine = there()
    provider.faults["poll"] = ["credentials"] * 5
    for _ in range(5):
        assert engine.step() is None
    assert engine.delays[-1] == 60.0
    provider.jobs["job-0"].status = ProviderJobStatus.SUCCEEDED
    assert isinstance(engine.step(), Finished)


def test_credentials_that_stay_refused_end_it_after_a_day_naming_the_job() -> None:
    provider, engine = there()
    provider.faults["poll"] = ["credentials"] * 2000
    while not engine.passing:
        assert engine.step() is None
    assert provider.now_us > 86_400e6
    assert engine.passing[0].reason is Reason.PROVIDER_CREDENTIALS
    assert "job-0" in engine.passing[0].message


def test_a_failure_there_is_told_in_its_words_and_is_final() -> None:
    provider, engine = there()
    provider.jobs["job-0"].status = ProviderJobStatus.FAILED
    end = engine.step()
    assert isinstance(end, JobFailed)
    assert end.reason is Reason.PROVIDER_JOB_FAILED
    assert "it broke" in end.message
    assert end.metadata["provider_job"] == "job-0"


def test_a_job_that_somebody_cancelled_there_has_failed() -> None:
    provider, engine = there()
    provider.jobs["job-0"].status = ProviderJobStatus.CANCELLED
    assert isinstance(engine.step(), JobFailed)


def test_a_cancelled_job_is_cancelled_there_until_it_is_over() -> None:
    provider, engine = there()
    engine.stopped = True
    provider.faults["cancel"] = ["unreachable", "throttled"]
    for _ in range(3):
        assert engine.step() is None
    assert provider.jobs["job-0"].status is ProviderJobStatus.CANCELLED
    assert isinstance(engine.step(), Stopped)


def test_a_result_that_was_quicker_than_the_cancellation_is_kept() -> None:
    provider, engine = there()
    provider.jobs["job-0"].status = ProviderJobStatus.SUCCEEDED
    engine.stopped = True
    assert isinstance(engine.step(), Finished)


def test_a_stop_amid_the_intent_asks_nothing() -> None:
    provider = ModelProvider()
    engine = Engine(provider, stop_amid=True)
    assert isinstance(engine.step(), Stopped)
    assert provider.questions == []


def test_a_stop_after_a_lost_answer_looks_until_it_must_show() -> None:
    provider = ModelProvider(faults={"submit": ["after:lost"]}, lag_us=80_000_000, repeatable=True)
    engine = Engine(provider)
    assert engine.step() is None
    engine.stopped = True
    end = None
    while end is None:
        end = engine.step()
    assert isinstance(end, Stopped)
    assert provider.jobs["job-0"].status is ProviderJobStatus.CANCELLED
    assert provider.questions.count("submit") == 1


@pytest.mark.parametrize("fault", ["throttled", "unreachable", "credentials", "refused"])
def test_a_refusal_of_a_repeat_says_nothing_of_the_first_question(fault: str) -> None:
    provider = ModelProvider(
        faults={"submit": ["after:lost", fault]}, lag_us=80_000_000, repeatable=True
    )
    engine = Engine(provider)
    for _ in range(3):
        assert engine.step() is None
    engine.stopped = True
    end = None
    while end is None:
        end = engine.step()
    assert isinstance(end, Stopped)
    assert provider.jobs["job-0"].status is ProviderJobStatus.CANCELLED


def test_a_stop_amid_a_repeat_still_looks_for_the_first_question() -> None:
    provider = ModelProvider(faults={"submit": ["after:lost"]}, lag_us=80_000_000, repeatable=True)
    engine = Engine(provider)
    assert engine.step() is None
    engine.stop_amid = True
    end = None
    while end is None:
        end = engine.step()
    assert isinstance(end, Stopped)
    assert provider.jobs["job-0"].status is ProviderJobStatus.CANCELLED


def test_the_last_repeat_is_waited_for() -> None:
    """It may be the one that was taken, and not shown yet."""
    faults = {"submit": ["lost", "lost", "after:lost"]}
    provider = ModelProvider(faults=faults, lag_us=120_000_000, repeatable=True)
    engine = Engine(provider)
    while not (engine.handle and Handle.unpack(engine.handle).stage is Stage.THERE):
        assert engine.step() is None
    assert not engine.passing


def test_a_handle_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="expected version 1, given 2"):
        Handle.unpack(b'{"version": 2}')


def test_the_handle_survives_its_own_bytes() -> None:
    handle = Handle(Stage.ASKED, "model", "model/device", "ketgate-x", asked_us=5, asked=1)
    assert Handle.unpack(handle.pack()) == handle
