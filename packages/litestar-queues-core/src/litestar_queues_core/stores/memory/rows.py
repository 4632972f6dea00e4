"""What the memory store keeps of leases and jobs: objects that change."""

from __future__ import annotations

from typing import Any, cast

from litestar_queues_core.ids import JobId, LeaseId
from litestar_queues_core.lifecycle import attempt_record, kept
from litestar_queues_core.model import (
    AttemptRecord,
    Failure,
    Job,
    JobDetails,
    NewJob,
    Status,
    WorkerInfo,
)

Fence = tuple[JobId, int]
"""A job and one of its deliveries."""


class Lease:
    """The right of one worker process to the jobs it holds."""

    __slots__ = (
        "dead",
        "ended",
        "expires_ms",
        "held",
        "id",
        "rejected",
        "seq",
        "term_ms",
        "worker",
    )

    def __init__(self, lease: LeaseId, worker: WorkerInfo) -> None:
        self.id: LeaseId = lease
        self.worker: WorkerInfo = worker
        self.term_ms: int = 0
        self.expires_ms: int = 0
        self.dead: bool = False
        self.held: dict[JobId, Row] = {}
        self.seq: int | None = None
        self.rejected: list[Fence] = []
        self.ended: list[Fence] = []

    def renew(self, seconds: float, now_ms: int) -> None:
        """Give the lease a term, which begins now."""
        self.term_ms = int(seconds * 1000)
        self.extend(now_ms)

    def extend(self, now_ms: int) -> None:
        """Let the lease last its whole term from now."""
        self.expires_ms = now_ms + self.term_ms

    def remember(self, seq: int, *, settled: bool) -> None:
        """Note that exchange number *seq* was the last that did something."""
        self.seq = seq
        if not settled:
            self.rejected, self.ended = [], []

    @property
    def cancelled(self) -> list[JobId]:
        """Held jobs whose cancel was requested."""
        return [job_id for job_id, row in self.held.items() if row.cancel_requested]


class Row:
    """A stored job.  What is handed out of the store are snapshots of it."""

    __slots__ = (
        "attempt",
        "cancel_requested",
        "delivery",
        "due_ms",
        "enqueued_ms",
        "errors",
        "expires_ms",
        "finished_ms",
        "id",
        "lane",
        "lease",
        "new",
        "number",
        "progress",
        "put_backs",
        "rescues",
        "result",
        "snoozes",
        "started_ms",
        "status",
        "worker",
    )

    def __init__(self, new: NewJob, number: int, now_ms: int) -> None:
        self.new: NewJob = new
        self.id: JobId = new.id
        self.number: int = number
        self.enqueued_ms: int = now_ms
        self.lane: str = new.spec.lane
        self.status: Status = _PENDING
        self.due_ms: int = now_ms
        if new.due_ms is not None:
            self.due_ms = new.due_ms
        elif new.delay_ms:
            self.due_ms += new.delay_ms
        self.expires_ms = new.expires_ms
        if new.expires_in_ms is not None and new.expires_ms is None:
            self.expires_ms = self.due_ms + new.expires_in_ms
        self.attempt: int = 0
        self.delivery: int = 0
        self.rescues: int = 0
        self.snoozes: int = 0
        self.put_backs: int = 0
        self.cancel_requested: bool = False
        self.errors: tuple[AttemptRecord, ...] = ()
        self.lease: Lease | None = None
        self.worker: str | None = None
        self.started_ms: int | None = None
        self.finished_ms: int | None = None
        self.result: bytes | None = None
        self.progress: bytes | None = None

    def record(self, failure: Failure, now_ms: int) -> None:
        """Keep the evidence of an attempt that did not complete."""
        record = attempt_record(
            failure,
            delivery=self.delivery,
            worker=self.worker or "",
            started_ms=self.started_ms or now_ms,
            finished_ms=now_ms,
        )
        self.errors = tuple(kept([*self.errors, record]))

    def details(self) -> JobDetails:
        """Return all that a worker does not need to run the job."""
        return JobDetails(
            enqueued_ms=self.enqueued_ms,
            started_ms=self.started_ms,
            finished_ms=self.finished_ms,
            worker=self.worker,
            result=self.result,
            errors=self.errors,
            progress=self.progress,
            cancel_requested=self.cancel_requested,
        )

    def job(self, details: JobDetails | None = None) -> Job:
        """Return the job as it stands, with the given details or its own."""
        job: Any = _new(Job)  # a third of the time of Job(...), on the hottest path
        job.new = self.new
        job.status = self.status
        job.lane = self.lane
        job.due_ms = self.due_ms
        job.attempt = self.attempt
        job.delivery = self.delivery
        job.rescues = self.rescues
        job.snoozes = self.snoozes
        job.put_backs = self.put_backs
        job.expires_ms = self.expires_ms
        job.details = self.details() if details is None else details
        return cast(Job, job)


_new = object.__new__
_PENDING = Status.PENDING
