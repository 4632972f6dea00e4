"""The store: each method is one change of the journal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from journal_queue.changes import created, ended, settled
from journal_queue.claims import claim
from journal_queue.journal import Journal
from journal_queue.state import Draft, LeaseRow
from journal_queue.upkeep import maintain
from litestar_queues_core import CancelOutcome, Job, LeaseLost, Status
from litestar_queues_core.errors import StaleExchange, StoreUnavailable
from litestar_queues_core.ids import JobId, LeaseId
from litestar_queues_core.lifecycle import TRANSITIONS
from litestar_queues_core.model import NewJob, WorkerInfo
from litestar_queues_core.settlements import (
    Enqueued,
    Exchange,
    Kind,
    Maintenance,
    MaintenancePolicy,
    Renewal,
    Settlement,
    Wants,
)

T = TypeVar("T")

EXTEND_MS = 1000


class JournalStore:
    """Satisfies ``Store`` and nothing beyond it.

    Args:
        journal: The file.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._offset_ms = 0

    def shift_clock(self, delta_ms: int) -> None:
        """Let the tests of the kit move the clock."""
        self._offset_ms += delta_ms

    async def enqueue(self, jobs: Sequence[NewJob]) -> Sequence[Enqueued]:
        """Add those that are not known yet."""
        return await self._change(lambda draft: self._enqueue(draft, jobs))

    async def open_lease(self, lease: LeaseId, worker: WorkerInfo, *, seconds: float) -> None:
        """Begin a lease, or let it last longer."""

        def open_(draft: Draft) -> None:
            expires_ms = self._now_ms() + round(seconds * 1000)
            row = draft.lease(lease)
            if row is not None and row.dead:
                raise LeaseLost(lease)
            row = row or LeaseRow(worker.name, seconds, expires_ms)
            draft.put_lease(lease, row, seconds=seconds, expires_ms=expires_ms)

        await self._change(open_)

    async def exchange(
        self, lease: LeaseId, seq: int, settlements: Sequence[Settlement], wants: Wants
    ) -> Exchange:
        """Settle, then claim, in one line of the journal."""
        return await self._change(
            lambda draft: self._exchange(draft, lease, seq, settlements, wants)
        )

    async def renew(self, lease: LeaseId, *, seconds: float) -> Renewal:
        """Let a lease last longer."""

        def extend(draft: Draft) -> Renewal:
            row = draft.lease(lease)
            if row is None or row.dead:
                return Renewal(alive=False)
            expires_ms = self._now_ms() + round(seconds * 1000)
            draft.put_lease(lease, row, seconds=seconds, expires_ms=expires_ms)
            return Renewal(alive=True, cancelled=_requested(draft, lease))

        return await self._change(extend)

    async def close_lease(self, lease: LeaseId) -> None:
        """Give back what the lease holds, and forget it."""

        def close(draft: Draft) -> None:
            row = draft.lease(lease)
            if row is None or row.dead:
                return
            for entry in draft.held(lease):
                job = entry.job
                release = Settlement(id=job.id, delivery=job.delivery, kind=Kind.RELEASE)
                draft.put(settled(job, release, self._now_ms()))
            draft.drop_lease(lease)

        await self._change(close)

    async def maintain(self, policy: MaintenancePolicy) -> Maintenance:
        """Promote, rescue, expire and prune."""
        return await self._change(lambda draft: maintain(draft, policy, self._now_ms()))

    async def get(self, ids: Sequence[JobId]) -> Sequence[Job | None]:
        """Look jobs up."""

        def look(draft: Draft) -> list[Job | None]:
            entries = [draft.job(job_id) for job_id in ids]
            return [None if entry is None else entry.job for entry in entries]

        return await self._change(look)

    async def cancel(self, ids: Sequence[JobId], *, running: bool) -> Sequence[CancelOutcome]:
        """Cancel what waits; ask what runs to stop."""
        return await self._change(
            lambda draft: [self._cancel(draft, job_id, running=running) for job_id in ids]
        )

    async def _change(self, operation: Callable[[Draft], T]) -> T:
        try:
            return await asyncio.to_thread(self._journal.change, operation)
        except OSError as error:
            raise StoreUnavailable(f"the journal cannot be used: {error}") from error

    def _now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self._offset_ms

    def _enqueue(self, draft: Draft, jobs: Sequence[NewJob]) -> list[Enqueued]:
        answers: list[Enqueued] = []
        now_ms = self._now_ms()
        for new in jobs:
            known = draft.job(new.id)
            job = created(new, now_ms) if known is None else known.job
            if known is None:
                draft.put(job)
            answers.append(Enqueued(id=job.id, status=job.status))
        return answers

    def _exchange(
        self,
        draft: Draft,
        lease: LeaseId,
        seq: int,
        settlements: Sequence[Settlement],
        wants: Wants,
    ) -> Exchange:
        now_ms = self._now_ms()
        row = draft.lease(lease)
        if row is None or row.dead:
            raise LeaseLost(lease)
        if seq < row.last_seq:
            raise StaleExchange(lease, seq, row.last_seq)
        jobs: list[Job] = []
        if seq > row.last_seq:
            lists = self._settle(draft, lease, settlements)
            jobs = claim(draft, lease, wants, worker=row.worker, seq=seq, now_ms=now_ms)
            if settlements or jobs:
                row = draft.put_lease(lease, row, last_seq=seq, **lists)
            else:
                row = replace(row, rejected=(), ended=())
        else:
            jobs = [entry.job for entry in draft.held(lease)]
        expires_ms = now_ms + round(row.seconds * 1000)
        if expires_ms - row.expires_ms >= EXTEND_MS:
            draft.put_lease(lease, draft.lease(lease) or row, expires_ms=expires_ms)
        return Exchange(
            claimed=jobs,
            rejected=[(JobId(job_id), delivery) for job_id, delivery in row.rejected],
            ended=[(JobId(job_id), delivery) for job_id, delivery in row.ended],
            cancelled=_requested(draft, lease),
            next_due_ms=next_due(draft),
            now_ms=now_ms,
        )

    def _settle(
        self, draft: Draft, lease: str, settlements: Sequence[Settlement]
    ) -> dict[str, tuple[tuple[str, int], ...]]:
        rejected: list[tuple[str, int]] = []
        ended_: list[tuple[str, int]] = []
        for one in settlements:
            entry = draft.job(one.id)
            if entry is None or (entry.lease, entry.job.delivery) != (lease, one.delivery):
                rejected.append((one.id, one.delivery))
                continue
            job = settled(entry.job, one, self._now_ms())
            draft.put(job, lease if job.status is Status.RUNNING else None)
            if job.status is Status.CANCELLED and TRANSITIONS[one.kind].waits:
                ended_.append((one.id, one.delivery))
            else:
                self._enqueue(draft, one.follow_ups)
        return {"rejected": tuple(rejected), "ended": tuple(ended_)}

    def _cancel(self, draft: Draft, job_id: JobId, *, running: bool) -> CancelOutcome:
        entry = draft.job(job_id)
        if entry is None:
            return CancelOutcome.NOT_FOUND
        job = entry.job
        if job.status.finished:
            return CancelOutcome.ALREADY_FINISHED
        if entry.lease is None:
            draft.put(ended(job, Status.CANCELLED, self._now_ms()))
            return CancelOutcome.CANCELLED
        if not running:
            return CancelOutcome.NOT_WAITING
        draft.put(replace(job, details=replace(job.details, cancel_requested=True)), entry.lease)
        return CancelOutcome.REQUESTED


def _requested(draft: Draft, lease: str) -> list[JobId]:
    return [e.job.id for e in draft.held(lease) if e.job.details.cancel_requested]


def next_due(draft: Draft) -> int | None:
    """Return when the earliest scheduled job falls due."""
    due = [e.job.due_ms for e in draft.jobs() if e.job.status is Status.SCHEDULED]
    return min(due, default=None)
