"""Bringing events to their sinks, in batches and beside the work."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Sequence
from typing import cast

from litestar_queues_core.config import QueueEventConfig
from litestar_queues_core.discovery import load_sink
from litestar_queues_core.events import CANCELLED, ENQUEUED, lifecycle_event
from litestar_queues_core.model import Event, Job, NewJob
from litestar_queues_core.protocols import EventSink, Store, SupportsEventLog
from litestar_queues_core.settlements import CancelOutcome, Enqueued

logger: logging.Logger = logging.getLogger("litestar_queues.events")

BATCH = 500
BACKLOG = 10_000
PATIENCE = 10.0


class Outlet:
    """One sink, and what waits for it: whatever a sink does, it harms no other.

    Attributes:
        dropped: How many events it did not get.
    """

    def __init__(self, sink: EventSink) -> None:
        self.dropped: int = 0
        self._sink = sink
        self._waiting: list[Event] = []
        self._accepted = 0
        self._handled = 0
        self._drains: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._flusher: asyncio.Task[None] | None = None

    def emit(self, events: Sequence[Event]) -> None:
        """Let *events* be delivered soon."""
        room = BACKLOG - len(self._waiting)
        if len(events) > room:
            self._drop(len(events) - room, "more events wait than can be delivered")
            events = events[:room]
        self._waiting.extend(events)
        self._accepted += len(events)
        self._see_to_it()

    async def deliver(self, events: Sequence[Event]) -> None:
        """Deliver *events* now, after all that wait."""
        await self.drained()
        await self._publish(events)

    def drained(self) -> asyncio.Future[None]:
        """Return what is done once everything emitted so far is delivered or given up."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._drains.append((self._accepted, done))
        self._note(self._handled)
        self._see_to_it()
        return done

    def _see_to_it(self) -> None:
        if self._waiting and (self._flusher is None or self._flusher.done()):
            self._flusher = asyncio.get_running_loop().create_task(self._flush())

    async def _flush(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
                try:
                    await self._publish(batch)
                except TimeoutError:
                    # All at once, so that the end of a worker waits for a silent sink only once.
                    self._give_up("was silent for too long")
                except Exception as error:  # noqa: BLE001  (a sink must not stop the work)
                    self._drop(len(batch), f"failed: {error!r}")
                self._note(self._accepted - len(self._waiting))
        except BaseException:
            self._give_up("was left alone: the event loop ends")
            raise

    async def _publish(self, events: Sequence[Event]) -> None:
        """Let the sink have *events*; what it raises is an ``Exception``."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._sink.publish(events)
        except (Exception, KeyboardInterrupt):
            raise
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and _is_cancelled():
                raise
            raise RuntimeError(f"{type(self._sink).__name__} raised {error!r}") from error

    def _give_up(self, reason: str) -> None:
        self._waiting = []
        self._drop(self._accepted - self._handled, reason)
        self._note(self._accepted)

    def _note(self, handled: int) -> None:
        """Note that so many events are done with, and end the drains that waited for them."""
        self._handled = handled
        while self._drains and self._drains[0][0] <= handled:
            _, done = self._drains.popleft()
            if not done.done():
                done.set_result(None)

    def _drop(self, number: int, reason: str) -> None:
        self.dropped += number
        logger.warning(
            "%d events were not published: %s %s", number, type(self._sink).__name__, reason
        )


class Publisher:
    """Sends events to all sinks; best effort, unless delivery is asked for.

    A sink that fails loses the batch at hand, and one that is silent for ten seconds all that
    waits for it, which is logged.  At most 10,000 events wait for each; beyond that the newest
    are dropped, and counted.

    Args:
        sinks: Where events go; without any, they go nowhere.
        strict: Whether an attempt waits for the delivery of what it publishes.

    Attributes:
        enabled: Whether anybody listens; if not, nobody should make events.
    """

    def __init__(self, sinks: Sequence[EventSink], *, strict: bool = False) -> None:
        self._outlets = [Outlet(sink) for sink in sinks]
        self.enabled: bool = bool(self._outlets)
        self.strict: bool = strict and self.enabled

    @property
    def dropped(self) -> int:
        """How many events were lost on the way, counted for each sink."""
        return sum(one.dropped for one in self._outlets)

    def emit(self, events: Sequence[Event]) -> None:
        """Let *events* be delivered soon."""
        for one in self._outlets:
            one.emit(events)

    async def deliver(self, events: Sequence[Event]) -> None:
        """Deliver *events* now, after all that wait.

        Raises:
            Exception: Whatever a sink raised, or ``TimeoutError``.
        """
        for one in self._outlets:
            await one.deliver(events)

    async def drain(self) -> None:
        """Return once everything emitted before this call is delivered or given up."""
        for done in self.drained():
            await done

    def drained(self) -> list[asyncio.Future[None]]:
        """Return what is done, for each sink, once all emitted so far is delivered or given up."""
        return [one.drained() for one in self._outlets]


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
        """Return once everything emitted before this call is delivered or given up."""
        for done in [done for one in self._publishers for done in one.drained()]:
            await done


def publishers_of(config: QueueEventConfig | None, store: Store) -> tuple[Publisher, Publisher]:
    """Return the publisher of the sinks and the one of the history, as *config* has them.

    Raises:
        UnknownBackendError: A sink is named, and nothing installed has that name.
    """
    if config is None or not config.enabled:
        return Publisher(()), Publisher(())
    sinks = Publisher([_sink(one) for one in config.sinks], strict=config.strict)
    if config.history is None or not isinstance(store, SupportsEventLog):
        return sinks, Publisher(())
    return sinks, Publisher([History(store)])


def _sink(choice: EventSink | str) -> EventSink:
    return cast(EventSink, load_sink(choice)()) if isinstance(choice, str) else choice


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


def _is_cancelled() -> bool:
    """Return whether the running task was asked to stop, by whoever may."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
