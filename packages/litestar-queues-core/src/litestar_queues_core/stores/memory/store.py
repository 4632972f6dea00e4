"""A store in this process: for tests, for trying things out, for work that may be lost."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from litestar_queues_core.config import whole
from litestar_queues_core.errors import LeaseLost, StaleExchange
from litestar_queues_core.ids import JobId, LeaseId
from litestar_queues_core.model import Event, Job, NewJob, WorkerInfo
from litestar_queues_core.settlements import (
    CancelOutcome,
    Enqueued,
    Exchange,
    JobQuery,
    Maintenance,
    MaintenancePolicy,
    Page,
    QueueCounts,
    Renewal,
    Settlement,
    Wants,
)
from litestar_queues_core.stores.memory import browse
from litestar_queues_core.stores.memory.event_log import EventLog
from litestar_queues_core.stores.memory.exchange import Settling, claim
from litestar_queues_core.stores.memory.jobs import Jobs
from litestar_queues_core.stores.memory.rows import Lease
from litestar_queues_core.stores.memory.upkeep import Upkeep
from litestar_queues_core.stores.signals import Signals


class MemoryStore:
    """Jobs that live as long as this process, in one event loop.

    Args:
        max_events: How many events are kept; the oldest go first.
    """

    def __init__(self, *, max_events: int = 10_000) -> None:
        self._signals = Signals()
        self._jobs = Jobs(self._signals)
        self._leases: dict[LeaseId, Lease] = {}
        self._events = EventLog(max_events)
        self._offset_ms = 0

    def shift_clock(self, delta_ms: int) -> None:
        """Move this store's clock; for tests."""
        self._offset_ms += delta_ms

    async def enqueue(self, jobs: Sequence[NewJob]) -> Sequence[Enqueued]:
        """Take *jobs*."""
        now_ms, take = self._now(), self._jobs.take
        return [take(new, now_ms) for new in jobs]

    async def open_lease(self, lease: LeaseId, worker: WorkerInfo, *, seconds: float) -> None:
        """Begin, or go on with, the lease of a worker process."""
        opened = self._leases.get(lease) or Lease(lease, worker)
        if opened.dead:
            raise LeaseLost(lease)
        self._leases[lease] = opened
        opened.renew(seconds, self._now())

    async def exchange(
        self, lease: LeaseId, seq: int, settlements: Sequence[Settlement], wants: Wants
    ) -> Exchange:
        """Apply *settlements*, then claim what *wants* asks for."""
        now_ms = self._now()
        holder = self._alive(lease)
        if holder.seq is not None and seq < holder.seq:
            raise StaleExchange(lease, seq, holder.seq)
        holder.extend(now_ms)
        if seq == holder.seq:
            claimed = [row.job() for row in holder.held.values()]
        else:
            if settlements:
                Settling(self._jobs, self._events, now_ms).apply(holder, settlements)
            claimed = claim(self._jobs, wants, holder, now_ms) if wants.limit > 0 else []
            if settlements or claimed:
                holder.remember(seq, settled=bool(settlements))
        known = seq == holder.seq
        return Exchange(
            claimed=claimed,
            rejected=holder.rejected if known else (),
            ended=holder.ended if known else (),
            cancelled=holder.cancelled,
            next_due_ms=self._jobs.waiting.next_due_ms,
            now_ms=now_ms,
        )

    async def renew(self, lease: LeaseId, *, seconds: float) -> Renewal:
        """Let the lease last *seconds* from now."""
        holder = self._leases.get(lease)
        if holder is None or holder.dead:
            return Renewal(alive=False)
        holder.renew(seconds, self._now())
        return Renewal(alive=True, cancelled=holder.cancelled)

    async def close_lease(self, lease: LeaseId) -> None:
        """End the lease and give back what it still holds."""
        holder = self._leases.get(lease)
        if holder is not None and not holder.dead:
            del self._leases[lease]
            self._jobs.give_back(holder, self._now())

    async def maintain(self, policy: MaintenancePolicy) -> Maintenance:
        """Promote, rescue, expire, prune, and free keys."""
        return Upkeep(self._jobs, self._leases, policy, self._now()).run()

    async def get(self, ids: Sequence[JobId]) -> Sequence[Job | None]:
        """Return the jobs; ``None`` for those not known."""
        rows = [self._jobs.rows.get(job_id) for job_id in ids]
        return [None if row is None else row.job() for row in rows]

    async def cancel(self, ids: Sequence[JobId], *, running: bool) -> Sequence[CancelOutcome]:
        """Cancel jobs that wait; ask for the end of those that run, if *running*."""
        now_ms = self._now()
        return [self._jobs.cancel(job_id, now_ms, running=running) for job_id in ids]

    async def find(self, query: JobQuery) -> Page:
        """Return jobs that match, newest first; looks at every job at worst."""
        return browse.find(self._jobs, query, self._now())

    async def count(self) -> QueueCounts:
        """Return how many jobs stand where."""
        return browse.count(self._jobs, self._leases.values(), self._now())

    async def revive(self, ids: Sequence[JobId]) -> Sequence[Enqueued]:
        """Make finished jobs ``pending`` again."""
        now_ms = self._now()
        return [self._jobs.revive(job_id, now_ms) for job_id in ids]

    async def release_keys(self, keys: Sequence[str]) -> Sequence[bool]:
        """Free keys whatever their rule; whether each was held."""
        now_ms, held = self._now(), self._jobs.keys
        return [held.holder(key, now_ms) is not None and held.release(key) for key in keys]

    async def wait(self, topics: Collection[str], timeout: float) -> bool:
        """Rest until one of *topics* is raised."""
        return await self._signals.wait(topics, timeout)

    async def notify(self, topics: Collection[str]) -> None:
        """Raise *topics*."""
        self._signals.raise_all(topics)

    async def append_events(self, events: Sequence[Event]) -> None:
        """Keep *events*, each once."""
        self._events.append(events, self._now())

    async def read_events(
        self, filters: Mapping[str, str], *, after: str | None, limit: int
    ) -> tuple[Sequence[Event], str | None]:
        """Return events oldest first, and the cursor to go on from."""
        return self._events.read(filters, after, limit)

    async def prune_events(self, *, older_than: float, limit: int) -> int:
        """Remove at most *limit* events that came more than so many seconds ago."""
        return self._events.prune(self._now() - int(older_than * 1000), limit)

    def _now(self) -> int:
        return time.time_ns() // 1_000_000 + self._offset_ms

    def _alive(self, lease: LeaseId) -> Lease:
        holder = self._leases.get(lease)
        if holder is None or holder.dead:
            raise LeaseLost(lease)
        return holder


@dataclass(kw_only=True, slots=True, eq=False)
class MemoryBackendConfig:
    """Keeps jobs in this process, as long as this object lives.

    Whoever opens one configuration twice sees the same jobs; another configuration is another,
    empty, store.

    Attributes:
        max_events: How many events are kept, if events are kept at all.
    """

    max_events: int = 10_000
    _store: MemoryStore = field(init=False, repr=False)

    def __post_init__(self) -> None:
        whole(self.max_events, "MemoryBackendConfig.max_events", least=1, most=2**40)
        self._store = MemoryStore(max_events=self.max_events)

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[MemoryStore]:
        """Give the store; closing it changes nothing."""
        yield self._store
