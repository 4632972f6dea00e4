"""The store: every operation is a script that its database runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import ClassVar

from litestar_queues_core.errors import SettlementRefused
from litestar_queues_core.ids import JobId, LeaseId
from litestar_queues_core.model import Event, Job, NewJob, WorkerInfo
from litestar_queues_core.pieces import Pieces
from litestar_queues_core.settlements import (
    CancelOutcome,
    Enqueued,
    Exchange,
    JobQuery,
    Maintenance,
    MaintenancePolicy,
    Moved,
    Page,
    QueueCounts,
    Renewal,
    Settlement,
    Wants,
)
from litestar_queues_sql import (
    browse,
    control,
    events as event_log,
    keys as key_rows,
    leases,
    upkeep,
)
from litestar_queues_sql.claim import Rotation
from litestar_queues_sql.database import Database, DataRefused
from litestar_queues_sql.enqueue import enqueue
from litestar_queues_sql.exchange import Rehearsed, exchange, next_due, rehearse

JOBS_AT_ONCE = 1000
"""A larger batch is written in several transactions, so that others are not kept waiting."""


class SqlStore:
    """Jobs in the tables of a SQL database.

    Args:
        database: Runs the scripts; its tables must be there.
    """

    open_ms: ClassVar[int] = 0
    """How long a transaction may hold back what it wrote while others commit what they wrote."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rotation = Rotation()

    async def enqueue(self, jobs: Sequence[NewJob]) -> Sequence[Enqueued]:
        """See :meth:`litestar_queues_core.protocols.Store.enqueue`, as for all that follows."""
        answers: list[Enqueued] = []
        for start in range(0, len(jobs), JOBS_AT_ONCE):
            answers += await self._enqueue(jobs[start : start + JOBS_AT_ONCE])
        return answers

    async def _enqueue(self, jobs: Sequence[NewJob]) -> Sequence[Enqueued]:
        """Take *jobs*, in halves if the database cannot hold something in them."""
        try:
            return await self.take_jobs(jobs)
        except DataRefused as error:
            if len(jobs) == 1:
                return [Enqueued(id=jobs[0].id, created=False, status=None, error=error)]
        half = len(jobs) // 2
        return [*await self._enqueue(jobs[:half]), *await self._enqueue(jobs[half:])]

    async def take_jobs(self, jobs: Sequence[NewJob]) -> Sequence[Enqueued]:
        """Take all *jobs* or none; databases with a faster way have their own."""
        return await self._database.write(partial(enqueue, jobs))

    async def open_lease(self, lease: LeaseId, worker: WorkerInfo, *, seconds: float) -> None:
        """Begin, or go on with, a lease."""
        await self._database.write(partial(leases.open_lease, lease, worker, seconds))

    async def exchange(
        self, lease: LeaseId, seq: int, settlements: Sequence[Settlement], wants: Wants
    ) -> Exchange:
        """Apply settlements, then claim."""
        try:
            return await self.apply_exchange(lease, seq, settlements, wants)
        except DataRefused as error:
            guilty = [one.id for one in settlements if not await self._can_hold(lease, one)]
            raise SettlementRefused(guilty or None, str(error)) from error

    async def apply_exchange(
        self, lease: LeaseId, seq: int, settlements: Sequence[Settlement], wants: Wants
    ) -> Exchange:
        """Apply all settlements or none; databases with a faster way have their own."""
        return await self._database.write(
            partial(exchange, lease, seq, settlements, wants, self._rotation)
        )

    async def _can_hold(self, lease: LeaseId, settlement: Settlement) -> bool:
        try:
            with suppress(Rehearsed):
                await self._database.write(partial(rehearse, lease, settlement))
        except DataRefused:
            return False
        return True

    async def renew(self, lease: LeaseId, *, seconds: float) -> Renewal:
        """Let a lease last from now."""
        return await self._database.write(partial(leases.renew, lease, seconds))

    async def close_lease(self, lease: LeaseId) -> None:
        """End a lease and give its jobs back."""
        await self._database.write(partial(leases.close_lease, lease))

    async def maintain(self, policy: MaintenancePolicy) -> Maintenance:
        """Do a bounded piece of what there is to do; nothing is written if there is nothing."""
        pieces = Pieces(policy)
        duties, due_ms, now_ms = await self._database.read(partial(upkeep.survey, policy))
        moved: list[Moved] = []
        pruned = 0
        for duty in duties:
            for size in pieces.of_duty():
                done = await self._database.write(partial(duty, size))
                moved += done.moved
                pruned += done.pruned
                if not done.more:
                    break
        if moved:
            due_ms = await self._database.read(next_due)
        return Maintenance(
            moved=moved, pruned=pruned, more=pieces.more, next_due_ms=due_ms, now_ms=now_ms
        )

    async def get(self, ids: Sequence[JobId]) -> Sequence[Job | None]:
        """Return jobs, finished ones included."""
        return await self._database.read(partial(browse.get, ids)) if ids else []

    async def cancel(self, ids: Sequence[JobId], *, running: bool) -> Sequence[CancelOutcome]:
        """Cancel jobs."""
        if not ids:
            return []
        return await self._database.write(partial(control.cancel, ids, running=running))

    async def find(self, query: JobQuery) -> Page:
        """Return jobs that match, newest first."""
        return await self._database.read(partial(browse.find, query))

    async def count(self) -> QueueCounts:
        """Return how many jobs stand where."""
        return await self._database.read(browse.count)

    async def revive(self, ids: Sequence[JobId]) -> Sequence[Enqueued]:
        """Make finished jobs pending again."""
        return await self._database.write(partial(control.revive, ids)) if ids else []

    async def release_keys(self, keys: Sequence[str]) -> Sequence[bool]:
        """Free keys whatever their rule."""
        return await self._database.write(partial(key_rows.release, keys)) if keys else []

    async def append_events(self, events: Sequence[Event]) -> None:
        """Keep events."""
        if events:
            await self._database.write(partial(event_log.append, events))

    async def read_events(
        self, filters: Mapping[str, str], *, after: str | None, limit: int
    ) -> tuple[Sequence[Event], str | None]:
        """Return events that match, oldest first."""
        script = partial(event_log.read, filters, after, limit, open_ms=self.open_ms)
        return await self._database.read(script)

    async def prune_events(self, *, older_than: float, limit: int) -> int:
        """Remove old events."""
        return await self._database.write(partial(event_log.prune, older_than, limit))
