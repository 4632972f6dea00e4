"""Events: what tasks publish, how an event looks on the wire, and a sink for tests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from litestar_queues_core.context import get_current_task_context
from litestar_queues_core.model import Event, Job, Status

ENQUEUED = "job.enqueued"
STARTED = "job.started"
COMPLETED = "job.completed"
FAILED = "job.failed"
RETRYING = "job.retrying"
SNOOZED = "job.snoozed"
CANCELLED = "job.cancelled"
EXPIRED = "job.expired"
RESCUED = "job.rescued"
RELEASED = "job.released"

LIFECYCLE = frozenset(
    {ENQUEUED, STARTED, COMPLETED, FAILED, RETRYING, SNOOZED, CANCELLED, EXPIRED, RESCUED, RELEASED}
)
_ENDED = {
    Status.COMPLETED: COMPLETED,
    Status.FAILED: FAILED,
    Status.CANCELLED: CANCELLED,
    Status.EXPIRED: EXPIRED,
}


async def publish_task_progress(
    current: float | None = None,
    total: float | None = None,
    message: str | None = None,
    payload: Mapping[str, object] | None = None,
) -> None:
    """Say how far the running job has come.

    Raises:
        NotInTaskError: No task is running here.
    """
    await get_current_task_context().progress(current, total, message, payload)


async def publish_task_log(
    message: str, level: str = "info", payload: Mapping[str, object] | None = None
) -> None:
    """Publish a line about the running attempt.

    Raises:
        NotInTaskError: No task is running here.
    """
    await get_current_task_context().log(message, level, payload)


async def publish_task_event(
    type: str,  # noqa: A002  (the field's name in the event contract)
    message: str | None = None,
    payload: Mapping[str, object] | None = None,
) -> None:
    """Publish an event of the running task's own.

    Raises:
        NotInTaskError: No task is running here.
    """
    await get_current_task_context().event(type, message, payload)


def lifecycle_event(job: Job, kind: str, occurred_ms: int, message: str | None = None) -> Event:
    """Return an event about *job* which no attempt has caused.

    Its number within the delivery is its instant, so that it differs from all that have one.
    """
    return Event(
        job_id=job.id,
        type=kind,
        task=job.task,
        queue=job.queue,
        occurred_ms=occurred_ms,
        delivery=job.delivery,
        sequence=occurred_ms,
        message=message,
    )


def ended(status: Status) -> str:
    """Return the type of the event that says a job has ended so."""
    return _ENDED[status]


def envelope(event: Event) -> dict[str, object]:
    """Return *event* as it is published: camelCase, ISO 8601, the id made of what it is about."""
    progress = event.progress
    return {
        "id": f"{event.job_id}:{event.delivery}:{event.sequence}:{event.type}",
        "type": event.type,
        "jobId": event.job_id,
        "task": event.task,
        "queue": event.queue,
        "worker": event.worker,
        "attempt": event.attempt,
        "sequence": event.sequence,
        "occurredAt": datetime.fromtimestamp(event.occurred_ms / 1000, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z"),
        "level": event.level,
        "message": event.message,
        "progress": progress
        and {
            "current": progress.current,
            "total": progress.total,
            "message": progress.message,
        },
        "payload": event.payload,
    }


def encode_event(event: Event) -> bytes:
    """Return the JSON of :func:`envelope`, without spaces."""
    return json.dumps(envelope(event), separators=(",", ":"), ensure_ascii=False).encode()


class InMemoryEventSink:
    """Keeps what was published, for tests.

    Attributes:
        events: All of it, in order.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def publish(self, events: Sequence[Event]) -> None:
        """Keep *events*."""
        self.events.extend(events)

    def types(self, job_id: str | None = None) -> list[str]:
        """Return the types of the events of one job, or of all."""
        return [event.type for event in self.events if job_id in (None, event.job_id)]
