"""Saying what has happened, once the store has acknowledged it and not before."""

from __future__ import annotations

import logging
import time

from litestar_queues_core.events import (
    CANCELLED,
    COMPLETED,
    FAILED,
    RELEASED,
    RETRYING,
    SNOOZED,
)
from litestar_queues_core.model import Event
from litestar_queues_core.publishing import Publisher
from litestar_queues_core.settlements import Kind, Settlement
from litestar_queues_core.worker.run import Run

logger: logging.Logger = logging.getLogger("litestar_queues.jobs")

COMPLETE = Kind.COMPLETE
CLOSING = {
    Kind.COMPLETE: COMPLETED,
    Kind.FAIL: FAILED,
    Kind.RETRY: RETRYING,
    Kind.SNOOZE: SNOOZED,
    Kind.CANCEL: CANCELLED,
    Kind.RELEASE: RELEASED,
    Kind.PUT_BACK: RELEASED,
}
_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


class Announcer:
    """Logs and publishes the ends of attempts.

    Args:
        publisher: Where events go.
        worker: Name of this worker.
        history: Whether events are kept by the store, with the settlement.
    """

    def __init__(self, publisher: Publisher, *, worker: str, history: bool) -> None:
        self._publisher = publisher
        self._worker = worker
        self._history = history
        self.enabled: bool = publisher.enabled or history

    def closing(self, run: Run, settlement: Settlement) -> Settlement:
        """Return *settlement* with the events that the store keeps, if a history is kept."""
        if not self._history:
            return settlement
        message = _message(settlement)
        return Settlement(
            id=settlement.id,
            delivery=settlement.delivery,
            kind=settlement.kind,
            delay_ms=settlement.delay_ms,
            value=settlement.value,
            failure=settlement.failure,
            follow_ups=settlement.follow_ups,
            events=run.events or (),
            closing=self._closing(run, settlement.kind, message),
            closing_if_cancelled=self.event(run, CANCELLED, message),
        )

    def keep(self, run: Run, event: Event) -> None:
        """Let *event* travel with the settlement of *run*, if a history is kept."""
        if self._history:
            run.events = run.events or []
            run.events.append(event)

    def event(self, run: Run, type: str, message: str | None = None) -> Event:  # noqa: A002
        """Return a lifecycle event of this delivery."""
        if run.context is not None:
            return run.context.make_event(type, message=message)
        job = run.job
        return Event(
            job_id=job.id,
            type=type,
            task=job.task,
            queue=job.queue,
            occurred_ms=time.time_ns() // 1_000_000,
            worker=self._worker,
            attempt=job.attempt + 1,
            delivery=job.delivery,
            message=message,
        )

    def acknowledged(self, run: Run, *, cancelled: bool) -> None:
        """The store has applied the settlement of *run*, or its cancel rule has."""
        if run.settlement is not None:
            self._say(run, run.settlement, cancelled=cancelled)

    def completed(self, run: Run, settlement: Settlement) -> None:
        """The code of *run* has completed its job in a transaction of its own."""
        self._say(run, settlement, cancelled=False)

    def _say(self, run: Run, settlement: Settlement, *, cancelled: bool) -> None:
        kind = Kind.CANCEL if cancelled else settlement.kind
        if self._publisher.enabled:
            kept = settlement.closing_if_cancelled if cancelled else settlement.closing
            closing = kept or self._closing(run, kind, _message(settlement))
            self._publisher.emit([closing] if closing else [])
        self._log(run, kind, settlement)

    def _closing(self, run: Run, kind: Kind, message: str | None) -> Event | None:
        if kind is Kind.RELEASE and not run.started:
            return None  # fetched ahead and given back: nothing has happened to the job
        return self.event(run, CLOSING[kind], message)

    def rejected(self, run: Run) -> None:
        """The fence of *run* no longer holds: its outcome is dropped."""
        kind = run.settlement.kind if run.settlement else "no settlement"
        logger.warning(
            "%s %s: delivery %d was given to somebody else, its outcome (%s) is dropped",
            run.job.task,
            run.job.id,
            run.job.delivery,
            kind,
        )

    def _log(self, run: Run, kind: Kind, settlement: Settlement) -> None:
        spec = run.job.new.spec
        if kind is COMPLETE:
            level = _LEVELS[spec.log_level]
            if not spec.quiet_success and logger.isEnabledFor(level):
                logger.log(level, "%s %s completed in %.3f s", spec.task, run.job.id, run.took)
            return
        if settlement.failure is not None:
            self._log_failure(run, kind, settlement)
        elif logger.isEnabledFor(logging.INFO):
            logger.info("%s %s: %s", spec.task, run.job.id, kind)

    def _log_failure(self, run: Run, kind: Kind, settlement: Settlement) -> None:
        failure, job = settlement.failure, run.job
        if failure is None:
            return
        after = (
            f", next attempt in {settlement.delay_ms / 1000:.1f} s" if kind is Kind.RETRY else ""
        )
        logger.log(
            logging.WARNING if kind is Kind.RETRY else logging.ERROR,
            "%s %s: attempt %d of %d %s: %s%s",
            job.task,
            job.id,
            job.attempt + 1,
            job.new.spec.retries + 1,
            failure.outcome,
            f"{failure.type}: {failure.message}" if failure.type else failure.message,
            after,
            extra={"job_id": job.id, "task": job.task, "queue": job.queue},
        )


def _message(settlement: Settlement) -> str | None:
    return settlement.failure.message if settlement.failure else None
