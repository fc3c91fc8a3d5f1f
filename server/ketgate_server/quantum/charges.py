"""What work at providers costs: an entry in the audit when it is submitted and when it is done, and
the account of each tenant.

A charge is the estimate until the provider tells what it took.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from ketgate_server.audit.log import new_salt
from ketgate_server.audit.log import record as record_audit
from ketgate_server.quantum.work import Money
from ketgate_server.store.base import Store, Transaction

PERIOD_US = 30 * 86_400 * 1_000_000
REMEMBERED_S = 5.0
"""How long a sum is believed: a tenant may go beyond its cap by what it submits within it."""
SUBMITTED, DONE = "quantum.submitted", "quantum.done"
"""Actions in the audit."""

_SUM = """SELECT asset, SUM(minor_units) FROM quantum_charges WHERE tenant = ? AND time_us > ?
    GROUP BY asset"""
_KNOWN = "SELECT 1 FROM quantum_charges WHERE tenant = ? AND job = ?"
_CHARGE = """INSERT INTO quantum_charges (tenant, job, time_us, asset, minor_units)
    VALUES (?, ?, ?, ?, ?) ON CONFLICT (tenant, job) DO NOTHING"""
_SETTLE = "UPDATE quantum_charges SET asset = ?, minor_units = ? WHERE tenant = ? AND job = ?"


@dataclass(frozen=True)
class Charge:
    """Work of one job at a provider."""

    tenant: str
    job: str
    backend: str
    provider_job: str
    cost: Money | None
    """Estimated, or as the provider tells it; None: it is free."""
    device_s: float | None = None


class Charges:
    """The accounts. Threads may share it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sums: dict[str, tuple[float, Mapping[str, int]]] = {}

    def spent(self, tenant: str) -> Mapping[str, int]:
        """What the tenant's work of the last 30 days cost, in minor units by asset."""
        known = self._sums.get(tenant)
        if known is not None and time.monotonic() < known[0] + REMEMBERED_S:
            return known[1]
        since_us = self._store.now_us() - PERIOD_US
        with self._store.read() as reader:
            rows = reader.rows(_SUM, (tenant, since_us))
        total = {str(asset): int(minor_units) for asset, minor_units in rows if asset}
        self._sums[tenant] = (time.monotonic(), total)
        return total

    def submitted(self, charge: Charge) -> bool:
        """A provider has the work; whether that is new. Said again, it changes nothing. Durable
        when this returns."""
        with self._store.read() as reader:
            if reader.row(_KNOWN, (charge.tenant, charge.job)) is not None:
                return False
        salt = new_salt()
        cost = charge.cost or Money("", 0)

        def operation(tx: Transaction) -> None:
            row = (charge.tenant, charge.job, tx.now_us, cost.asset, cost.minor_units)
            if tx.execute(_CHARGE, row):
                _audit(tx, SUBMITTED, charge, salt)

        self._store.run(operation)
        self._sums.pop(charge.tenant, None)
        return True

    def done(self, charge: Charge) -> None:
        """The work is over, and its cost is known. Durable when this returns."""
        salt = new_salt()
        cost = charge.cost or Money("", 0)

        def operation(tx: Transaction) -> None:
            tx.execute(_SETTLE, (cost.asset, cost.minor_units, charge.tenant, charge.job))
            _audit(tx, DONE, charge, salt)

        self._store.run(operation)
        self._sums.pop(charge.tenant, None)


def _audit(tx: Transaction, action: str, charge: Charge, salt: bytes) -> None:
    facts = {"backend": charge.backend, "provider_job": charge.provider_job}
    if charge.cost is not None:
        facts |= {"cost_minor_units": str(charge.cost.minor_units), "asset": charge.cost.asset}
    if charge.device_s is not None:
        facts["device_seconds"] = f"{charge.device_s:.3f}"
    record_audit(
        tx,
        actor="server",
        tenant=charge.tenant,
        action=action,
        resource=f"jobs/{charge.job}",
        facts=facts,
        salt=salt,
    )
