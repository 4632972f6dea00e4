"""What commands say of a job."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from litestar_queues_core.context import decode_progress
from litestar_queues_core.model import AttemptRecord, Job
from litestar_queues_core.service import QueueService


def instant(milliseconds: int | None) -> str | None:
    """Return an instant in ISO 8601, in UTC."""
    if milliseconds is None:
        return None
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def summary(job: Job) -> dict[str, Any]:
    """Return what a list says of *job*."""
    return {
        "id": job.id,
        "task": job.task,
        "queue": job.queue,
        "status": str(job.status),
        "priority": job.priority,
        "attempt": job.attempt,
        "retries": job.new.spec.retries,
        "enqueued_at": instant(job.details.enqueued_ms),
        "due_at": instant(job.due_ms),
        "started_at": instant(job.details.started_ms),
        "finished_at": instant(job.details.finished_ms),
        "worker": job.details.worker,
        "error": job.error,
    }


def everything(job: Job, service: QueueService) -> dict[str, Any]:
    """Return all there is to say of *job*."""
    spec, details = job.new.spec, job.details
    progress = decode_progress(details.progress)
    return {
        **summary(job),
        "description": spec.description,
        "lane": job.lane,
        "execution_backend": spec.execution_backend or "local",
        "execution_profile": spec.execution_profile,
        "timeout": spec.timeout,
        "expires_at": instant(job.expires_ms),
        "delivery": job.delivery,
        "rescues": job.rescues,
        "max_rescues": spec.max_rescues,
        "snoozes": job.snoozes,
        "put_backs": job.put_backs,
        "cancel_requested": details.cancel_requested,
        "key": job.new.key.key if job.new.key else None,
        "headers": dict(job.headers),
        "progress": None
        if progress is None
        else {
            "current": progress.current,
            "total": progress.total,
            "message": progress.message,
        },
        "arguments": plain(job.new.payload, service),
        "result": plain(details.result, service),
        "errors": [record(one) for one in details.errors],
    }


def record(attempt: AttemptRecord) -> dict[str, Any]:
    """Return what there is to say of an attempt that did not complete."""
    return {
        "delivery": attempt.delivery,
        "outcome": attempt.outcome,
        "worker": attempt.worker,
        "started_at": instant(attempt.started_ms),
        "finished_at": instant(attempt.finished_ms),
        "type": attempt.type,
        "message": attempt.message,
        "traceback": attempt.traceback,
    }


def plain(data: bytes | None, service: QueueService) -> Any:
    """Return encoded arguments, or a result, as the JSON that they travel as."""
    if data is None:
        return None
    try:
        return service.serializer.loads(data[1:])
    except ValueError:
        return f"({len(data)} bytes that cannot be decoded)"


def as_text(value: object) -> str:
    """Return JSON in one line."""
    return json.dumps(value, ensure_ascii=False)
