"""Everything that one worker process holds under its lease."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence

from litestar_queues_core.lanes import is_suspect
from litestar_queues_core.loop import now
from litestar_queues_core.model import Job
from litestar_queues_core.worker.run import Run, Stop

BATCH = 500
LOST = Stop.LOST
SUSPECT_TIME = 5.0


class Holdings:
    """The jobs of one process: waiting here, running, or settled and not yet acknowledged.

    Attributes:
        held: All of them by id.
        buffer: Claimed, and not started.
        running: Those whose code runs, in the order in which they began.
        outbox: Settled, in the order in which they ended.
        completed: (id, delivery) of those that have completed themselves while an exchange is in
            flight, which may still find them held.
        progress: The latest progress of running jobs that the store does not have yet.
        suspect: The suspect that has the process's single place for suspects.
        wake: Set when there is something to tell the store, or room for more.
        closing: Whether somebody waits for the end of all.
        changed: Set while closing, when a run has ended or was let go.
        mean: Mean duration of a run in seconds, weighted towards the latest.
        taken: How many jobs it was given in all.
        finished: How many runs have ended.
    """

    def __init__(self) -> None:
        self.held: dict[str, Run] = {}
        self.buffer: deque[Run] = deque()
        self.running: dict[Run, None] = {}
        self.outbox: deque[Run] = deque()
        self.completed: set[tuple[str, int]] = set()
        self.progress: dict[Run, bytes] = {}
        self.suspect: Run | None = None
        self.wake: asyncio.Event = asyncio.Event()
        self.closing: bool = False
        self.changed: asyncio.Event = asyncio.Event()
        self.mean: float | None = None
        self.taken: int = 0
        self.finished: int = 0

    def take(self, jobs: Iterable[Job]) -> int:
        """Take claimed jobs; return how many were new.

        One that is known with this very delivery is the answer to a question asked twice.
        """
        moment, before = now(), self.taken
        for job in jobs:
            known = self.held.get(job.id)
            if known is not None and known.job.delivery == job.delivery:
                continue
            if self.completed and (job.id, job.delivery) in self.completed:
                continue
            run = self.held[job.id] = Run(job, moment)
            self.taken += 1
            if is_suspect(job.lane):
                self.suspect = run
                self.buffer.appendleft(run)
            else:
                self.buffer.append(run)
        return self.taken - before

    def begin(self, run: Run, moment: float) -> None:
        """Note that the code of *run* starts, as the loop's clock shows *moment*."""
        run.started = moment
        self.running[run] = None

    def end(self, run: Run, moment: float) -> None:
        """Note that *run*'s code has stopped at *moment*, and that its settlement is decided."""
        self.running.pop(run, None)
        self.finished += 1
        if run.started:
            took = run.took = moment - run.started
            self.mean = took if self.mean is None else self.mean + (took - self.mean) / 16
        if self.suspect is run:
            self.suspect = None
        if run.stopped is not LOST and not run.committed:
            self.outbox.append(run)
        if len(self.outbox) <= 1:
            self.wake.set()
        if self.closing:
            self.changed.set()

    def settle(self, run: Run) -> None:
        """Let a run whose code never started be settled."""
        self.outbox.append(run)
        if self.suspect is run:
            self.suspect = None
        self.wake.set()

    def batch(self, limit: int) -> list[Run]:
        """Take the next runs to settle."""
        size = min(limit, len(self.outbox))
        return [self.outbox.popleft() for _ in range(size)]

    def untake(self, batch: Sequence[Run]) -> None:
        """Put a batch back to where it was taken from, because nothing came of it."""
        self.outbox.extendleft(reversed(batch))

    def forget(self, run: Run) -> None:
        """Let go of a run that the store has settled, or given to somebody else."""
        if self.held.get(run.job.id) is run:
            del self.held[run.job.id]
            if self.closing:
                self.changed.set()

    def complete(self, run: Run) -> None:
        """Let go of a run whose code has completed its job itself, and may go on."""
        self.completed.add(run.key)
        self.forget(run)

    def stale(self, age: float) -> list[Run]:
        """Take the jobs out of the buffer that have waited there for *age* seconds."""
        limit = now() - age
        stale = [run for run in self.buffer if run.claimed <= limit]
        for run in stale:
            self.buffer.remove(run)
        return stale

    def suspect_place(self) -> bool:
        """Return whether one more suspect may run here.

        The place is free again once the suspect has ended, or has run for five seconds.
        """
        run = self.suspect
        if run is None:
            return True
        return bool(run.started) and now() - run.started >= SUSPECT_TIME

    @property
    def empty(self) -> bool:
        """Whether this process holds nothing at all."""
        return not (self.held or self.running or self.outbox)
