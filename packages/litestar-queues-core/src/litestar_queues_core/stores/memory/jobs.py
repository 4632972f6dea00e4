"""All jobs of a memory store, and every change they undergo."""

from __future__ import annotations

from itertools import count

from litestar_queues_core.errors import JobError, KeyConflictError, ResultExpired
from litestar_queues_core.ids import JobId
from litestar_queues_core.lanes import ordinary
from litestar_queues_core.model import Job, JobDetails, NewJob, Retention, Status
from litestar_queues_core.settlements import CancelOutcome, Enqueued
from litestar_queues_core.stores.memory.history import History
from litestar_queues_core.stores.memory.keys import Holder, Keys
from litestar_queues_core.stores.memory.rows import Lease, Row
from litestar_queues_core.stores.memory.waiting import Waiting
from litestar_queues_core.stores.signals import Signals

SOON_MS = 10_000
"""A job due within this time is announced as if it were due: whoever rests may rest so long."""

_PENDING, _SCHEDULED, _RUNNING = Status.PENDING, Status.SCHEDULED, Status.RUNNING
_CANCELLED = Status.CANCELLED


class Jobs:
    """The jobs, and all that must change together with them.

    No method waits, so each takes effect in one step.

    Attributes:
        rows: Every job that is known, oldest first.
        waiting: Those that wait.
        history: Those that have ended.
        keys: Who holds which uniqueness key.
        signals: Who waits for a change.
    """

    __slots__ = ("_numbers", "history", "keys", "rows", "signals", "waiting")

    def __init__(self, signals: Signals) -> None:
        self.rows: dict[str, Row] = {}
        self.waiting: Waiting = Waiting()
        self.history: History = History()
        self.keys: Keys = Keys()
        self.signals: Signals = signals
        self._numbers = count(1)

    def take(self, new: NewJob, now_ms: int) -> Enqueued:
        """Take a new job, unless its id is known or its key held."""
        row = self.rows.get(new.id)
        if row is None:
            if new.key is not None:
                holder = self.keys.acquire(new.key, new, now_ms)
                if holder is not None:
                    return self._held(new, new.key.key, holder)
            row = self.rows[new.id] = Row(new, next(self._numbers), now_ms)
            self._place(row, now_ms)
        if row.due_ms > now_ms:
            return Enqueued(new.id, True, _SCHEDULED)
        return Enqueued(new.id)

    def wait(self, row: Row, due_ms: int, lane: str, now_ms: int) -> None:
        """Let a job wait that ran, or stood elsewhere."""
        _let_go(row)
        row.due_ms, row.lane = due_ms, lane
        self._place(row, now_ms)

    def finish(self, row: Row, status: Status, now_ms: int) -> None:
        """End a job that runs, or one that has been taken out of its line."""
        _let_go(row)
        row.status = status
        row.finished_ms = now_ms
        self.history.add(row)
        if row.new.key is not None:
            self.keys.finished(row.new.key, row.id)
        if self.signals.waiting:
            self.signals.raise_all((f"job:{row.id}",))

    def hand_out(self, lane: str, limit: int, lease: Lease, now_ms: int) -> list[Job]:
        """Claim at most *limit* jobs of a lane in which some wait."""
        rows, line, claimed = self.rows, self.waiting.lanes[lane], list[Job]()
        details = None
        while len(claimed) < limit and (name := line.pop()) is not None:
            row = rows[name]
            if row.expires_ms is not None:
                if row.expires_ms <= now_ms:
                    continue  # it is still among those that expire, and maintenance will end it
                self.waiting.expiring.discard(row.id)
            if row.new.key is not None:
                self.keys.started(row.new.key, row.id)
            row.status = _RUNNING
            row.delivery += 1
            row.started_ms = now_ms
            row.worker = lease.worker.name
            row.lease = lease
            lease.held[row.id] = row
            details = _details(row, details)
            claimed.append(row.job(details))
        self.waiting.served(lane)
        return claimed

    def promote(self, now_ms: int, limit: int) -> list[Row]:
        """Let at most *limit* scheduled jobs that are due wait in their lanes; return them."""
        due = [self.rows[name] for name in self.waiting.scheduled.pop_due(now_ms, limit)]
        for row in due:
            self.waiting.remove(row)
            self.wait(row, row.due_ms, row.lane, now_ms)
        return due

    def cancel(self, job_id: JobId, now_ms: int, *, running: bool) -> CancelOutcome:
        """Cancel a job, or ask for it."""
        row = self.rows.get(job_id)
        if row is None:
            return CancelOutcome.NOT_FOUND
        if row.finished_ms is not None:
            return CancelOutcome.ALREADY_FINISHED
        if row.lease is None:
            self.waiting.remove(row)
            self.finish(row, _CANCELLED, now_ms)
            return CancelOutcome.CANCELLED
        if not running:
            return CancelOutcome.NOT_WAITING
        row.cancel_requested = True
        self.signals.raise_all((f"lease:{row.lease.id}",))
        return CancelOutcome.REQUESTED

    def revive(self, job_id: JobId, now_ms: int) -> Enqueued:
        """Let a finished job begin anew."""
        row = self.rows.get(job_id)
        if row is None:
            return _refused(job_id, ResultExpired(job_id))
        if row.finished_ms is None:
            return _refused(job_id, JobError(job_id, f"job {job_id} is {row.status}, not finished"))
        if row.new.key is not None:
            holder = self.keys.acquire(row.new.key, row.new, now_ms)
            if holder is not None:
                return self._held(row.new, row.new.key.key, holder)
        self.history.remove(row)
        row.attempt = row.rescues = row.put_backs = 0
        row.cancel_requested = False
        row.expires_ms = row.finished_ms = row.result = None
        self.wait(row, now_ms, ordinary(row.lane), now_ms)
        return Enqueued(id=job_id)

    def give_back(self, lease: Lease, now_ms: int) -> None:
        """Let all jobs of a lease wait where they waited; cancel beats waiting."""
        for row in list(lease.held.values()):
            if row.cancel_requested:
                self.finish(row, _CANCELLED, now_ms)
            else:
                self.wait(row, row.due_ms, row.lane, now_ms)

    def prune(self, retention: Retention, now_ms: int, limit: int) -> list[Row]:
        """Know nothing any more of at most *limit* jobs that ended too long ago; return them."""
        rows = self.history.prune(retention, now_ms, limit)
        for row in rows:
            del self.rows[row.id]
        return rows

    def _place(self, row: Row, now_ms: int) -> None:
        due_ms = row.due_ms
        row.status = _PENDING if due_ms <= now_ms else _SCHEDULED
        self.waiting.add(row)
        if self.signals.waiting and due_ms <= now_ms + SOON_MS:
            self.signals.raise_lane(row.lane)

    def _held(self, new: NewJob, key: str, holder: Holder) -> Enqueued:
        if holder.task != new.spec.task:
            conflict = KeyConflictError(key, task=new.spec.task, holder=holder.task)
            return _refused(new.id, conflict)
        row = self.rows.get(holder.job_id)
        return Enqueued(id=holder.job_id, created=False, status=None if row is None else row.status)


def _let_go(row: Row) -> None:
    if row.lease is not None:
        del row.lease.held[row.id]
        row.lease = None


def _details(row: Row, last: JobDetails | None) -> JobDetails:
    """Return the details of a job just claimed: *last* again, if they are the same."""
    if last is not None and last.enqueued_ms == row.enqueued_ms and last.errors is row.errors:
        return last
    return JobDetails(
        enqueued_ms=row.enqueued_ms,
        started_ms=row.started_ms,
        worker=row.worker,
        errors=row.errors,
    )


def _refused(job_id: JobId, error: JobError | KeyConflictError) -> Enqueued:
    return Enqueued(id=job_id, created=False, status=None, error=error)
