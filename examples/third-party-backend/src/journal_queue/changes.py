"""How single jobs change; what they change to is decided by ``litestar_queues_core.lifecycle``."""

from __future__ import annotations

from dataclasses import replace

from litestar_queues_core import Job, Status
from litestar_queues_core.lifecycle import (
    TRANSITIONS,
    attempt_record,
    kept,
    rescue_failure,
    rescued_lane,
    rescued_status,
    settled_lane,
    settled_status,
)
from litestar_queues_core.model import Failure, JobDetails, NewJob
from litestar_queues_core.settlements import Kind, Settlement


def created(new: NewJob, now_ms: int) -> Job:
    """Return a job that has just been enqueued."""
    due_ms = now_ms + new.delay_ms if new.due_ms is None else new.due_ms
    expires_ms = new.expires_ms
    if expires_ms is None and new.expires_in_ms is not None:
        expires_ms = due_ms + new.expires_in_ms
    return Job(
        new=new,
        status=Status.SCHEDULED if due_ms > now_ms else Status.PENDING,
        lane=new.spec.lane,
        due_ms=due_ms,
        expires_ms=expires_ms,
        details=JobDetails(enqueued_ms=now_ms),
    )


def claimed(job: Job, worker: str, now_ms: int) -> Job:
    """Return *job* handed out."""
    details = replace(job.details, worker=worker, started_ms=now_ms)
    return replace(job, status=Status.RUNNING, delivery=job.delivery + 1, details=details)


def settled(job: Job, settlement: Settlement, now_ms: int) -> Job:
    """Return *job* after a settlement whose fence holds."""
    kind, transition = settlement.kind, TRANSITIONS[settlement.kind]
    if kind is Kind.PROGRESS:
        return replace(job, details=replace(job.details, progress=settlement.value))
    status = settled_status(
        kind, delay_ms=settlement.delay_ms, cancel_requested=job.details.cancel_requested
    )
    job = _recorded(job, settlement.failure, now_ms)
    if status.finished:
        keeps = kind is Kind.COMPLETE and job.new.spec.keep_result
        job = ended(job, status, now_ms, result=settlement.value if keeps else None)
        return replace(job, attempt=job.attempt + transition.attempts)
    in_place = kind is Kind.RELEASE and not settlement.delay_ms
    return replace(
        job,
        status=status,
        lane=settled_lane(kind, job.lane),
        due_ms=job.due_ms if in_place else now_ms + settlement.delay_ms,
        attempt=job.attempt + transition.attempts,
        snoozes=job.snoozes + transition.snoozes,
        put_backs=job.put_backs + transition.put_backs,
    )


def rescued(job: Job, now_ms: int) -> Job:
    """Return *job* after the lease that held it has died."""
    status = rescued_status(
        rescues=job.rescues,
        max_rescues=job.new.spec.max_rescues,
        cancel_requested=job.details.cancel_requested,
    )
    evidence = rescue_failure(status, rescues=job.rescues, worker=job.details.worker or "")
    job = replace(
        _recorded(job, evidence, now_ms), rescues=job.rescues + 1, lane=rescued_lane(job.lane)
    )
    if status.finished:
        return ended(job, status, now_ms)
    return replace(job, status=status)


def ended(job: Job, status: Status, now_ms: int, *, result: bytes | None = None) -> Job:
    """Return *job* finished."""
    details = replace(job.details, finished_ms=now_ms, result=result)
    return replace(job, status=status, details=details)


def _recorded(job: Job, failure: Failure | None, now_ms: int) -> Job:
    if failure is None:
        return job
    record = attempt_record(
        failure,
        delivery=job.delivery,
        worker=job.details.worker or "",
        started_ms=job.details.started_ms or now_ms,
        finished_ms=now_ms,
    )
    errors = tuple(kept([*job.details.errors, record]))
    return replace(job, details=replace(job.details, errors=errors))
