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


FINAL = (Stop.SHUTDOWN, Stop.LOST)


class Run:
    """One delivery of a job.

    Attributes:
        job: The job as it was claimed.
        claimed: When, by the monotonic clock.
        started: When its code started; 0.0 before.
        took: How many seconds its code ran, once it has ended.
        handle: The asyncio task that runs it.
        context: What its code sees.
        entered: Whether the asyncio task has begun, so that it can be interrupted.
        ended: Whether its code has stopped, so that nothing it says counts any more.
        stopped: Why it was asked to stop: the first reason, unless the lease was lost.
        settlement: How it is settled, once decided.
        committed: Whether its code has settled it, in a transaction of its own.
        doubtful: How it has settled itself, perhaps: it is not known whether that was committed.
        progress: What its code has said last of how far it is, encoded.
        replaced: Whether that stands in for one that the store has refused.
        events: What it published, if history is kept.
        undelivered: Whether an event was lost that strict delivery would have needed.
    """

    # Defaults of the class: one is made per job, and few of these ever change.
    started: float = 0.0
    took: float = 0.0
    handle: asyncio.Task[None] | None = None
    context: TaskExecutionContext | None = None
    entered: bool = False
    ended: bool = False
    stopped: Stop | None = None
    _reasons: tuple[Stop, ...] = ()
    settlement: Settlement | None = None
    committed: bool = False
    doubtful: Settlement | None = None
    progress: bytes | None = None
    replaced: bool = False
    events: list[Event] | None = None
    undelivered: bool = False

    def __init__(self, job: Job, claimed: float) -> None:
        self.job: Job = job
        self.claimed: float = claimed

    @property
    def key(self) -> tuple[str, int]:
        """(id, delivery): the part of the fence that stores answer with."""
        return self.job.id, self.job.delivery

    @property
    def lost(self) -> bool:
        """Whether its lease is dead, so that its outcome is dropped."""
        return self.stopped is Stop.LOST

    def stop(self, reason: Stop) -> None:
        """Ask its code to stop.

        Each reason interrupts once, so that code that has ignored one hears of the next.  Once
        the code has ended, only hooks are left to interrupt, and what it came to stands, unless
        the lease is lost.
        """
        if reason in self._reasons or (self.ended and reason not in FINAL):
            return
        self._reasons += (reason,)
        if reason is Stop.LOST or (self.stopped is None and not self.ended):
            self.stopped = reason
        if self.context is not None:
            self.context.stop()
        if self.entered and self.handle is not None and self.settlement is None:
            self.handle.cancel()
