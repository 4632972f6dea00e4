"""Maintenance of the memory store, in bounded steps."""

from __future__ import annotations

from itertools import chain, islice

from litestar_queues_core.ids import LeaseId
from litestar_queues_core.lifecycle import rescue_failure, rescued_lane, rescued_status
from litestar_queues_core.model import Status
from litestar_queues_core.pieces import Pieces
from litestar_queues_core.settlements import Maintenance, MaintenancePolicy, Moved
from litestar_queues_core.stores.memory.jobs import Jobs
from litestar_queues_core.stores.memory.rows import Lease, Row

REMEMBERED_MS = 86_400_000
"""A dead lease is shown for so long; after that it is unknown, which is as good as dead."""


class Upkeep:
    """One call of ``maintain``."""

    __slots__ = ("_jobs", "_leases", "_moved", "_now_ms", "_policy", "_pruned")

    def __init__(
        self, jobs: Jobs, leases: dict[LeaseId, Lease], policy: MaintenancePolicy, now_ms: int
    ) -> None:
        self._jobs = jobs
        self._leases = leases
        self._policy = policy
        self._now_ms = now_ms
        self._moved: list[Moved] = []
        self._pruned = 0

    def run(self) -> Maintenance:
        """Do some of each duty."""
        if self._policy.rescue:
            self._bury()
        pieces = Pieces(self._policy)
        for duty in (self._promote, self._rescue, self._expire, self._prune, self._free_keys):
            for size in pieces.of_duty():
                if duty(size) < size:
                    break
        return Maintenance(
            moved=self._moved,
            pruned=self._pruned,
            more=pieces.more,
            next_due_ms=self._jobs.waiting.next_due_ms,
            now_ms=self._now_ms,
        )

    def _promote(self, limit: int) -> int:
        rows = self._jobs.promote(self._now_ms, limit)
        self._moved += [_moved(row, Status.SCHEDULED) for row in rows]
        return len(rows)

    def _rescue(self, limit: int) -> int:
        if not self._policy.rescue:
            return 0
        lost = chain.from_iterable(
            lease.held.values() for lease in self._leases.values() if lease.dead
        )
        rows = list(islice(lost, limit))
        for row in rows:
            self._rescue_one(row)
            self._moved.append(_moved(row, Status.RUNNING))
        return len(rows)

    def _bury(self) -> None:
        """Mark dead the leases whose time has run out; forget those long dead."""
        for lease in list(self._leases.values()):
            lease.dead = lease.dead or lease.expires_ms <= self._now_ms
            if lease.expires_ms + REMEMBERED_MS <= self._now_ms and not lease.held:
                del self._leases[lease.id]

    def _rescue_one(self, row: Row) -> None:
        status = rescued_status(
            rescues=row.rescues,
            max_rescues=row.new.spec.max_rescues,
            cancel_requested=row.cancel_requested,
        )
        worker = row.worker or ""
        row.record(rescue_failure(status, rescues=row.rescues, worker=worker), self._now_ms)
        row.rescues += 1
        if status.finished:
            self._jobs.finish(row, status, self._now_ms)
        else:
            self._jobs.wait(row, row.due_ms, rescued_lane(row.lane), self._now_ms)

    def _expire(self, limit: int) -> int:
        names = self._jobs.waiting.expiring.pop_due(self._now_ms, limit)
        for name in names:
            row = self._jobs.rows[name]
            old = row.status
            self._jobs.waiting.remove(row)
            self._jobs.finish(row, Status.EXPIRED, self._now_ms)
            self._moved.append(_moved(row, old))
        return len(names)

    def _prune(self, limit: int) -> int:
        rows = self._jobs.prune(self._policy.retention, self._now_ms, limit)
        self._pruned += len(rows)
        return len(rows)

    def _free_keys(self, limit: int) -> int:
        return len(self._jobs.keys.free_due(self._now_ms, limit))


def _moved(row: Row, old: Status) -> Moved:
    return Moved(
        id=row.id, task=row.new.spec.task, queue=row.new.spec.queue, old=old, new=row.status
    )
