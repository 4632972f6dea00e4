"""What every worker does for the whole queue, about once a second."""

from __future__ import annotations

import asyncio
import logging
import random
import time

from litestar_queues_core.asking import ask
from litestar_queues_core.config import EventHistoryConfig, seconds
from litestar_queues_core.events import CANCELLED, EXPIRED, FAILED, RESCUED
from litestar_queues_core.loop import now
from litestar_queues_core.model import Event, Retention, Status
from litestar_queues_core.protocols import Store, SupportsEventLog
from litestar_queues_core.publishing import Announcements
from litestar_queues_core.settlements import MaintenancePolicy, Moved
from litestar_queues_core.worker.keeper import Lease

logger: logging.Logger = logging.getLogger("litestar_queues.worker")

EVERY = 1.0
EVENTS = 1000
EVENTS_EVERY = 60.0
SOONEST = 0.001
NEVER = float("inf")


class MaintenanceService:
    """Promotes, rescues, expires and prunes in bounded pieces.

    Nobody is elected: the store makes each piece atomic, and a piece that another process
    has done is found done.

    Attributes:
        wake: Ends its rest.
    """

    def __init__(
        self,
        store: Store,
        lease: Lease,
        announcements: Announcements,
        retention: Retention,
        *,
        worker: str,
        history: EventHistoryConfig | None = None,
    ) -> None:
        self._store = store
        self._lease = lease
        self._announcements = announcements
        self._retention = retention
        self._worker = worker
        self._history = history
        self._next_pruning = 0.0
        self._next = 0.0
        self._due = NEVER
        self.wake: asyncio.Event = asyncio.Event()

    async def poll(self) -> float:
        """Do one piece, if it is time; return the seconds until the next."""
        if now() >= min(self._next, self._due):
            self._due = NEVER
            if await self.work():
                return 0.0
            self._next = now() + EVERY * random.uniform(0.8, 1.2)  # noqa: S311
        return max(SOONEST, min(self._next, self._due) - now())

    def due_in(self, seconds: float) -> None:
        """Come back in *seconds*, because a scheduled job falls due then."""
        due = now() + max(0.0, seconds)
        if due < min(self._due, self._next) - SOONEST:
            self._due = due
            self.wake.set()

    async def work(self) -> bool:
        """Do one piece; return whether there is more to do now."""
        policy = MaintenancePolicy(rescue=self._lease.may_rescue, retention=self._retention)
        result = await ask(self._store.maintain(policy))
        if result.next_due_ms is not None:
            self.due_in((result.next_due_ms - result.now_ms) / 1000)
        for one in result.moved:
            self._tell(one)
        return await self._prune_events() or result.more

    async def _prune_events(self) -> bool:
        """Once a minute, remove events that are too old; return whether there are more."""
        due = now() >= self._next_pruning
        if self._history is None or not due or not isinstance(self._store, SupportsEventLog):
            return False
        age = seconds(self._history.max_age, "EventHistoryConfig.max_age")
        # Set before: a log that cannot be pruned holds up the rest only once a minute.
        self._next_pruning = now() + EVENTS_EVERY
        pruned = await ask(self._store.prune_events(older_than=age, limit=EVENTS))
        if pruned < EVENTS:
            return False
        self._next_pruning = now()
        return True

    def _tell(self, moved: Moved) -> None:
        if moved.old in (Status.RUNNING, Status.DISPATCHED):
            logger.warning(
                "%s %s: rescued from a dead worker, now %s", moved.task, moved.id, moved.new
            )
        if not self._announcements.enabled:
            return
        moment = time.time_ns() // 1_000_000
        self._announcements.emit(
            [
                Event(
                    job_id=moved.id,
                    type=type_,
                    task=moved.task,
                    queue=moved.queue,
                    occurred_ms=moment,
                    worker=self._worker,
                    sequence=moment + number,
                )
                for number, type_ in enumerate(_types(moved))
            ]
        )


def _types(moved: Moved) -> list[str]:
    if moved.new is Status.EXPIRED:
        return [EXPIRED]
    if moved.old not in (Status.RUNNING, Status.DISPATCHED):
        return []
    ending = {Status.CANCELLED: [CANCELLED], Status.FAILED: [FAILED]}
    return [RESCUED, *ending.get(moved.new, [])]
