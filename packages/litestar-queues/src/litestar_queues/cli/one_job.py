"""A store that hands out one job and no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import replace

from litestar_queues_core.errors import LeaseLost
from litestar_queues_core.ids import JobId, LeaseId
from litestar_queues_core.model import Job, NewJob, WorkerInfo
from litestar_queues_core.protocols import BackendConfig, LeaseKeeper, Store, SupportsKeeper
from litestar_queues_core.settlements import (
    NOTHING,
    CancelOutcome,
    Enqueued,
    Exchange,
    Kind,
    Maintenance,
    MaintenancePolicy,
    Renewal,
    Settlement,
    Wants,
)


class OneJobStore:
    """Passes everything on to a store, but claims only once, and keeps one of the jobs.

    A store hands jobs out in their order.  What stands before the one that is wanted is given
    back in the next step, as a worker gives back what it has not started.

    Attributes:
        found: Whether the job could be claimed.
        over: Set once it is settled, or could not be claimed, or is lost.
    """

    def __init__(self, store: Store, job_id: JobId) -> None:
        self._store = store
        self._job_id = job_id
        self._looked = False
        self._surplus: tuple[int, Exchange, Sequence[Settlement]] | None = None
        self.found: bool = False
        self.over: asyncio.Event = asyncio.Event()

    async def exchange(
        self, lease: LeaseId, seq: int, settlements: Sequence[Settlement], wants: Wants
    ) -> Exchange:
        """Exchange, with a second exchange behind the one that claims.

        The store sees numbers twice as large, so that there is one for the second.
        """
        try:
            answer = await self._exchange(lease, seq, settlements, wants)
        except LeaseLost:
            self.over.set()
            raise
        self._note(settlements, answer)
        return answer

    async def _exchange(
        self, lease: LeaseId, seq: int, settlements: Sequence[Settlement], wants: Wants
    ) -> Exchange:
        if self._surplus is None or self._surplus[0] != seq:
            asked = NOTHING if self._looked else wants
            answer = await self._store.exchange(lease, 2 * seq, settlements, asked)
            self._looked = self._looked or asked.limit > 0
            others = [job for job in answer.claimed if job.id != self._job_id]
            if not others:
                return answer
            self._surplus = (seq, answer, [_release(job) for job in others])
        _, answer, releases = self._surplus
        await self._store.exchange(lease, 2 * seq + 1, releases, NOTHING)
        return replace(answer, claimed=[one for one in answer.claimed if one.id == self._job_id])

    def _note(self, settlements: Sequence[Settlement], answer: Exchange) -> None:
        self.found = self.found or bool(answer.claimed)
        busy = {job_id for job_id, _ in answer.busy}
        ended = any(
            one.id == self._job_id and one.kind is not Kind.PROGRESS and one.id not in busy
            for one in settlements
        )
        if ended or (self._looked and not self.found):
            self.over.set()

    async def enqueue(self, jobs: Sequence[NewJob]) -> Sequence[Enqueued]:
        """Take *jobs*."""
        return await self._store.enqueue(jobs)

    async def open_lease(self, lease: LeaseId, worker: WorkerInfo, *, seconds: float) -> None:
        """Begin, or go on with, a lease."""
        await self._store.open_lease(lease, worker, seconds=seconds)

    async def renew(self, lease: LeaseId, *, seconds: float) -> Renewal:
        """Let the lease last."""
        renewal = await self._store.renew(lease, seconds=seconds)
        if not renewal.alive:
            self.over.set()
        return renewal

    async def close_lease(self, lease: LeaseId) -> None:
        """End the lease."""
        await self._store.close_lease(lease)

    async def maintain(self, policy: MaintenancePolicy) -> Maintenance:
        """Do a bounded piece of maintenance."""
        return await self._store.maintain(policy)

    async def get(self, ids: Sequence[JobId]) -> Sequence[Job | None]:
        """Return the jobs."""
        return await self._store.get(ids)

    async def cancel(self, ids: Sequence[JobId], *, running: bool) -> Sequence[CancelOutcome]:
        """Cancel jobs."""
        return await self._store.cancel(ids, running=running)


class KeptOneJobStore(OneJobStore):
    """The same, for a store whose leases outlast a blocked event loop."""

    def __init__(self, store: Store, keeper: SupportsKeeper, job_id: JobId) -> None:
        super().__init__(store, job_id)
        self._keeper = keeper

    def keeper(self) -> AbstractContextManager[LeaseKeeper]:
        """Open a connection that keeps the lease."""
        return self._keeper.keeper()


class OneJobBackend:
    """Opens a backend for one job.

    Attributes:
        store: The store, once it is open.
    """

    store: OneJobStore

    def __init__(self, backend: BackendConfig, job_id: JobId) -> None:
        self._backend = backend
        self._job_id = job_id

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[OneJobStore]:
        """Open the store behind, and give one that hands out the one job."""
        async with self._backend.open() as store:
            if isinstance(store, SupportsKeeper):
                self.store = KeptOneJobStore(store, store, self._job_id)
            else:
                self.store = OneJobStore(store, self._job_id)
            yield self.store


def _release(job: Job) -> Settlement:
    return Settlement(id=job.id, delivery=job.delivery, kind=Kind.RELEASE)
