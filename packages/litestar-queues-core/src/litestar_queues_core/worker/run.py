"""One delivery of a job, while this process holds it."""

from __future__ import annotations

import asyncio
from enum import StrEnum

from litestar_queues_core.context import TaskExecutionContext
from litestar_queues_core.model import Event, Job
from litestar_queues_core.settlements import Settlement


class Stop(StrEnum):
    """Why the code of an attempt was asked to stop."""

    TIMEOUT = "timed out"
    CANCEL = "cancel requested"
    SHUTDOWN = "worker shutting down"
    LOST = "lease lost"


class Run:
    """One delivery of a job.

    Attributes:
        job: The job as it was claimed.
        claimed: When, by the monotonic clock.
        started: When its code started; 0.0 before.
        took: How many seconds its code ran, once it has ended.
        handle: The asyncio task that runs it.
        context: What its code sees.
        stopped: Why it was asked to stop, the first reason first.
        settlement: How it is settled, once decided.
        events: What it published, if history is kept.
        undelivered: Whether an event was lost that strict delivery would have needed.
    """

    __slots__ = (
        "claimed",
        "context",
        "events",
        "handle",
        "job",
        "settlement",
        "started",
        "stopped",
        "took",
        "undelivered",
    )

    def __init__(self, job: Job, claimed: float) -> None:
        self.job = job
        self.claimed = claimed
        self.started = 0.0
        self.took = 0.0
        self.handle: asyncio.Task[None] | None = None
        self.context: TaskExecutionContext | None = None
        self.stopped: Stop | None = None
        self.settlement: Settlement | None = None
        self.events: list[Event] = []
        self.undelivered = False

    @property
    def key(self) -> tuple[str, int]:
        """(id, delivery): the part of the fence that stores answer with."""
        return self.job.id, self.job.delivery

    @property
    def lost(self) -> bool:
        """Whether its lease is dead, so that its outcome is dropped."""
        return self.stopped is Stop.LOST

    def stop(self, reason: Stop) -> None:
        """Ask its code to stop.  A lost lease overrides any reason before."""
        if self.stopped is not None and reason is not Stop.LOST:
            return
        first = self.stopped is None
        self.stopped = reason
        if self.context is not None:
            self.context.stop()
        if first and self.handle is not None and self.settlement is None:
            self.handle.cancel()
