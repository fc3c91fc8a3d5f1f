"""What must hold of a history, whenever servers were killed."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ketgate.jobs.v1 import job_pb2 as pb

from .callers import PAGE_SIZE
from .history import OVER, History, Page
from .work import DUE, SHORT

QUEUED, RUNNING, CANCELLING = (
    pb.JOB_STATE_QUEUED,
    pb.JOB_STATE_RUNNING,
    pb.JOB_STATE_CANCELLING,
)
# Written out anew, not imported: the model is what the machine is held to.
ALLOWED = {
    (QUEUED, RUNNING),
    (QUEUED, pb.JOB_STATE_CANCELLED),
    (QUEUED, pb.JOB_STATE_EXPIRED),
    (RUNNING, QUEUED),
    (RUNNING, CANCELLING),
    (RUNNING, pb.JOB_STATE_SUCCEEDED),
    (CANCELLING, pb.JOB_STATE_CANCELLED),
    (CANCELLING, pb.JOB_STATE_SUCCEEDED),
}
ACTIONS = {"CreateJob", "CancelJob", "DeleteJob"}


@dataclass
class Life:
    """A job, as its events tell."""

    tenant: str
    created: int
    states: dict[int, int] = field(default_factory=dict)
    """By revision, in order."""
    deleted: int | None = None

    def at(self, revision: int) -> tuple[int, int] | None:
        """Its newest revision and state as of a revision; None if it was not there."""
        if self.created > revision or (self.deleted is not None and self.deleted <= revision):
            return None
        newest = max(number for number in self.states if number <= revision)
        return newest, self.states[newest]


def check_events(history: History) -> tuple[dict[str, Life], list[str]]:
    """The jobs, and what is wrong with their events: gaps, and changes that cannot be."""
    wrong: list[str] = []
    lives: dict[str, Life] = {}
    every = sorted(
        (
            (event.revision, tenant, event)
            for tenant, some in history.events.items()
            for event in some
        ),
        key=lambda item: item[0],
    )
    revisions = [revision for revision, _, _ in every]
    if revisions != list(range(1, len(revisions) + 1)):
        wrong.append("the watchers of all tenants together missed revisions, or got some twice")
    for revision, tenant, event in every:
        life = lives.get(event.job)
        if event.type == pb.JOB_EVENT_TYPE_CREATED:
            if life is not None:
                wrong.append(f"{event.job} was created twice")
            lives[event.job] = Life(tenant, revision, {revision: event.state})
            continue
        if life is None or life.deleted is not None:
            wrong.append(f"{event.job}: an event at {revision}, when it is not there")
            continue
        before = next(reversed(life.states.values()))
        if event.type == pb.JOB_EVENT_TYPE_DELETED:
            if before not in OVER:
                wrong.append(f"{event.job} was deleted before it was over")
            life.deleted = revision
            continue
        if event.type == pb.JOB_EVENT_TYPE_PROGRESS:
            if event.state != before or before in OVER:
                wrong.append(f"{event.job}: progress at {revision} of state {event.state}")
        elif (before, event.state) not in ALLOWED:
            wrong.append(f"{event.job} went from state {before} to {event.state}")
        life.states[revision] = event.state
    return lives, wrong


def check_answers(history: History, lives: Mapping[str, Life]) -> list[str]:
    """What answers told is what the events tell."""
    wrong = list(history.broken)
    made: dict[str, str] = {}
    for call in history.acknowledged:
        life = lives.get(call.job)
        if life is None or life.tenant != call.tenant:
            wrong.append(f"{call.method} {call.job} was acknowledged, but is in no event")
        elif call.method == "CreateJob":
            if made.setdefault(call.request_id, call.job) != call.job:
                wrong.append(f"{call.request_id} made two jobs")
        elif call.method == "DeleteJob" and life.deleted is None:
            wrong.append(f"{call.job} was deleted, but is there")
        elif call.method == "CancelJob" and next(reversed(life.states.values())) not in OVER:
            wrong.append(f"{call.job} was cancelled, but is not over")
    if len(set(made.values())) != len(made):
        wrong.append("two requests made one job")
    strangers = lives.keys() - set(made.values())
    if strangers:
        wrong.append(f"jobs that nobody asked for, or twice: {sorted(strangers)[:3]}")
    for seen in history.seen:
        life = lives.get(seen.job)
        if life is None or life.states.get(seen.revision) != seen.state:
            wrong.append(f"an answer told {seen}, the events do not")
    for name, life in lives.items():
        if life.deleted is not None and name not in history.deletions:
            wrong.append(f"{name} was deleted, and nobody asked for it")
    for page in history.pages:
        wrong += check_page(page, lives)
    return wrong


def check_page(page: Page, lives: Mapping[str, Life]) -> Iterable[str]:
    """A list is the newest jobs as they were at its revision."""
    there = {
        name: at
        for name, life in lives.items()
        if life.tenant == page.tenant and (at := life.at(page.revision)) is not None
    }
    newest = sorted(there, key=lambda name: -lives[name].created)[:PAGE_SIZE]
    if [job.job for job in page.jobs] != newest:
        yield f"a list at {page.revision} has not the newest jobs of {page.tenant}"
    for job in page.jobs:
        if there.get(job.job) != (job.revision, job.state):
            yield f"a list at {page.revision} told {job}, the events {there.get(job.job)}"


def check_end(
    history: History,
    lives: Mapping[str, Life],
    jobs: Mapping[str, pb.Job],
    answers: Mapping[str, bytes],
) -> list[str]:
    """What is there in the end. jobs: all of them, FULL. answers: of a direct Solve, by plan."""
    from .work import lasting

    wrong = []
    left = {name for name, life in lives.items() if life.deleted is None}
    if left != jobs.keys():
        wrong.append(f"jobs lost or back from the dead: {sorted(left ^ jobs.keys())[:3]}")
    for name, job in jobs.items():
        if name not in left:
            continue
        revision, state = lives[name].at(1 << 62) or (0, 0)
        if (job.revision, job.state) != (revision, state):
            wrong.append(f"{name} is {job.state} at {job.revision}, its events say otherwise")
        plan = history.plans[name]
        if job.state not in OVER:
            wrong.append(f"{name} is not over, but {job.state}")
        elif job.state == pb.JOB_STATE_SUCCEEDED:
            if plan in SHORT and lasting(job.result.solve) != answers[plan]:
                wrong.append(f"{name}: its result is not that of a direct Solve")
        elif (job.state == pb.JOB_STATE_EXPIRED) != (plan == DUE) and (
            job.state != pb.JOB_STATE_CANCELLED
        ):
            wrong.append(f"{name} ({plan}) ended in state {job.state}: {job.error.message}")
    return wrong


def check_audit(history: History, entries: Iterable[tuple[str, str, str]]) -> list[str]:
    """Every acknowledged call has its entry, and nothing was done twice. entries: action, resource
    and outcome of each."""
    wrong = []
    done: Counter[tuple[str, str]] = Counter()
    for action, resource, outcome in entries:
        method = action.rpartition("/")[2]
        if method in ACTIONS and outcome == "OK":
            done[method, resource] += 1
    asked: dict[tuple[str, str], int] = defaultdict(int)
    for call in history.acknowledged:
        asked[call.method, call.job] += 1
    for key, times in asked.items():
        if done[key] != times:
            wrong.append(f"{key}: {times} calls were acknowledged, the audit has {done[key]}")
    for key in done.keys() - asked.keys():
        wrong.append(f"{key} is in the audit, but was never acknowledged")
    return wrong
