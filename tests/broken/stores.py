"""Stores that each break one promise.  Whatever tests stores must catch every one of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from litestar_queues_core.ids import JobId, LeaseId
from litestar_queues_core.model import KeyRule, NewJob, Status
from litestar_queues_core.settlements import (
    CancelOutcome,
    Exchange,
    Kind,
    Maintenance,
    MaintenancePolicy,
    Settlement,
    Wants,
)
from litestar_queues_core.stores.memory import MemoryStore
from litestar_queues_core.stores.memory.keys import Holder, Keys
from litestar_queues_core.stores.memory.rows import Lease, Row


class BrokenStore(MemoryStore):
    """A memory store with ways to reach into it."""

    @classmethod
    @asynccontextmanager
    async def fresh(cls) -> AsyncGenerator[BrokenStore]:
        """Give a new store of this kind."""
        yield cls()

    def held(self, lease: LeaseId) -> dict[JobId, Row]:
        """Return what a lease holds."""
        holder = self._leases.get(lease)
        return {} if holder is None else holder.held


class ForgetsTheDelivery(BrokenStore):
    """Settles the delivery at hand, whichever is named."""

    async def exchange(
        self, lease: LeaseId, seq: int, settlements: Sequence[Settlement], wants: Wants
    ) -> Exchange:
        held = self.held(lease)
        careless = [
            replace(one, delivery=held[one.id].delivery) if one.id in held else one
            for one in settlements
        ]
        return await super().exchange(lease, seq, careless, wants)


class ForgetsTheLease(BrokenStore):
    """Settles jobs that another lease holds."""

    async def exchange(
        self, lease: LeaseId, seq: int, settlements: Sequence[Settlement], wants: Wants
    ) -> Exchange:
        mine = self._leases.get(lease)
        for one in settlements:
            row = self._jobs.rows.get(one.id)
            if mine is not None and row is not None and row.delivery == one.delivery:
                self._move(row, mine)
        return await super().exchange(lease, seq, settlements, wants)

    def _move(self, row: Row, lease: Lease) -> None:
        if row.lease is not None and not lease.dead:
            del row.lease.held[row.id]
            row.lease = lease
            lease.held[row.id] = row


class ReplaysSettlements(BrokenStore):
    """Applies an exchange again that comes again."""

    async def exchange(
        self, lease: LeaseId, seq: int, settlements: Sequence[Settlement], wants: Wants
    ) -> Exchange:
        holder = self._leases.get(lease)
        if holder is not None and holder.seq == seq:
            holder.seq = None
        return await super().exchange(lease, seq, settlements, wants)


class PopsBeforeLeasing(BrokenStore):
    """Hands jobs out without noting who holds them."""

    async def exchange(
        self, lease: LeaseId, seq: int, settlements: Sequence[Settlement], wants: Wants
    ) -> Exchange:
        answer = await super().exchange(lease, seq, settlements, wants)
        for job in answer.claimed:
            self.held(lease).pop(job.id, None)
            self._jobs.rows[job.id].lease = None
        return answer


class LosesAnAnswer(BrokenStore):
    """Gives the jobs of a lost answer to nobody."""

    async def exchange(
        self, lease: LeaseId, seq: int, settlements: Sequence[Settlement], wants: Wants
    ) -> Exchange:
        holder = self._leases.get(lease)
        replays = holder is not None and holder.seq == seq
        answer = await super().exchange(lease, seq, settlements, wants)
        return replace(answer, claimed=[]) if replays else answer


class RescuesLiveLeases(BrokenStore):
    """Takes whoever holds jobs for dead."""

    async def maintain(self, policy: MaintenancePolicy) -> Maintenance:
        for lease in self._leases.values():
            if lease.held and policy.rescue:
                lease.expires_ms = 0
        return await super().maintain(policy)


class RescuesHalfALease(BrokenStore):
    """Gives a dead lease's jobs back one by one, and lets it settle the rest meanwhile."""

    async def maintain(self, policy: MaintenancePolicy) -> Maintenance:
        done = await super().maintain(replace(policy, limit=1))
        for lease in self._leases.values():
            lease.dead = lease.dead and not lease.held
        return done


class LetsARetryWin(BrokenStore):
    """Forgets a requested cancel when the job is retried."""

    async def exchange(
        self, lease: LeaseId, seq: int, settlements: Sequence[Settlement], wants: Wants
    ) -> Exchange:
        held = self.held(lease)
        for one in settlements:
            if one.kind is Kind.RETRY and one.id in held:
                held[one.id].cancel_requested = False
        return await super().exchange(lease, seq, settlements, wants)


class PromotesTwice(BrokenStore):
    """Lets a job wait a second time that was promoted before, though it may run by now."""

    def __init__(self) -> None:
        super().__init__()
        self._promoted: list[JobId] = []

    async def maintain(self, policy: MaintenancePolicy) -> Maintenance:
        done = await super().maintain(policy)
        for job_id in self._promoted:
            row = self._jobs.rows.get(job_id)
            if row is not None and row.lease is not None:
                self._jobs.wait(row, row.due_ms, row.lane, self._now())
        self._promoted = [one.id for one in done.moved if one.old is Status.SCHEDULED]
        return done


class _OpenKeys(Keys):
    def acquire(self, rule: KeyRule, new: NewJob, now_ms: int) -> Holder | None:
        self.release(rule.key)
        return super().acquire(rule, new, now_ms)


class IgnoresAKey(BrokenStore):
    """Gives a key to whoever asks last."""

    def __init__(self) -> None:
        super().__init__()
        self._jobs.keys = _OpenKeys()


class _LooseKeys(Keys):
    def _free(self, key: str, job_id: JobId) -> None:
        self.release(key)


class FreesAKeyTwice(BrokenStore):
    """Frees a key at the start of a job and at its end, when another job may hold it."""

    def __init__(self) -> None:
        super().__init__()
        self._jobs.keys = _LooseKeys()


class DropsFollowUps(BrokenStore):
    """Settles, and forgets what should follow."""

    async def exchange(
        self, lease: LeaseId, seq: int, settlements: Sequence[Settlement], wants: Wants
    ) -> Exchange:
        bare = [replace(one, follow_ups=()) for one in settlements]
        return await super().exchange(lease, seq, bare, wants)


class ReusesADelivery(BrokenStore):
    """Hands a released job out under the number it had before."""

    async def exchange(
        self, lease: LeaseId, seq: int, settlements: Sequence[Settlement], wants: Wants
    ) -> Exchange:
        held = self.held(lease)
        released = [
            held[one.id] for one in settlements if one.kind is Kind.RELEASE and one.id in held
        ]
        for row in released:
            row.delivery -= 1
        lower = {row.id: row.delivery for row in released}
        renamed = [
            replace(one, delivery=lower[one.id])
            if one.id in lower and one.delivery == lower[one.id] + 1
            else one
            for one in settlements
        ]
        return await super().exchange(lease, seq, renamed, wants)


class LosesWhatALeaseHeld(BrokenStore):
    """Closes a lease and leaves its jobs running for ever."""

    async def close_lease(self, lease: LeaseId) -> None:
        self.held(lease).clear()
        await super().close_lease(lease)


class ForgetsAtOnce(BrokenStore):
    """Prunes what has only just ended."""

    async def maintain(self, policy: MaintenancePolicy) -> Maintenance:
        done = await super().maintain(policy)
        ended = [row for row in self._jobs.rows.values() if row.finished_ms is not None]
        for row in ended:
            self._jobs.history.remove(row)
            del self._jobs.rows[row.id]
        return replace(done, pruned=done.pruned + len(ended))


class CancelsInVain(BrokenStore):
    """Says that it has asked a running job to stop, and does not ask."""

    async def cancel(self, ids: Sequence[JobId], *, running: bool) -> Sequence[CancelOutcome]:
        outcomes = await super().cancel(ids, running=running)
        for job_id in ids:
            row = self._jobs.rows.get(job_id)
            if row is not None:
                row.cancel_requested = False
        return outcomes


class SkipsTheQueue(BrokenStore):
    """Hands out first what came last."""

    async def exchange(
        self, lease: LeaseId, seq: int, settlements: Sequence[Settlement], wants: Wants
    ) -> Exchange:
        answer = await super().exchange(lease, seq, settlements, wants)
        return replace(answer, claimed=list(reversed(answer.claimed)))


class WritesOffPutBacks(BrokenStore):
    """Counts a put-back as a failed attempt."""

    async def exchange(
        self, lease: LeaseId, seq: int, settlements: Sequence[Settlement], wants: Wants
    ) -> Exchange:
        counted = [
            replace(one, kind=Kind.RETRY) if one.kind is Kind.PUT_BACK else one
            for one in settlements
        ]
        return await super().exchange(lease, seq, counted, wants)


class AnnouncesTheWrongEnd(BrokenStore):
    """Keeps the closing event of a settlement that the cancel rule turned into another end."""

    async def exchange(
        self, lease: LeaseId, seq: int, settlements: Sequence[Settlement], wants: Wants
    ) -> Exchange:
        certain = [replace(one, closing_if_cancelled=one.closing) for one in settlements]
        return await super().exchange(lease, seq, certain, wants)
