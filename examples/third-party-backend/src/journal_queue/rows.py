"""A job as plain JSON, and back."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

from litestar_queues_core import Job, Status
from litestar_queues_core.model import JobDetails, NewJob
from litestar_queues_core.wire import (
    decode_errors,
    decode_meta,
    decode_spec,
    encode_errors,
    encode_meta,
    encode_spec,
)

_PLAIN = ("lane", "due_ms", "attempt", "delivery", "rescues", "snoozes", "put_backs", "expires_ms")
_DETAILS = ("enqueued_ms", "started_ms", "finished_ms", "worker", "cancel_requested")


def _text(data: bytes | None) -> str | None:
    return None if data is None else b64encode(data).decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text)


def write_job(job: Job) -> dict[str, Any]:
    """Return all of *job* that must survive."""
    row: dict[str, Any] = {name: getattr(job, name) for name in _PLAIN}
    row |= {name: getattr(job.details, name) for name in _DETAILS}
    return row | {
        "id": job.id,
        "status": job.status.value,
        "spec": encode_spec(job.new.spec).decode(),
        "payload": _text(job.new.payload),
        "meta": _text(encode_meta(job.new.meta)),
        "result": _text(job.details.result),
        "errors": _text(encode_errors(job.details.errors)),
        "progress": _text(job.details.progress),
    }


def read_job(row: dict[str, Any]) -> Job:
    """Return the job that :func:`write_job` wrote."""
    return Job(
        new=NewJob(
            id=row["id"],
            spec=decode_spec(row["spec"].encode()),
            payload=b64decode(row["payload"]),
            meta=decode_meta(_bytes(row["meta"])),
        ),
        status=Status(row["status"]),
        details=JobDetails(
            result=_bytes(row["result"]),
            errors=decode_errors(_bytes(row["errors"])),
            progress=_bytes(row["progress"]),
            **{name: row[name] for name in _DETAILS},
        ),
        **{name: row[name] for name in _PLAIN},
    )
