"""Bringing events to their sinks, in batches and beside the work."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

from litestar_queues_core.config import QueueEventConfig
from litestar_queues_core.events import CANCELLED, ENQUEUED, lifecycle_event
from litestar_queues_core.model import Event, Job, NewJob
from litestar_queues_core.protocols import EventSink, Store, SupportsEventLog
from litestar_queues_core.settlements import CancelOutcome, Enqueued

logger = logging.getLogger("litestar_queues.events")

BATCH = 500
BACKLOG = 10_000
PATIENCE = 10.0


class Publisher:
    """Sends events to all sinks; best effort, unless delivery is asked for.

    A sink that fails or is slower than ten seconds loses the batch at hand, which is logged. At
    most 10,000 events wait; beyond that the newest are dropped, and counted.

    Args:
        sinks: Where events go; without any, they go nowhere.
        strict: Whether an attempt waits for the delivery of what it publishes.

    Attributes:
        enabled: Whether anybody listens; if not, nobody should make events.
        dropped: How many events were lost on the way.
    """

    def __init__(self, sinks: Sequence[EventSink], *, strict: bool = False) -> None:
        self.sinks = tuple(sinks)
        self.enabled = bool(self.sinks)
        self.strict = strict and self.enabled
        self.dropped = 0
        self._waiting: list[Event] = []
        self._flusher: asyncio.Task[None] | None = None

    def emit(self, events: Sequence[Event]) -> None:
        """Let *events* be delivered soon."""
        if not self.enabled or not events:
            return
        room = BACKLOG - len(self._waiting)
        self._waiting.extend(events[:room])
        if len(events) > room:
            self._drop(len(events) - room, "more events wait than can be delivered")
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.get_running_loop().create_task(self._flush())

    async def deliver(self, events: Sequence[Event]) -> None:
        """Deliver *events* now, after all that wait.

        Raises:
            Exception: Whatever a sink raised, or ``TimeoutError``.
        """
        await self.drain()
        for sink in self.sinks:
            async with asyncio.timeout(PATIENCE):
                await sink.publish(events)

    async def drain(self) -> None:
        """Return once everything emitted so far is delivered or given up."""
        if self._flusher is not None:
            await asyncio.shield(self._flusher)

    async def _flush(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            for sink in self.sinks:
                try:
                    async with asyncio.timeout(PATIENCE):
                        await sink.publish(batch)
                except Exception as error:  # noqa: BLE001  (a sink must not stop the work)
                    self._drop(len(batch), f"{type(sink).__name__} failed: {error!r}")

    def _drop(self, number: int, reason: str) -> None:
        self.dropped += number
        logger.warning("%d events were not published: %s", number, reason)


class History:
    """The sink that keeps events in the store of their jobs.

    What an attempt says travels with its settlement; this is for all the rest.
    """

    def __init__(self, store: SupportsEventLog) -> None:
        self._store = store

    async def publish(self, events: Sequence[Event]) -> None:
        """Keep *events*."""
        await self._store.append_events(events)


class Announcements:
    """Events that no settlement carries: they go to the sinks, and into the history if one is kept.

    Args:
        publishers: The one of the sinks, and the one of the history.
    """

    def __init__(self, *publishers: Publisher) -> None:
        self._publishers = [one for one in publishers if one.enabled]

    @property
    def enabled(self) -> bool:
        """Whether anybody listens; if not, nobody should make events."""
        return bool(self._publishers)

    def emit(self, events: Sequence[Event]) -> None:
        """Let *events* be delivered soon."""
        for one in self._publishers:
            one.emit(events)

    async def drain(self) -> None:
        """Return once everything emitted so far is delivered or given up."""
        for one in self._publishers:
            await one.drain()


def publishers_of(config: QueueEventConfig | None, store: Store) -> tuple[Publisher, Publisher]:
    """Return the publisher of the sinks and the one of the history, as *config* has them."""
    if config is None or not config.enabled:
        return Publisher(()), Publisher(())
    sinks = Publisher(config.sinks, strict=config.strict)
    if config.history is None or not isinstance(store, SupportsEventLog):
        return sinks, Publisher(())
    return sinks, Publisher([History(store)])


def enqueued(jobs: Sequence[NewJob], answers: Sequence[Enqueued]) -> list[Event]:
    """Return the events that say which jobs were created."""
    now = time.time_ns() // 1_000_000
    return [
        Event(
            job_id=job.id,
            type=ENQUEUED,
            task=job.spec.task,
            queue=job.spec.queue,
            occurred_ms=now,
        )
        for job, answer in zip(jobs, answers, strict=True)
        if answer.created and answer.error is None
    ]


def cancelled(jobs: Sequence[Job | None], outcomes: Sequence[CancelOutcome]) -> list[Event]:
    """Return the events that say which waiting jobs were cancelled."""
    now = time.time_ns() // 1_000_000
    return [
        lifecycle_event(job, CANCELLED, now)
        for job, outcome in zip(jobs, outcomes, strict=True)
        if job is not None and outcome is CancelOutcome.CANCELLED
    ]
