"""What a worker and its child processes say to each other: JSON, and bytes that go with it.

A message is two lengths, a JSON object and a body of raw bytes.  Nothing is ever unpickled.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

from litestar_queues_core.control import Cancel, Control, Discard, Retry, Snooze
from litestar_queues_core.ids import JobId
from litestar_queues_core.model import Job, JobDetails, NewJob, Status
from litestar_queues_core.outcome import DescribedError, Ending, Outcome, describe
from litestar_queues_core.wire import (
    decode_errors,
    decode_meta,
    decode_spec,
    encode_errors,
    encode_meta,
    encode_spec,
)

LENGTHS = struct.Struct(">II")
SAID = frozenset({"progress", "log", "event"})

Header = Mapping[str, Any]


def pack(header: Header, body: bytes = b"") -> bytes:
    """Return the bytes of a message; values that are no JSON travel as their text."""
    head = json.dumps(header, separators=(",", ":"), default=str).encode()
    return LENGTHS.pack(len(head), len(body)) + head + body


def job_facts(job: Job) -> Header:
    """Return what a child process is told about a job, besides the payload."""
    details = job.details
    return {
        "id": job.id,
        "spec": encode_spec(job.new.spec).decode(),
        "meta": _text(encode_meta(job.new.meta)),
        "lane": job.lane,
        "due_ms": job.due_ms,
        "expires_ms": job.expires_ms,
        "attempt": job.attempt,
        "delivery": job.delivery,
        "rescues": job.rescues,
        "snoozes": job.snoozes,
        "put_backs": job.put_backs,
        "enqueued_ms": details.enqueued_ms,
        "started_ms": details.started_ms,
        "worker": details.worker,
        "errors": _text(encode_errors(details.errors)),
    }


def job_of(facts: Header, payload: bytes) -> Job:
    """Return the job that :func:`job_facts` described."""
    spec = decode_spec(facts["spec"].encode())
    new = NewJob(
        id=JobId(facts["id"]), spec=spec, payload=payload, meta=decode_meta(_bytes(facts["meta"]))
    )
    counts = ("due_ms", "expires_ms", "attempt", "delivery", "rescues", "snoozes", "put_backs")
    return Job(
        new=new,
        status=Status.RUNNING,
        lane=facts["lane"],
        details=JobDetails(
            enqueued_ms=facts["enqueued_ms"],
            started_ms=facts["started_ms"],
            worker=facts["worker"],
            errors=decode_errors(_bytes(facts["errors"])),
        ),
        **{name: facts[name] for name in counts},
    )


def outcome_facts(outcome: Outcome, *, retryable: bool) -> Header:
    """Return what the parent is told about the end of an attempt, besides the result.

    Args:
        outcome: How it ended.
        retryable: Whether the task's policy lets another attempt follow the error.
    """
    facts: dict[str, Any] = {"ended": str(outcome.ending)}
    signal = _signal_facts(outcome.error)
    if signal is not None:
        facts["signal"] = signal
    elif outcome.error is not None:
        failure = describe(outcome, "failed")
        facts["error"] = {
            "type": failure.type,
            "message": failure.message,
            "traceback": failure.traceback,
            "retryable": retryable,
        }
    return facts


def outcome_of(facts: Header, body: bytes) -> Outcome:
    """Return the outcome that :func:`outcome_facts` described, with its encoded result."""
    error: BaseException | None = None
    trace: str | None = None
    if "signal" in facts:
        error = _signal_of(facts["signal"])
    elif "error" in facts:
        told = facts["error"]
        error = DescribedError(told["message"], type=told["type"], retryable=told["retryable"])
        trace = told["traceback"]
    return Outcome(
        ending=Ending(facts["ended"]), encoded=body or None, error=error, traceback=trace
    )


def _signal_facts(error: BaseException | None) -> Header | None:
    match error:
        case Retry():
            return {"name": "retry", "reason": str(error.reason), "after": error.after}
        case Snooze():
            return {"name": "snooze", "seconds": error.seconds}
        case Discard():
            return {"name": "discard", "reason": str(error.reason)}
        case Cancel():
            return {"name": "cancel"}
        case _:
            return None


def _signal_of(facts: Header) -> Control:
    match facts["name"]:
        case "retry":
            return Retry(facts["reason"], after=facts["after"])
        case "snooze":
            return Snooze(facts["seconds"])
        case "discard":
            return Discard(facts["reason"])
        case _:
            return Cancel()


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode()
