"""Settling in a transaction that holds other writes too."""

from __future__ import annotations

from litestar_queues_core.errors import LeaseLost
from litestar_queues_core.ids import LeaseId
from litestar_queues_core.settlements import Settlement
from litestar_queues_sql.jobs import live_jobs
from litestar_queues_sql.leases import standing
from litestar_queues_sql.script import NOW, Script
from litestar_queues_sql.settle import Settling


def settle_last(lease_id: LeaseId, settlement: Settlement) -> Script[None]:
    """Apply one settlement as the end of a transaction, or raise what undoes it.

    Until the commit nobody marks the lease dead, and nobody else changes the job; the lease comes
    first, as in an exchange.  A row that somebody else has locked is waited for.

    Raises:
        LeaseLost: The fence does not hold.
    """
    now_ms: int = yield NOW
    lease = yield from standing(lease_id, shared=True)
    if lease is None:
        raise LeaseLost(lease_id)
    yield from live_jobs([settlement.id])
    settling = Settling(lease.holder, now_ms)
    yield from settling.run([settlement])
    if settling.rejected or settling.busy:
        raise LeaseLost(lease_id, job=settlement.id)
