"""What the clouds charge, where their interfaces do not say it themselves. Facts with a date: the
provider's invoice decides, so every figure carries its source into the answers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import TypeVar

from ketgate_server.quantum.base import Price

Amount = TypeVar("Amount", int, Fraction)

BRAKET_SOURCE = "aws.amazon.com/braket/pricing, as of 2025"
BRAKET_TASK_CENTS = 30
"""Of each task on a QPU; the same for all."""

BRAKET_SHOT_DOLLARS = {
    "ionq/aria": Fraction("0.03"),
    "ionq/forte": Fraction("0.08"),
    "iqm/garnet": Fraction("0.00145"),
    "rigetti/ankaa": Fraction("0.0009"),
}
"""By provider and beginning of the device's name. Only where the device does not tell."""

BRAKET_MINUTE_DOLLARS = {
    "amazon/sv1": Fraction("0.075"),
    "amazon/dm1": Fraction("0.075"),
    "amazon/tn1": Fraction("0.275"),
}
BRAKET_SIMULATOR_S_MIN = 3.0
"""A task of a simulator is charged for at least so long."""

IBM_SOURCE = "ibm.com/quantum/pricing, 2025; set quantum.ibm.cents_per_minute to your contract's"
IBM_MINUTE_CENTS = {"open": 0, "pay-as-you-go": 9_600, "flex": 7_200, "premium": 4_800}
"""By the plan of the instance."""


def braket_price(path: str, told: float | None, unit: str) -> Price | None:
    """Of a device.

    path: "provider/name" of its ARN, lower case. told, unit: dollars a "shot" or "minute", as the
    device itself tells. None: nobody knows.
    """
    if told is not None and unit in ("shot", "minute"):
        shot = Fraction(str(told)) if unit == "shot" else None
        minute = Fraction(str(told)) if unit == "minute" else None
        source = "told by the device"
    else:
        shot = _of(path, BRAKET_SHOT_DOLLARS)
        minute = _of(path, BRAKET_MINUTE_DOLLARS)
        source = BRAKET_SOURCE
    if minute is not None:
        return Price(per_minute=math.ceil(minute * 100), source=source)
    if shot is None:
        return None
    return Price(
        per_task=BRAKET_TASK_CENTS,
        per_million_shots=math.ceil(shot * 100 * 1_000_000),
        source=f"{source}; per task: {BRAKET_SOURCE}",
    )


def ibm_price(plan: str, cents_per_minute: int | None) -> Price | None:
    """Of an instance with this plan, by the minute of device time."""
    if cents_per_minute is not None:
        return Price(per_minute=cents_per_minute, source="quantum.ibm.cents_per_minute")
    cents = _of(plan.lower().replace(" ", "-"), IBM_MINUTE_CENTS)
    return None if cents is None else Price(per_minute=cents, source=IBM_SOURCE)


def cost_cents(price: Price | None, *, tasks: int, shots: int, device_s: float) -> int | None:
    """What it comes to, rounded up; None where no price is known."""
    if price is None:
        return None
    total = Fraction(price.per_task) * tasks
    total += Fraction(price.per_million_shots * shots, 1_000_000)
    total += Fraction(price.per_minute) * Fraction(device_s).limit_denominator(1_000_000) / 60
    return math.ceil(total)


def _of(name: str, table: Mapping[str, Amount]) -> Amount | None:
    """The entry whose key the name begins with."""
    return next((value for key, value in table.items() if name.startswith(key)), None)
