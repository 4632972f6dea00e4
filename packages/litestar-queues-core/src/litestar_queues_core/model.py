"""The data of a queue: what is asked for, what is stored, what an attempt leaves behind.

Instants are whole milliseconds since 1970 in UTC (``*_ms``), always read from the store's clock;
:class:`Job` shows them as aware datetimes (``*_at``) too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal

from litestar_queues_core._record import hot_record, record
from litestar_queues_core.ids import JobId
from litestar_queues_core.lanes import lane_of


class Status(StrEnum):
    """Where a job stands in its life."""

    PENDING = "pending"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    DISPATCHED = "dispatched"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def finished(self) -> bool:
        """Whether nothing but a revival changes this job any more."""
        return self in FINISHED


WAITING = frozenset({Status.PENDING, Status.SCHEDULED})
FINISHED = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.EXPIRED})


@record
class Backoff:
    """How long a job waits before its next attempt; seconds.  It travels with the job.

    Attributes:
        first: Longest wait after the first failure.
        factor: Growth of the wait from one failure to the next.
        ceiling: No wait is longer than this.
        jitter: The part of the wait that is drawn at random: 1.0 waits anything from zero to
            the whole ("full jitter"), 0.0 exactly the whole.
    """

    first: float = 1.0
    factor: float = 2.0
    ceiling: float = 3600.0
    jitter: float = 1.0


@record
class TaskSpec:
    """The options which all jobs of one task (with one set of options) share.

    One object serves many jobs; stores keep it as the few bytes of
    :func:`litestar_queues_core.wire.encode_spec` and read it back through a cache.

    Attributes:
        lane: The ordinary lane in which these jobs wait.
        encoded: The bytes of this spec, once somebody has asked for them.
    """

    task: str
    queue: str = "default"
    priority: int = 0
    timeout: float | None = None
    retries: int = 0
    backoff: Backoff = field(default_factory=Backoff)
    max_rescues: int = 3
    keep_result: bool = True
    description: str | None = None
    log_level: str = "info"
    quiet_success: bool = False
    execution_backend: str | None = None
    execution_profile: str | None = None
    lane: str = field(init=False, repr=False, compare=False)
    encoded: bytes | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lane", lane_of(self.queue, self.execution_backend))


@record
class KeyRule:
    """A uniqueness key and when it is free again.

    Attributes:
        key: The key, compared byte by byte, at most 255 characters.
        until: When the key is freed: as the job is first claimed (``started``), as it ends
            (``finished``), or not before :meth:`QueueService.release_key` (``forever``). A whole
            number is milliseconds counted from the enqueue, whatever becomes of the job.
    """

    key: str
    until: Literal["started", "finished", "forever"] | int = "finished"


@record
class JobMeta:
    """What few jobs carry: a group, headers, and the schedule they were made for."""

    group: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    schedule_key: str | None = None
    schedule_ms: int | None = None


@hot_record
class NewJob:
    """A request to run a task, as the producer hands it to a store.

    Attributes:
        id: Made by the producer, so that an enqueue with unknown outcome can be asked about.
        spec: The options shared with other jobs.
        payload: The encoded arguments; a store never looks inside.
        delay_ms: Due this long after the store takes it.  Ignored if ``due_ms`` is given.
        due_ms: Due at this instant.
        expires_in_ms: Expires this long after it is due.  Ignored if ``expires_ms`` is given.
        expires_ms: Expires at this instant.
        key: Its uniqueness key, for stores that are :class:`SupportsKeys`.
        meta: Group, headers, schedule; ``None`` for most jobs.
    """

    id: JobId
    spec: TaskSpec
    payload: bytes
    delay_ms: int = 0
    due_ms: int | None = None
    expires_in_ms: int | None = None
    expires_ms: int | None = None
    key: KeyRule | None = None
    meta: JobMeta | None = None


@record
class Failure:
    """How an attempt went wrong, as the worker saw it; text is cleaned and bounded.

    Attributes:
        outcome: What the attempt record calls it: ``failed``, ``timed out``, ``discarded``,
            ``rescued``, ``released`` ...
        type: Qualified name of the exception's class, or empty.
        message: One or more lines for people.
        traceback: The formatted traceback, or empty.
    """

    outcome: str
    type: str = ""
    message: str = ""
    traceback: str = ""


@record
class AttemptRecord:
    """One delivery that did not complete; a job keeps the last ten."""

    delivery: int
    worker: str
    started_ms: int
    finished_ms: int
    outcome: str
    type: str = ""
    message: str = ""
    traceback: str = ""


@hot_record
class JobDetails:
    """What a stored job has besides the fields a worker needs to run it.

    A job fresh from a claim carries ``worker`` and ``started_ms``, and its ``errors``.
    """

    enqueued_ms: int = 0
    started_ms: int | None = None
    finished_ms: int | None = None
    worker: str | None = None
    result: bytes | None = None
    errors: Sequence[AttemptRecord] = ()
    progress: bytes | None = None
    cancel_requested: bool = False
    dispatch_token: str | None = None
    dispatch_ref: str | None = None


def _moment(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)


@hot_record
class Job:
    """A job as its store knows it.

    Attributes:
        new: The request it began as.
        status: Where it stands.
        lane: Where it waits or waited; a suspect's lane ends in ``~``.
        attempt: Attempts used up so far: it rises on failure and timeout, and on nothing else.
        delivery: How often it was handed out.  With the id and the lease it is the fence.
        rescues: How often it was given back because the lease that held it was dead.
        snoozes: How often it asked to be run later.
        put_backs: How often a worker could not run it and put it back.
        due_ms: When it may run, or might have.
        expires_ms: When it must have begun, if ever.
        details: Times, result, errors and the rest.
    """

    new: NewJob
    status: Status
    lane: str
    due_ms: int
    attempt: int = 0
    delivery: int = 0
    rescues: int = 0
    snoozes: int = 0
    put_backs: int = 0
    expires_ms: int | None = None
    details: JobDetails = field(default_factory=JobDetails)

    @property
    def id(self) -> JobId:
        """The job's id."""
        return self.new.id

    @property
    def task(self) -> str:
        """Name of the task."""
        return self.new.spec.task

    @property
    def queue(self) -> str:
        """Name of the queue."""
        return self.new.spec.queue

    @property
    def priority(self) -> int:
        """Higher runs first."""
        return self.new.spec.priority

    @property
    def headers(self) -> Mapping[str, str]:
        """What the producer sent along."""
        return self.new.meta.headers if self.new.meta else {}

    @property
    def error(self) -> str | None:
        """What went wrong last, in one line; ``None`` once the job is completed."""
        if self.status is Status.COMPLETED or not self.details.errors:
            return None
        last = self.details.errors[-1]
        return f"{last.type}: {last.message}" if last.type else last.message or last.outcome

    @property
    def enqueued_at(self) -> datetime:
        """When the store took the job."""
        return datetime.fromtimestamp(self.details.enqueued_ms / 1000, UTC)

    @property
    def due_at(self) -> datetime:
        """When the job may run, or might have."""
        return datetime.fromtimestamp(self.due_ms / 1000, UTC)

    @property
    def expires_at(self) -> datetime | None:
        """When the job must have begun."""
        return _moment(self.expires_ms)

    @property
    def started_at(self) -> datetime | None:
        """When the latest delivery was claimed."""
        return _moment(self.details.started_ms)

    @property
    def finished_at(self) -> datetime | None:
        """When the job ended."""
        return _moment(self.details.finished_ms)


@record
class WorkerInfo:
    """Who holds a lease, for people: shown by ``status`` and kept in attempt records."""

    name: str
    host: str = ""
    pid: int = 0
    queues: Sequence[str] = ()
    version: str = ""


@record
class Retention:
    """How long finished jobs are kept: by age (seconds) and by number; both hold.

    Attributes:
        completed: Age at which completed, cancelled and expired jobs are pruned.
        failed: Age at which failed jobs are pruned.
        max_finished: Number of finished jobs beyond which the oldest are pruned.
    """

    completed: float = 86_400.0
    failed: float = 7 * 86_400.0
    max_finished: int = 1_000_000


@record
class Progress:
    """How far a running job has come."""

    current: float | None = None
    total: float | None = None
    message: str | None = None


@record
class Event:
    """Something that happened to a job, or that a task said.

    Attributes:
        job_id: The job.
        type: ``job.completed`` and its like, ``task.progress``, ``task.log`` or a task's own.
        task: Name of the task.
        queue: Name of the queue.
        occurred_ms: When, by the clock of the process that saw it.
        worker: The worker, if one was involved.
        attempt: The attempt, from 1; 0 before the first.
        delivery: The hand-out; with ``job_id`` and ``sequence`` it identifies the event.
        sequence: Rises within one delivery.
        level: ``debug``, ``info``, ``warning`` or ``error``.
        message: For people.
        progress: For progress events.
        payload: Whatever else; must fit JSON.
    """

    job_id: JobId
    type: str
    task: str
    queue: str
    occurred_ms: int
    worker: str | None = None
    attempt: int = 0
    delivery: int = 0
    sequence: int = 0
    level: str = "info"
    message: str | None = None
    progress: Progress | None = None
    payload: Mapping[str, object] | None = None
