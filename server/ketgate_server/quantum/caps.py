"""Caps of cost, shots and device time: the request's own, and the server's limits. Kept before
anything is submitted."""

from __future__ import annotations

from collections.abc import Mapping

from ketgate_server.errors import FieldError, KetgateError, Reason
from ketgate_server.limits import Limit
from ketgate_server.quantum.estimate import Estimate
from ketgate_server.quantum.work import Caps, Money, Work

COST_LIMIT = "quantum.cost_minor_units_max"
TENANT_COST_LIMIT = "quantum.tenant_cost_minor_units_max"
DEVICE_LIMIT = "quantum.device_seconds_max"


class CapExceeded(KetgateError):  # noqa: N818 - a state of the request
    """The estimate is beyond a cap. cap: its path in the request, or the name of a limit."""

    def __init__(self, cap: str, *, allowed: str, estimated: str, hint: str = "") -> None:
        more = f"; {hint}" if hint else ""
        super().__init__(
            Reason.CAP_EXCEEDED,
            f"{cap}: the estimate is {estimated}, and at most {allowed} is allowed{more}",
            limit=cap,
            metadata={"allowed": allowed, "estimated": estimated},
        )


def check_shots(work: Work) -> None:
    """Raises CapExceeded."""
    cap = work.caps.shots_max
    if cap and work.shots_total > cap:
        raise CapExceeded(
            "spec.caps.shots_max",
            allowed=f"{cap} shots",
            estimated=f"{work.shots_total} shots",
            hint="ask for fewer shots, circuits or groups of observables",
        )


def check_estimate(
    caps: Caps,
    estimate: Estimate,
    limits: Mapping[str, Limit],
    spent: Mapping[str, int] | None = None,
    *,
    price_unknown: bool = False,
) -> None:
    """spent: what the tenant's runs of the last 30 days cost, in minor units by asset.
    price_unknown: what it costs cannot be told, so that no cap of the caller's can be kept. Raises
    CapExceeded; FieldError for a cap in another currency than the price."""
    if price_unknown and caps.cost_max is not None:
        raise CapExceeded(
            "spec.caps.cost_max",
            allowed=told(caps.cost_max),
            estimated=f"not known: {estimate.backend} tells no price",
            hint="leave the cap out, or ask the operator to set the price",
        )
    _check_cost(caps, estimate, limits, spent or {})
    seconds = estimate.device_s
    if caps.device_seconds_max and seconds > caps.device_seconds_max:
        raise CapExceeded(
            "spec.caps.device_seconds_max",
            allowed=f"{caps.device_seconds_max:g} s",
            estimated=f"{seconds:.3g} s",
        )
    allowed = limits[DEVICE_LIMIT].value
    if seconds > allowed:
        raise CapExceeded(DEVICE_LIMIT, allowed=f"{allowed} s", estimated=f"{seconds:.3g} s")


def _check_cost(
    caps: Caps, estimate: Estimate, limits: Mapping[str, Limit], spent: Mapping[str, int]
) -> None:
    cost = estimate.cost
    if cost is None or cost.minor_units <= 0:
        return
    cap = caps.cost_max
    if cap is not None:
        if cap.asset != cost.asset:
            raise FieldError(
                "spec.caps.cost_max.asset",
                expected=f"{cost.asset}, in which {estimate.backend} has its price",
                given=cap.asset,
            )
        if cost.minor_units > cap.minor_units:
            raise CapExceeded("spec.caps.cost_max", allowed=told(cap), estimated=told(cost))
    each = Money(cost.asset, limits[COST_LIMIT].value)
    if cost.minor_units > each.minor_units:
        raise CapExceeded(COST_LIMIT, allowed=told(each), estimated=told(cost))
    check_tenant(cost, spent.get(cost.asset, 0), limits)


def check_tenant(cost: Money, before: int, limits: Mapping[str, Limit]) -> None:
    """before: what the tenant's other work costs, in the same asset. Raises CapExceeded."""
    together = Money(cost.asset, limits[TENANT_COST_LIMIT].value)
    if before + cost.minor_units > together.minor_units:
        raise CapExceeded(
            TENANT_COST_LIMIT,
            allowed=told(together),
            estimated=f"{told(cost)} beside {told(Money(cost.asset, before))} in 30 days",
        )


def told(money: Money) -> str:
    """In minor units, as not every asset has two decimals."""
    return f"{money.minor_units} minor units of {money.asset}"
