"""What work at providers costs: an entry in the audit when it is submitted and when it is done, and
the account of each tenant.

The estimate is reserved before a provider is asked, in one transaction with the check of the
tenant's cap, so that jobs beside each other, of all servers, keep it together. When the provider has
the work it becomes a charge, which is the estimate until the provider tells what it took. Where
nobody can tell whether the work was taken, or what it took, the estimate stays: no cap is exceeded
by what was not known.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from ketgate_server.audit.log import new_salt
from ketgate_server.audit.log import record as record_audit
from ketgate_server.limits import Limit
from ketgate_server.quantum.caps import check_tenant
from ketgate_server.quantum.work import Money
from ketgate_server.store.base import Reader, Store, Transaction

PERIOD_US = 30 * 86_400 * 1_000_000
REMEMBERED_S = 5.0
"""How long a sum is believed where requests are looked at; a submission asks the store itself."""
SUBMITTED, DONE = "quantum.submitted", "quantum.done"
"""Actions in the audit."""

_SUM = """SELECT asset, SUM(minor_units) FROM (
    SELECT asset, minor_units FROM quantum_charges WHERE tenant = ? AND time_us > ? UNION ALL
    SELECT asset, minor_units FROM quantum_reservations WHERE tenant = ? AND time_us > ?
    ) AS taken GROUP BY asset"""
_KNOWN = "SELECT 1 FROM quantum_charges WHERE tenant = ? AND job = ?"
_RESERVED = "SELECT 1 FROM quantum_reservations WHERE tenant = ? AND job = ?"
_RESERVE = """INSERT INTO quantum_reservations (tenant, job, time_us, asset, minor_units)
    VALUES (?, ?, ?, ?, ?)"""
_RELEASE = "DELETE FROM quantum_reservations WHERE tenant = ? AND job = ?"
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
        """What the tenant's work of the last 30 days cost, or may yet, in minor units by asset."""
        known = self._sums.get(tenant)
        if known is not None and time.monotonic() < known[0] + REMEMBERED_S:
            return known[1]
        with self._store.read() as reader:
            total = _taken(reader, tenant, self._store.now_us())
        self._sums[tenant] = (time.monotonic(), total)
        return total

    def reserve(
        self, tenant: str, job: str, cost: Money | None, limits: Mapping[str, Limit]
    ) -> None:
        """Keep room for what a provider is about to be asked for. Said again, it changes nothing.
        Durable when this returns. Raises CapExceeded, with nothing reserved."""
        if cost is None or cost.minor_units <= 0:
            return

        def operation(tx: Transaction) -> None:
            if tx.row(_RESERVED, (tenant, job)) or tx.row(_KNOWN, (tenant, job)):
                return
            check_tenant(cost, _taken(tx, tenant, tx.now_us).get(cost.asset, 0), limits)
            tx.execute(_RESERVE, (tenant, job, tx.now_us, cost.asset, cost.minor_units))

        self._store.run(operation)
        self._sums.pop(tenant, None)

    def release(self, tenant: str, job: str) -> None:
        """The provider has nothing of it, and was told to take nothing. Durable when this returns."""
        with self._store.read() as reader:
            if reader.row(_RESERVED, (tenant, job)) is None:
                return
        self._store.run(lambda tx: tx.execute(_RELEASE, (tenant, job)))
        self._sums.pop(tenant, None)

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
            tx.execute(_RELEASE, (charge.tenant, charge.job))
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


def _taken(reader: Reader, tenant: str, now_us: int) -> Mapping[str, int]:
    rows = reader.rows(_SUM, (tenant, now_us - PERIOD_US) * 2)
    return {str(asset): int(minor_units) for asset, minor_units in rows if asset}


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
