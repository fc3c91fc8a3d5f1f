"""Which back end: the one that is named, or the best by a policy among those that can.

A back end is passed over with its reason; reasons are told in the answer, or in the refusal when
none is left. By latency, what runs in the server itself is tried first, and what could not be
sooner is not asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches

from ketgate_server.errors import FieldError, KetgateError, PartMissing, Reason
from ketgate_server.parts import PARTS, part_version
from ketgate_server.quantum.base import (
    BackendKind,
    Description,
    Unsuitable,
)
from ketgate_server.quantum.catalogue import UP, Catalogue, Entry
from ketgate_server.quantum.estimate import Estimate
from ketgate_server.quantum.work import Policy, Work

WORKER_S = 3e-3
"""What a worker process takes for a call at least."""
COLD_S = 5.0
"""More, where a worker has to start and to import a framework first."""
QUEUED_JOB_S = 30.0
"""Of a job that waits at a provider, where it tells nothing of times."""
RETRY_AFTER_S = 5.0
HERE = "local"
"""The region of what runs in the server."""
EMULATORS = "emulator/"
"""How their names begin."""
TOLD_MAX = 12
TOLD_CHARACTERS_MAX = 600
"""Of the reasons that a refusal repeats."""


@dataclass(frozen=True)
class Step:
    """Why a back end was not the one."""

    backend: str
    reason: str


@dataclass(frozen=True)
class Candidate:
    """A back end that can do the work."""

    entry: Entry
    description: Description
    estimate: Estimate


Assess = Callable[[Work, Entry, Description], Estimate]
"""What the work would take there. Raises KetgateError where it cannot be done, or may not."""


@dataclass
class Route:
    """Candidates, best first, found as they are asked for; and what was passed over so far."""

    work: Work
    durable: bool
    own: Entry | None = None
    """The emulator that the work brings."""
    steps: list[Step] = field(default_factory=list)
    errors: list[KetgateError] = field(default_factory=list)

    def passed(self, name: str, error: KetgateError) -> None:
        self.steps.append(Step(name, error.message))
        self.errors.append(error)


def candidates(route: Route, catalogue: Catalogue, assess: Assess) -> Iterator[Candidate]:
    """A named back end, then with fail-over the allowed ones; without a name all that may be used,
    by policy. Raises when the named one cannot do it, or none can."""
    work, choice = route.work, route.work.choice
    _check_regions(route, catalogue)
    found = False
    name = choice.backend or work.device
    if route.own is not None:
        if name:
            why = "the noise of a calibration file"
            raise Unsuitable(name, why, "its own emulator adds it: name no back end beside it")
        name = route.own.name
    if name:
        entry = route.own or catalogue.get(name) or catalogue.standing_for(name)
        if entry is None:
            named = f"{choice.path}.backend"
            field_name = named if choice.backend else f"{choice.noise_path}.device"
            raise _unknown(field_name, name, catalogue)
        error = _refusal(route, entry, entry.describe())
        candidate = None
        if error is None:
            try:
                candidate = _assessed(work, entry, assess)
            except KetgateError as refused:
                error = refused
        if candidate is not None:
            found = True
            yield candidate
        elif error is not None:
            if not _goes_on(choice.fail_over, error):
                raise error
            route.passed(name, error)
        if not choice.fail_over:
            return
    for candidate in _by_policy(route, catalogue, assess, but=name):
        found = True
        yield candidate
    if not found:
        raise _none_left(route)


def _by_policy(
    route: Route, catalogue: Catalogue, assess: Assess, *, but: str
) -> Iterator[Candidate]:
    work, choice = route.work, route.work.choice
    eligible: list[tuple[float, Entry]] = []
    for entry in catalogue.entries():
        if entry.name == but or (but and not choice.names(entry.name)):
            continue
        if (choice.allowed or entry.name.startswith(EMULATORS)) and not choice.names(entry.name):
            continue  # emulators are many, and each has a file that would be read
        description = entry.describe()
        error = _refusal(route, entry, description)
        if error is not None:
            # What was not asked for need not be told of; what is down or elsewhere is.
            if choice.names(entry.name) or description.kind is BackendKind.SIMULATOR:
                route.passed(entry.name, error)
            continue
        eligible.append((_floor_s(entry), entry))
    eligible.sort(key=lambda pair: pair[0])
    known: list[tuple[tuple[float, ...], int, Candidate]] = []
    for number, (_, entry) in enumerate(eligible):
        try:
            candidate = _assessed(work, entry, assess)
        except KetgateError as error:
            route.passed(entry.name, error)
            continue
        known.append((_score(choice.policy, candidate), number, candidate))
        known.sort(key=lambda one: one[:2])
        next_floor_s = eligible[number + 1][0] if number + 1 < len(eligible) else 0.0
        if choice.policy is Policy.LATENCY and number + 1 < len(eligible):
            while known and known[0][0][0] <= next_floor_s:
                yield known.pop(0)[2]
    for _, _, candidate in known:
        yield candidate


def _assessed(work: Work, entry: Entry, assess: Assess) -> Candidate:
    description = entry.describe()
    return Candidate(entry, description, assess(work, entry, description))


def _refusal(route: Route, entry: Entry, description: Description) -> KetgateError | None:
    """Why a back end may not be used, whatever the circuits are."""
    choice = route.work.choice
    name = entry.name
    if choice.regions and description.region not in choice.regions:
        told = f"it is in {description.region!r}, and only {', '.join(choice.regions)} is allowed"
        return Unsuitable(name, "the region", told)
    if entry.provider is not None:
        if not choice.names(name):
            why = "what runs at a provider is used only where it is named"
            return Unsuitable(name, "this request", why)
        if not route.durable:
            why = "it is at a provider, whose queue outlasts a call; create a job with this spec"
            return Unsuitable(name, "a call that waits", why)
    if (
        description.kind is BackendKind.EMULATOR
        and not choice.names(name)
        and name != route.work.device
        and entry is not route.own
    ):
        return Unsuitable(
            name, "this request", "an emulator, which adds noise, is used only where it is named"
        )
    if description.status in UP:
        return None
    return _unavailable(name, description)


def _unavailable(name: str, description: Description) -> KetgateError:
    part = PARTS.get(description.part)
    if part is not None and part_version(part.name) is None:
        return PartMissing(part.name, part.install_command)
    return KetgateError(
        Reason.BACKEND_UNAVAILABLE,
        f"the back end {name!r} is {description.status.value}: {description.status_message}",
        retry_after_s=RETRY_AFTER_S,
        metadata={"backend": name},
    )


def _floor_s(entry: Entry) -> float:
    """A latency that it cannot be below."""
    if entry.provider is not None:
        return 1.0
    return (WORKER_S if entry.is_isolated else 0.0) + (COLD_S if entry.is_cold else 0.0)


def _score(policy: Policy, candidate: Candidate) -> tuple[float, ...]:
    """Least first."""
    estimate, description = candidate.estimate, candidate.description
    queue_s = estimate.queue_s
    if queue_s is None:
        queue_s = QUEUED_JOB_S * (1 + (description.queue_depth or 0))
    latency_s = queue_s + estimate.run_s + _floor_s(candidate.entry)
    match policy:
        case Policy.LATENCY:
            return (latency_s,)
        case Policy.FIDELITY:
            fidelity = estimate.expected_fidelity
            if fidelity is None:  # a device that tells no errors is not without them
                fidelity = 1.0 if description.kind is BackendKind.SIMULATOR else 0.0
            return (-fidelity, latency_s)
        case Policy.QUEUE:
            is_device = candidate.entry.provider is not None
            depth = float("inf") if description.queue_depth is None else description.queue_depth
            return (depth if is_device else 0.0, latency_s)
        case Policy.PRICE:
            if price_unknown(description):
                return (float("inf"), latency_s)
            return (estimate.cost.minor_units if estimate.cost else 0.0, latency_s)


def price_unknown(description: Description) -> bool:
    """Whether what a device costs cannot be told: it is not free then."""
    return description.kind is BackendKind.QPU and description.price is None


def _goes_on(fail_over: bool, error: KetgateError) -> bool:
    """Whether another back end may stand in for a named one: for one that is down or fails, never
    for a request that is wrong or may not be."""
    return fail_over and error.reason in STANDS_IN


STANDS_IN = frozenset(
    {
        Reason.BACKEND_UNAVAILABLE,
        Reason.PART_NOT_INSTALLED,
        Reason.PROVIDER_FAILED,
        Reason.PROVIDER_CREDENTIALS,
        Reason.INTERNAL,
        Reason.WORKER_LOST,
    }
)


HARDWARE = ("ibm", "braket", "google")
"""First parts of the names of QPUs, which are listed only where they are configured."""


def _unknown(field_name: str, name: str, catalogue: Catalogue) -> FieldError:
    known = what_there_is(name, catalogue)
    return FieldError(field_name, expected="a back end of this server", given=name, hint=known)


def what_there_is(name: str, catalogue: Catalogue) -> str:
    """What somebody may have meant by a name that no back end has."""
    names = [entry.name for entry in catalogue.entries()]
    near = get_close_matches(name, names, n=3, cutoff=0.5)
    known = f"did you mean {' or '.join(near)}?" if near else "ListBackends tells them"
    if not near:
        shown = [one for one in names if not one.startswith(EMULATORS)][:TOLD_MAX]
        known += f": {', '.join(shown)} and others" if shown else ""
    family = next((one for one in HARDWARE if name.startswith(f"{one}/")), None)
    if family and not any(one.startswith(f"{family}/") for one in names):
        known = f"the operator configures hardware in [quantum.{family}], and none is there now; {known}"
    return known


def _check_regions(route: Route, catalogue: Catalogue) -> None:
    """A region that no back end is in is a slip of the pen; where a provider has not told of its
    back ends yet, nobody knows. Raises FieldError."""
    wanted = route.work.choice.regions
    if not wanted:
        return
    # Emulators run here, and each has a file that would be read.
    entries = [one for one in catalogue.entries() if not one.name.startswith(EMULATORS)]
    known = sorted({HERE, *(entry.describe().region for entry in entries)})
    hidden = any(one.provider is not None and "/" not in one.name for one in entries)
    if not hidden and not set(wanted) & set(known):
        raise FieldError(
            f"{route.work.choice.path}.regions",
            expected=f"a region of this server's back ends ({', '.join(known)})",
            given=", ".join(wanted),
        )


def _none_left(route: Route) -> KetgateError:
    """One refusal for all."""
    errors = route.errors
    if len(errors) == 1:
        return errors[0]
    reasons = {error.reason for error in errors}
    for reason in (Reason.CAP_EXCEEDED, Reason.LIMIT_EXCEEDED):
        if reason in reasons:
            return next(error for error in errors if error.reason is reason)
    told = "; ".join(f"{step.backend}: {step.reason}" for step in route.steps[:TOLD_MAX])
    if not errors:
        return FieldError(
            f"{route.work.choice.path}.allowed",
            expected="a back end of this server among those that are allowed",
            given=", ".join(route.work.choice.allowed) or "none",
            hint="ListBackends tells them",
        )
    if reasons <= {Reason.BACKEND_UNSUITABLE, Reason.PART_NOT_INSTALLED}:
        return KetgateError(
            Reason.BACKEND_UNSUITABLE, f"no back end that is allowed can do it: {_cut(told)}"
        )
    return KetgateError(
        Reason.BACKEND_UNAVAILABLE,
        f"no back end that is allowed takes this work now: {_cut(told)}",
        retry_after_s=RETRY_AFTER_S,
    )


def _cut(told: str) -> str:
    return told if len(told) <= TOLD_CHARACTERS_MAX else told[:TOLD_CHARACTERS_MAX] + "…"
