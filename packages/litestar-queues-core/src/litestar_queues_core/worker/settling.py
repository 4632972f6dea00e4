"""From how the code of an attempt ended to how the delivery is settled."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable

from litestar_queues_core.control import Cancel, Discard, Retry, Snooze
from litestar_queues_core.lifecycle import after_failure, backoff_seconds, put_back_seconds
from litestar_queues_core.model import Failure, Job
from litestar_queues_core.outcome import DescribedError, Ending, Outcome, describe
from litestar_queues_core.settlements import Kind, Settlement
from litestar_queues_core.text import bound_text
from litestar_queues_core.worker.run import Stop

logger: logging.Logger = logging.getLogger("litestar_queues.worker")

COMPLETE = Kind.COMPLETE

Random = Callable[[], float]
Retryable = Callable[[BaseException], bool]


def settle(
    job: Job,
    outcome: Outcome,
    stopped: Stop | None,
    *,
    noticed: bool,
    is_retryable: Retryable,
    random: Random = random.random,
) -> Settlement:
    """Return the settlement of a delivery whose code has ended.

    Args:
        job: The job as it was claimed.
        outcome: How its code ended.
        stopped: Why it was asked to stop, if it was.
        noticed: Whether its code knew, so that returning means it stopped.
        is_retryable: What the task's policy says of an exception.
        random: Gives a number from [0, 1), for the jitter.
    """
    if stopped is Stop.TIMEOUT:
        return _failed(job, _timed_out(job, outcome), retryable=True, random=random)
    if outcome.ending is Ending.RETURNED and not (noticed and stopped):
        return completed(job, outcome)
    if outcome.ending in (Ending.STOPPED, Ending.RETURNED):
        kind = Kind.CANCEL if stopped is Stop.CANCEL else Kind.RELEASE
        return Settlement(id=job.id, delivery=job.delivery, kind=kind)
    if outcome.ending is Ending.INVALID:
        return _failed(job, describe(outcome, "invalid"), retryable=False, random=random)
    return _raised(job, outcome, is_retryable, random)


def completed(job: Job, outcome: Outcome) -> Settlement:
    """Return the settlement of a delivery whose code has returned undisturbed."""
    return Settlement(job.new.id, job.delivery, COMPLETE, 0, outcome.encoded)


def _raised(job: Job, outcome: Outcome, is_retryable: Retryable, random: Random) -> Settlement:
    error = outcome.error
    match error:
        case Snooze():
            return _waiting(job, Kind.SNOOZE, error.seconds)
        case Cancel():
            return Settlement(id=job.id, delivery=job.delivery, kind=Kind.CANCEL)
        case Discard():
            return _failed(
                job,
                Failure(outcome="discarded", message=bound_text(error.reason or "discarded")),
                retryable=False,
                random=random,
            )
        case Retry():
            failure = Failure(
                outcome="retry", message=bound_text(error.reason or "asked to be retried")
            )
            return _failed(job, failure, retryable=True, random=random, after=error.after)
        case _:
            retryable = error is None or _may_repeat(error, is_retryable)
            return _failed(job, describe(outcome, "failed"), retryable=retryable, random=random)


def _may_repeat(error: BaseException, is_retryable: Retryable) -> bool:
    if isinstance(error, DescribedError):
        return error.retryable
    try:
        return is_retryable(error)
    except Exception:
        logger.exception("the retry policy failed on %r; it counts as retryable", error)
        return True


def _failed(
    job: Job, failure: Failure, *, retryable: bool, random: Random, after: float | None = None
) -> Settlement:
    kind = after_failure(job, retryable=retryable)
    wait = 0.0
    if kind is Kind.RETRY:
        backoff = job.new.spec.backoff
        wait = backoff_seconds(backoff, job.attempt + 1, random) if after is None else after
    return _waiting(job, kind, wait, failure)


def _waiting(job: Job, kind: Kind, seconds: float, failure: Failure | None = None) -> Settlement:
    return Settlement(
        id=job.id,
        delivery=job.delivery,
        kind=kind,
        delay_ms=max(0, round(seconds * 1000)),
        failure=failure,
    )


def _timed_out(job: Job, outcome: Outcome) -> Failure:
    limit = job.new.spec.timeout
    message = f"the attempt exceeded its timeout of {limit:g} s" if limit else "timed out"
    if outcome.ending is Ending.RETURNED:
        message += "; its code went on to the end, and its result is dropped"
    return Failure(outcome="timed out", type="TimeoutError", message=message)


def put_back(job: Job, reason: str) -> Settlement:
    """Return the settlement of a job that cannot run in this process; after an hour it fails."""
    wait = put_back_seconds(job.put_backs)
    if wait is None:
        failure = Failure(outcome="failed", type="UnknownTaskError", message=bound_text(reason))
        return _waiting(job, Kind.FAIL, 0.0, failure)
    return _waiting(job, Kind.PUT_BACK, wait)


def release(job: Job) -> Settlement:
    """Return the settlement that gives a job back unharmed."""
    return Settlement(id=job.id, delivery=job.delivery, kind=Kind.RELEASE)


def unrecordable(job: Job, reason: str) -> Settlement:
    """Return what stands in for a settlement that the store cannot hold."""
    failure = Failure(outcome="failed", message=bound_text(f"could not record ({reason})")[:500])
    return Settlement(id=job.id, delivery=job.delivery, kind=Kind.FAIL, failure=failure)
