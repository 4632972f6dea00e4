"""What the model knows of a store: its jobs, leases and keys, and how time stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

from litestar_queues_core.ids import JobId, LeaseId
from litestar_queues_core.model import Event, Job, KeyRule, Status, TaskSpec
from litestar_queues_core.settlements import Settlement, Wants
from litestar_queues_core.testing.model.disagreement import Mismatch, demand


class Span(NamedTuple):
    """An instant in milliseconds that is known to lie between two others."""

    low: int
    high: int

    def plus(self, milliseconds: int) -> Span:
        """Return the span so much later."""
        return Span(self.low + milliseconds, self.high + milliseconds)


def passed(instant: Span, now: Span) -> bool | None:
    """Return whether an instant has come; ``None`` if the model cannot tell."""
    if instant.high < now.low:
        return True
    return False if instant.low > now.high else None


def exactly(instant: int) -> Span:
    """Return an instant that is known."""
    return Span(instant, instant)


Evidence = tuple[int, str, str]
"""Of an attempt record: delivery, outcome, worker."""

Open = Span | tuple[object, ...]
"""Values that a field may have; the store decides."""


@dataclass(slots=True, kw_only=True)
class Known:
    """A job as it must stand.

    Attributes:
        lease: Who holds it.
        open: Fields whose value the store may choose, with the choices; settled by looking.
    """

    name: str
    id: JobId
    spec: TaskSpec
    payload: bytes
    key: KeyRule | None
    status: Status
    lane: str
    due_ms: int
    enqueued_ms: int
    expires_ms: int | None
    attempt: int = 0
    delivery: int = 0
    rescues: int = 0
    snoozes: int = 0
    put_backs: int = 0
    cancel_requested: bool = False
    errors: tuple[Evidence, ...] = ()
    started_ms: int | None = None
    finished_ms: int | None = None
    worker: str | None = None
    result: bytes | None = None
    progress: bytes | None = None
    lease: LeaseId | None = None
    open: dict[str, Open] = field(default_factory=dict[str, Open])

    def at(self, name: str, when: Span) -> None:
        """Set an instant that is known no better than *when*."""
        setattr(self, name, when.low)
        self.open[name] = when

    def span(self, name: str) -> Span:
        """Return an instant as well as it is known."""
        known = self.open.get(name)
        return known if isinstance(known, Span) else exactly(getattr(self, name))

    @property
    def order(self) -> tuple[int, int, str]:
        """Its place in the lane: priority, then due time, then id."""
        return (-self.spec.priority, self.due_ms, self.id)

    def __str__(self) -> str:
        return f"{self.name} ({self.status} in {self.lane}, delivery {self.delivery})"


def facts(job: Job) -> dict[str, Any]:
    """Return what the model compares of a job that was looked up."""
    details = job.details
    seen: dict[str, Any] = claimed_facts(job) | {
        "enqueued_ms": details.enqueued_ms,
        "finished_ms": details.finished_ms,
        "result": details.result,
        "progress": details.progress,
    }
    if job.status is not Status.RUNNING:
        del seen["worker"]
    if not job.status.finished:
        seen["cancel_requested"] = details.cancel_requested
    return seen


def claimed_facts(job: Job) -> dict[str, Any]:
    """Return what the model compares of a job that was handed out."""
    return {
        "status": job.status,
        "lane": job.lane,
        "delivery": job.delivery,
        "attempt": job.attempt,
        "rescues": job.rescues,
        "snoozes": job.snoozes,
        "put_backs": job.put_backs,
        "due_ms": job.due_ms,
        "expires_ms": job.expires_ms,
        "errors": tuple((one.delivery, one.outcome, one.worker) for one in job.details.errors),
        "started_ms": job.details.started_ms,
        "worker": job.details.worker,
        "spec": job.new.spec,
        "payload": job.new.payload,
        "key": job.new.key,
    }


def is_allowed(value: object, choices: Open) -> bool:
    """Return whether a field may have that value."""
    if isinstance(choices, Span):
        return isinstance(value, int) and choices.low <= value <= choices.high
    return value in choices


def match(known: Known, seen: Mapping[str, Any]) -> None:
    """Demand that a job stands as it must, and take over what the store chose."""
    wrong = [
        name
        for name, value in seen.items()
        if not (
            is_allowed(value, known.open[name])
            if name in known.open
            else value == getattr(known, name)
        )
    ]
    if wrong:
        raise Mismatch(
            f"a job stands where its life has led it: {', '.join(wrong)} of {known.name}",
            allowed=", ".join(f"{name} {_said(known, name)}" for name in wrong),
            answered=", ".join(f"{name} {seen[name]!s}" for name in wrong),
        )
    for name in [*known.open]:
        if name in seen:
            setattr(known, name, seen[name])
            del known.open[name]


def _said(known: Known, name: str) -> str:
    choices = known.open.get(name)
    if choices is None:
        return str(getattr(known, name))
    if isinstance(choices, Span):
        return f"{choices.low} to {choices.high}"
    return " or ".join(map(str, choices))


class Standing(Enum):
    """Whether a lease stands; a doubtful one may have been marked dead or not."""

    ALIVE = "alive"
    DOUBTFUL = "doubtful"
    DEAD = "dead"
    GONE = "gone"


Fence = tuple[JobId, int]


@dataclass(slots=True, kw_only=True)
class KnownLease:
    """A lease as it must stand.

    Attributes:
        sent: Highest number of an exchange that was answered.
        kept: Highest number that must be remembered: it settled or claimed something.
        rejected: What a replay must say.
        ended: What a replay must say.
        last: The last exchange, to be sent again.
    """

    name: str
    id: LeaseId
    worker: str
    term_ms: int
    expires: Span
    standing: Standing = Standing.ALIVE
    sent: int | None = None
    kept: int | None = None
    rejected: list[Fence] = field(default_factory=list[Fence])
    ended: list[Fence] = field(default_factory=list[Fence])
    last: tuple[list[Settlement], Wants] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The job that a key belongs to, and when the key is freed, if at an instant."""

    job: JobId
    task: str
    frees: Span | None


@dataclass(slots=True)
class World:
    """Everything the model knows.

    Attributes:
        now: When the operation at hand takes place.
        seen: How the store's jobs stand after it; ``None`` for those it does not know.
        events: What the settlements of the step have added to the event log.
    """

    jobs: dict[JobId, Known] = field(default_factory=dict[JobId, Known])
    leases: dict[LeaseId, KnownLease] = field(default_factory=dict[LeaseId, KnownLease])
    keys: dict[str, Holder] = field(default_factory=dict[str, Holder])
    names: dict[JobId, str] = field(default_factory=dict[JobId, str])
    now: Span = field(default_factory=lambda: exactly(0))
    seen: Mapping[JobId, Job | None] = field(default_factory=dict[JobId, Job | None])
    events: list[Event] = field(default_factory=list[Event])

    def name(self, job_id: str) -> str:
        """Return how a job is called in the script."""
        return self.names.get(JobId(job_id), f"an unknown job {job_id}")

    def held(self, lease: LeaseId) -> list[Known]:
        """Return the jobs that a lease holds."""
        return [job for job in self.jobs.values() if job.lease == lease]

    def requested(self, lease: LeaseId) -> list[JobId]:
        """Return the held jobs whose cancel was requested."""
        return [job.id for job in self.held(lease) if job.cancel_requested]

    def fences(self, fences: object) -> str:
        """Say fences with names."""
        pairs: list[Fence] = sorted(fences)  # type: ignore[call-overload]
        return ", ".join(f"{self.name(job)}/{delivery}" for job, delivery in pairs) or "none"

    def compare(self) -> None:
        """Demand that every job stands as it must, and none other exists."""
        for job_id, seen in self.seen.items():
            known = self.jobs.get(job_id)
            if known is None:
                demand(
                    seen is None,
                    "what was not taken, or is pruned, is not there",
                    allowed=f"{self.name(job_id)} is unknown",
                    answered=seen and f"{self.name(job_id)} is {seen.status}",
                )
            elif seen is None:
                raise Mismatch("no job is lost", allowed=known, answered=f"{known.name} is unknown")
            else:
                match(known, facts(seen))

    def compare_due(self, next_due_ms: int | None) -> None:
        """Demand that the store has told when the next job falls due."""
        scheduled = [job for job in self.jobs.values() if job.status is Status.SCHEDULED]
        first = min((job.due_ms for job in scheduled), default=None)
        demand(
            next_due_ms == first,
            "the next due time is told",
            allowed=first,
            answered=next_due_ms,
        )
