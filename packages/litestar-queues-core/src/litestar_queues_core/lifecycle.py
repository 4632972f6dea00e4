"""Every change a job may undergo, decided by pure functions.

Workers decide with them what to ask for, stores apply what :data:`TRANSITIONS` says.  Whatever a
store is built on, it only compares fences and writes the outcome.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from litestar_queues_core._record import record
from litestar_queues_core.lanes import ordinary, suspects_of
from litestar_queues_core.model import AttemptRecord, Backoff, Failure, Job, Status
from litestar_queues_core.settlements import Kind, Settlement

KEPT_ATTEMPTS = 10
PUT_BACK_FIRST = 5.0
PUT_BACK_CEILING = 300.0
PUT_BACK_TOTAL = 3600.0


@record
class Transition:
    """What one kind of settlement does to a job.

    Attributes:
        to: Status after it; a waiting job with a delay is ``scheduled`` instead of ``pending``.
        attempts: Added to the attempts used.
        snoozes: Added to the snoozes.
        put_backs: Added to the put-backs.
        clears_suspicion: Whether a suspect returns to its ordinary lane.
    """

    to: Status
    attempts: int = 0
    snoozes: int = 0
    put_backs: int = 0
    clears_suspicion: bool = False

    @property
    def waits(self) -> bool:
        """Whether the job waits again, so that a requested cancel ends it instead."""
        return self.to is Status.PENDING


TRANSITIONS: Mapping[Kind, Transition] = {
    Kind.COMPLETE: Transition(to=Status.COMPLETED),
    Kind.FAIL: Transition(to=Status.FAILED, attempts=1),
    Kind.CANCEL: Transition(to=Status.CANCELLED),
    Kind.RETRY: Transition(to=Status.PENDING, attempts=1, clears_suspicion=True),
    Kind.SNOOZE: Transition(to=Status.PENDING, snoozes=1, clears_suspicion=True),
    Kind.RELEASE: Transition(to=Status.PENDING),
    Kind.PUT_BACK: Transition(to=Status.PENDING, put_backs=1),
    Kind.PROGRESS: Transition(to=Status.RUNNING),
    Kind.DISPATCH: Transition(to=Status.DISPATCHED),
    Kind.DISPATCH_REF: Transition(to=Status.DISPATCHED),
    Kind.DISPATCH_FAILED: Transition(to=Status.PENDING, attempts=1),
    Kind.DISPATCH_CANCELLED: Transition(to=Status.CANCELLED),
}


def settled_status(kind: Kind, *, delay_ms: int, cancel_requested: bool) -> Status:
    """Return the status after a settlement whose fence holds.  Cancel beats waiting."""
    transition = TRANSITIONS[kind]
    if not transition.waits:
        return transition.to
    if cancel_requested:
        return Status.CANCELLED
    return Status.SCHEDULED if delay_ms > 0 else Status.PENDING


def settled_lane(kind: Kind, lane: str) -> str:
    """Return the lane in which a job waits after a settlement."""
    return ordinary(lane) if TRANSITIONS[kind].clears_suspicion else lane


def rescued_status(*, rescues: int, max_rescues: int, cancel_requested: bool) -> Status:
    """Return what becomes of a job of a dead lease that was rescued *rescues* times before."""
    if cancel_requested:
        return Status.CANCELLED
    return Status.FAILED if rescues + 1 > max_rescues else Status.PENDING


def rescued_lane(lane: str) -> str:
    """Return the lane in which a rescued job waits."""
    return suspects_of(lane)


def rescue_failure(status: Status, *, rescues: int, worker: str) -> Failure:
    """Return the evidence that a rescue leaves in the job's attempt records."""
    message = f"worker {worker!r} died or fell silent while it held this job (rescue {rescues + 1})"
    if status is Status.FAILED:
        message += "; quarantined: more rescues than max_rescues suggest that it kills its worker"
    return Failure(outcome="rescued", message=message)


def backoff_seconds(backoff: Backoff, attempt: int, random: Callable[[], float]) -> float:
    """Return how long to wait after failure number *attempt*, counted from 1.

    The wait grows as ``first * factor ** (attempt - 1)`` up to the ceiling; the part ``jitter``
    of it is drawn uniformly ("full jitter" in M. Brooker's terms, if that part is 1).

    Args:
        backoff: The job's policy.
        attempt: Failures so far, this one included.
        random: Gives a number from [0, 1).
    """
    exponent = min(attempt - 1, 1000)
    try:
        whole = min(backoff.first * math.pow(backoff.factor, exponent), backoff.ceiling)
    except OverflowError:
        whole = backoff.ceiling
    return whole * (1 - backoff.jitter) + whole * backoff.jitter * random()


def after_failure(job: Job, *, retryable: bool) -> Kind:
    """Return how a failed attempt of *job* is settled."""
    return Kind.RETRY if retryable and job.attempt < job.new.spec.retries else Kind.FAIL


def put_back_seconds(put_backs: int) -> float | None:
    """Return how long a job that cannot run here waits, or ``None`` once an hour has gone by.

    Args:
        put_backs: How often it was put back before.
    """
    if sum(map(_put_back_wait, range(min(put_backs, 100)))) >= PUT_BACK_TOTAL:
        return None
    return _put_back_wait(put_backs)


def _put_back_wait(number: int) -> float:
    return min(PUT_BACK_FIRST * math.pow(2, min(number, 10)), PUT_BACK_CEILING)


def attempt_record(
    failure: Failure, *, delivery: int, worker: str, started_ms: int, finished_ms: int
) -> AttemptRecord:
    """Complete *failure* with what the store knows of the attempt."""
    return AttemptRecord(
        delivery=delivery,
        worker=worker,
        started_ms=started_ms,
        finished_ms=finished_ms,
        outcome=failure.outcome,
        type=failure.type,
        message=failure.message,
        traceback=failure.traceback,
    )


def kept(records: list[AttemptRecord]) -> list[AttemptRecord]:
    """Return those attempt records that a job keeps: the last ten."""
    return records[-KEPT_ATTEMPTS:]


def has_completed(job: Job | None, settlement: Settlement) -> bool:
    """Return whether *job*, as it stands now, was completed by the delivery of *settlement*."""
    return (
        job is not None and job.status is Status.COMPLETED and job.delivery == settlement.delivery
    )


def was_applied(settlement: Settlement, job: Job) -> bool:
    """Return whether *job*, as it stands now, shows that *settlement* took effect.

    Asked after a lease was lost while the outcome of an exchange was unknown: the settlement
    counts if the job has ended or moved on by that delivery, and not by a rescue.
    """
    if job.delivery != settlement.delivery or job.status is Status.RUNNING:
        return False
    records = job.details.errors
    return not records or (records[-1].delivery, records[-1].outcome) != (job.delivery, "rescued")
