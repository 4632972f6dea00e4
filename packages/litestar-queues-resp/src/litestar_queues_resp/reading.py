"""Reading what scripts answer, as :mod:`litestar_queues_resp.layout` says."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Any, NamedTuple, TypeAlias

from litestar_queues_core.lanes import suspects_of
from litestar_queues_core.model import (
    AttemptRecord,
    Job,
    JobDetails,
    KeyRule,
    NewJob,
    Status,
    TaskSpec,
)
from litestar_queues_core.wire import decode_errors, decode_meta, decode_spec
from litestar_queues_resp.layout import EXPIRES, KEY, META, MOMENTS, STATUSES, text_id

_RUNNING = Status.RUNNING
_HEAD = Struct(">BBHQQ")
_PLAIN_HEAD = Struct(">BBHQQI")
_RECORD = Struct(">BIQQB")
_U16, _U32, _U64, _DOUBLE = Struct(">H"), Struct(">I"), Struct(">Q"), Struct(">d")


Request: TypeAlias = tuple[NewJob, str, int, int, int | None]
"""A request as it is kept: as a new job, its lane, and when it was enqueued, is due and expires.

A plain tuple, because one is made per job.
"""


_plain: dict[bytes, tuple[TaskSpec, str]] = {}


def _plain_middle(middle: bytes) -> tuple[TaskSpec, str]:
    """Return the spec and the lane; the same objects for the same bytes."""
    end = 1 + middle[0]
    if len(_plain) >= 4096:
        _plain.clear()
    known = _plain[middle] = decode_spec(middle[end + 2 :]), middle[1:end].decode()
    return known


def read_request(raw: bytes, blob: bytes) -> Request:
    """Return the request that *blob* holds."""
    _, flags, _, enqueued_ms, due_ms, length = _PLAIN_HEAD.unpack_from(blob)
    if flags & (KEY | EXPIRES | META):
        return _read_special(raw, blob, flags)
    payload_at = len(blob) - length
    middle = blob[24:payload_at]
    spec, lane = _plain.get(middle) or _plain_middle(middle)
    new = NewJob(text_id(raw), spec, blob[payload_at:])
    return new, lane, enqueued_ms, due_ms, None


def _read_special(raw: bytes, blob: bytes, flags: int) -> Request:
    _, _, _, enqueued_ms, due_ms = _HEAD.unpack_from(blob)
    expires_ms, key, meta = None, None, None
    at = _HEAD.size
    if flags & EXPIRES:
        (expires_ms,) = _U64.unpack_from(blob, at)
        at += 8
    (length,) = _U32.unpack_from(blob, at)
    lane, at = blob[at + 5 : at + 5 + blob[at + 4]].decode(), at + 5 + blob[at + 4]
    if flags & KEY:
        end = at + 2 + _U16.unpack_from(blob, at)[0]
        rule = int(_DOUBLE.unpack_from(blob, end)[0])
        text = blob[at + 2 : end].decode("utf-8", "surrogatepass")
        key, at = KeyRule(key=text, until=MOMENTS.get(rule, rule)), end + 8
    if flags & META:
        end = at + 4 + _U32.unpack_from(blob, at)[0]
        meta, at = decode_meta(blob[at + 4 : end]), end
    spec = decode_spec(blob[at + 2 : at + 2 + _U16.unpack_from(blob, at)[0]])
    new = NewJob(text_id(raw), spec, blob[len(blob) - length :], key=key, meta=meta)
    return new, lane, enqueued_ms, due_ms, expires_ms


class Past(NamedTuple):
    """What a job has been through."""

    delivery: int = 0
    attempt: int = 0
    rescues: int = 0
    snoozes: int = 0
    put_backs: int = 0
    suspect: int = 0
    due_ms: int = 0
    started_ms: int = 0


def read_past(data: bytes | None, due_ms: int) -> Past:
    """Return the past of a job that was due at *due_ms* at first."""
    return Past(due_ms=due_ms) if data is None else Past(*map(int, data.split()))


def read_errors(data: bytes | None) -> Sequence[AttemptRecord]:
    """Return attempt records, which are kept as lines of JSON."""
    return decode_errors(b"[" + data.replace(b"\n", b",") + b"]") if data else ()


class Held(NamedTuple):
    """How a lease holds a job: the delivery, the start, the lane it came from."""

    delivery: int
    started_ms: int
    lane: str


def fresh_jobs(ids: Sequence[bytes], blobs: Sequence[bytes], now_ms: int, worker: str) -> list[Job]:
    """Return jobs that are handed out for the first time, from their ids and requests."""
    jobs: list[Job] = []
    details = JobDetails(0, now_ms, None, worker)
    for raw, blob in zip(ids, blobs, strict=True):
        new, lane, enqueued_ms, due_ms, expires_ms = read_request(raw, blob)
        if enqueued_ms != details.enqueued_ms:  # what was enqueued together shares them
            details = JobDetails(enqueued_ms, now_ms, None, worker)
        jobs.append(Job(new, _RUNNING, lane, due_ms, 0, 1, 0, 0, 0, expires_ms, details))
    return jobs


class Kept(NamedTuple):
    """What is kept of a job that has not finished."""

    raw: bytes
    request: bytes
    past: bytes | None
    errors: bytes | None


def held_job(kept: Kept, held: Held | None, now_ms: int, worker: str) -> Job:
    """Return a job as its worker holds it; *held* is ``None`` if it has just been handed out."""
    new, lane, enqueued_ms, due_ms, expires_ms = read_request(kept.raw, kept.request)
    been = read_past(kept.past, due_ms)
    if held is None:
        lane = suspects_of(lane) if been.suspect else lane
        held = Held(been.delivery + 1, now_ms, lane)
    details = JobDetails(
        enqueued_ms, held.started_ms, worker=worker, errors=read_errors(kept.errors)
    )
    return Job(
        new,
        Status.RUNNING,
        held.lane,
        been.due_ms,
        been.attempt,
        held.delivery,
        been.rescues,
        been.snoozes,
        been.put_backs,
        expires_ms,
        details,
    )


class _End(NamedTuple):
    """How a job ended: its record."""

    delivery: int
    started_ms: int | None
    finished_ms: int
    worker: str | None
    result: bytes | None


def _read_record(record: bytes) -> _End:
    _, delivery, started_ms, finished_ms, length = _RECORD.unpack_from(record)
    at = _RECORD.size + length
    worker = record[_RECORD.size : at].decode() or None
    has_result = _U32.unpack_from(record, at)[0] > 0
    result = record[at + 4 :] if has_result else None
    return _End(delivery, started_ms or None, finished_ms, worker, result)


def seen_job(raw: bytes, view: Sequence[Any]) -> Job:
    """Return the job that a script has looked at (``lib/looking.lua``)."""
    _, blob, record, past, errors, progress, held, worker, requested = view
    code: int = view[0]
    new, lane, enqueued_ms, due_ms, expires_ms = read_request(raw, blob)
    been = read_past(past, due_ms)
    lane = suspects_of(lane) if been.suspect else lane
    end = _End(been.delivery, been.started_ms or None, 0, None, None)
    if record:
        end = _read_record(record)
    elif held:
        end = _End(held[0], held[1], 0, worker.decode(), None)
        lane = held[2].decode()
    return Job(
        new=new,
        status=STATUSES[code],
        lane=lane,
        due_ms=been.due_ms,
        attempt=been.attempt,
        delivery=end.delivery,
        rescues=been.rescues,
        snoozes=been.snoozes,
        put_backs=been.put_backs,
        expires_ms=expires_ms,
        details=JobDetails(
            enqueued_ms=enqueued_ms,
            started_ms=end.started_ms,
            finished_ms=end.finished_ms or None,
            worker=end.worker,
            result=end.result,
            errors=read_errors(errors),
            progress=progress,
            cancel_requested=bool(requested),
        ),
    )
