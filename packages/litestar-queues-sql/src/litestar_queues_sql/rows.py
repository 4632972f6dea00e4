"""Jobs as rows: which column holds what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from litestar_queues_core.model import Job, JobDetails, KeyRule, NewJob, Status
from litestar_queues_core.wire import (
    decode_errors,
    decode_meta,
    decode_spec,
    encode_meta,
    encode_spec,
)

STATUSES: tuple[Status, ...] = (
    Status.PENDING,
    Status.SCHEDULED,
    Status.RUNNING,
    Status.DISPATCHED,
    Status.COMPLETED,
    Status.FAILED,
    Status.CANCELLED,
    Status.EXPIRED,
)
"""A status is stored as its place here.  SQL texts spell the numbers out: the condition of a
partial index is recognised only if it is literal."""


def status_of(code: int) -> Status:
    """Return the status that is stored as *code*."""
    return STATUSES[code]


CODES = {status: code for code, status in enumerate(STATUSES)}
PENDING, SCHEDULED, RUNNING, DISPATCHED, COMPLETED, FAILED, CANCELLED, EXPIRED = range(8)

STARTED, FINISHED, FOREVER = -1, -2, -3
Moment: TypeAlias = Literal["started", "finished", "forever"]
_MOMENTS: dict[int, Moment] = {STARTED: "started", FINISHED: "finished", FOREVER: "forever"}
_CODES = {moment: code for code, moment in _MOMENTS.items()}

PLAIN = "id, status, lane, job_rank, due_ms, enqueued_ms, spec, payload"
"""The columns that every enqueue fills, as :func:`new_row` gives them."""
NEW = f"{PLAIN}, expires_ms, job_key, key_frees, job_group, meta"
"""With those that few fill: each parameter of a statement costs a quarter of a microsecond."""

PLAIN_TYPES = "id int text int big big bytes bytes"
NEW_TYPES = f"{PLAIN_TYPES} big text big text bytes"

Row = Sequence[Any]


def frees_code(rule: KeyRule) -> int:
    """Return a key rule as it is stored: milliseconds, or one of the negative codes."""
    return rule.until if isinstance(rule.until, int) else _CODES[rule.until]


def read_rule(key: str, frees: int) -> KeyRule:
    """Return the key rule that was stored so."""
    return KeyRule(key=key, until=_MOMENTS.get(frees, frees))


def new_row(new: NewJob, now_ms: int) -> tuple[Any, ...]:
    """Return the row of a job that is enqueued now: the :data:`PLAIN` one, or the :data:`NEW`."""
    spec, rule, meta = new.spec, new.key, new.meta
    due_ms = now_ms + new.delay_ms if new.due_ms is None else new.due_ms
    expires_ms = new.expires_ms
    if expires_ms is None and new.expires_in_ms is not None:
        expires_ms = due_ms + new.expires_in_ms
    plain = (
        new.id,
        SCHEDULED if due_ms > now_ms else PENDING,
        spec.lane,
        -spec.priority,
        due_ms,
        now_ms,
        spec.encoded or encode_spec(spec),
        new.payload,
    )
    if rule is None and meta is None and expires_ms is None:
        return plain
    return (
        *plain,
        expires_ms,
        rule.key if rule else None,
        frees_code(rule) if rule else None,
        meta.group if meta else None,
        encode_meta(meta) if meta else None,
    )


_REQUEST = "id, job_key, key_frees, spec, meta, payload"


def _read_request(row: Row) -> NewJob:
    job_id, key, frees, spec, meta, payload = row
    return NewJob(
        job_id,
        decode_spec(spec),
        payload,
        key=None if key is None else read_rule(key, frees),
        meta=None if meta is None else decode_meta(meta),
    )


HELD = f"""
    {_REQUEST}, lane, due_ms, expires_ms, attempt, rescues, snoozes, put_backs, enqueued_ms, errors
"""
"""What :func:`running_job` reads after the delivery and the start: what a worker needs."""


def running_job(delivery: int, started_ms: int, row: Row, worker: str) -> Job:
    """Return the job of a row of :data:`HELD` as it is handed to a worker."""
    lane, due_ms, expires_ms, attempt, rescues, snoozes, put_backs, enqueued_ms, errors = row[6:]
    return Job(
        _read_request(row[:6]),
        Status.RUNNING,
        lane,
        due_ms,
        attempt,
        delivery,
        rescues,
        snoozes,
        put_backs,
        expires_ms,
        JobDetails(
            enqueued_ms,
            started_ms,
            worker=worker,
            errors=() if errors is None else decode_errors(errors),
        ),
    )


def stored(*, finished_ms: str, worker: str, requested: str, result: str) -> str:
    """Return the columns that :func:`stored_job` reads; some come from elsewhere for live jobs."""
    return f"""
        {_REQUEST},
        status, lane, due_ms, expires_ms, delivery, attempt, rescues, snoozes, put_backs,
        enqueued_ms, started_ms, {finished_ms}, {worker}, {requested}, token, ref,
        {result}, errors, progress
    """


def stored_job(row: Row) -> Job:
    """Return the job that a row of :func:`stored` holds."""
    status, lane, due_ms, expires_ms, delivery, attempt, rescues, snoozes, put_backs = row[6:15]
    return Job(
        new=_read_request(row[:6]),
        status=status_of(status),
        lane=lane,
        due_ms=due_ms,
        attempt=attempt,
        delivery=delivery,
        rescues=rescues,
        snoozes=snoozes,
        put_backs=put_backs,
        expires_ms=expires_ms,
        details=_read_details(row[15:]),
    )


def _read_details(row: Row) -> JobDetails:
    (enqueued, started, finished, worker, requested, token, ref, result, errors, progress) = row
    return JobDetails(
        enqueued_ms=enqueued,
        started_ms=started,
        finished_ms=finished,
        worker=worker,
        result=result,
        errors=decode_errors(errors),
        progress=progress,
        cancel_requested=bool(requested),
        dispatch_token=token,
        dispatch_ref=ref,
    )
