"""Live jobs on the move: to history, back to waiting."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from litestar_queues_core.ids import JobId
from litestar_queues_core.lifecycle import attempt_record, kept
from litestar_queues_core.model import Failure, Status
from litestar_queues_core.wire import decode_errors, encode_errors
from litestar_queues_sql import keys
from litestar_queues_sql.rows import CODES, FINISHED, PENDING, SCHEDULED, STARTED
from litestar_queues_sql.script import Raise, Script, Sql

SOON_MS = 5000
"""A job due so soon counts as waiting in its lane; its worker rests no longer than that."""

LIVE = """
    id, status, lease, delivery, lane, due_ms, started_ms, rescues, job_key, key_frees, token,
    spec, errors, cancelling
"""


class Live(NamedTuple):
    """What must be known of a live job to move it; a row of :data:`LIVE`."""

    id: JobId
    status: int
    lease: int | None
    delivery: int
    lane: str
    due_ms: int
    started_ms: int | None
    rescues: int
    job_key: str | None
    key_frees: int | None
    token: str | None
    spec: bytes
    errors: bytes | None
    cancelling: int

    def errors_with(self, failure: Failure | None, *, worker: str, now_ms: int) -> bytes | None:
        """Return the attempt records once *failure* is one of them."""
        if failure is None:
            return self.errors
        record = attempt_record(
            failure,
            delivery=self.delivery,
            worker=worker,
            started_ms=self.started_ms or now_ms,
            finished_ms=now_ms,
        )
        return encode_errors(kept([*decode_errors(self.errors), record]))


class Ending(NamedTuple):
    """How a live job ends."""

    row: Live
    status: Status
    errors: bytes | None
    result: bytes | None = None
    worker: str | None = None
    attempts: int = 0
    rescues: int = 0


class Waiting(NamedTuple):
    """How a live job waits again."""

    row: Live
    lane: str
    due_ms: int
    errors: bytes | None
    attempts: int = 0
    rescues: int = 0
    snoozes: int = 0
    put_backs: int = 0


_LOCK = Sql("SELECT $live FROM $job WHERE id $among $lock", live=LIVE)
_LOCK_FREE = Sql("SELECT $live FROM $job WHERE id $among $locked", live=LIVE)
_LOOK = Sql("SELECT $live FROM $job WHERE id $among", live=LIVE)
_FINISH = Sql(
    """
    INSERT INTO $history (
        id, status, finished_ms, errors, result, worker, attempt, rescues, $kept
    )
    WITH ended (id, status, finished_ms, errors, result, worker, attempts, rescues) AS ($rows)
    SELECT
        ended.id, ended.status, ended.finished_ms, ended.errors, ended.result, ended.worker,
        attempt + ended.attempts, job.rescues + ended.rescues, $kept
    FROM ended CROSS JOIN $job AS job WHERE job.id = ended.id
    """,
    kept="""
        lane, due_ms, expires_ms, delivery, started_ms, snoozes, put_backs, enqueued_ms,
        job_key, key_frees, job_group, token, ref, spec, meta, payload, progress
    """,
    types="id int big bytes bytes text int int",
)
_DELETE = Sql("DELETE FROM $job WHERE id $among")
_WAIT = Sql("""
    UPDATE $job SET status = ?, lane = ?, due_ms = ?, errors = ?, lease = NULL, token = NULL,
        ref = NULL, attempt = attempt + ?, rescues = rescues + ?, snoozes = snoozes + ?,
        put_backs = put_backs + ?
    WHERE id = ?
""")
_FORGET_REQUEST = Sql("DELETE FROM $cancel_request WHERE lease = ? AND job = ?")


def live_jobs(ids: Sequence[JobId]) -> Script[dict[JobId, Live]]:
    """Return those of *ids* that are live, once nobody else changes them."""
    rows: list[tuple[object, ...]] = yield _LOCK(ids)
    return {job.id: job for job in map(Live._make, rows)}


def free_jobs(ids: Sequence[JobId]) -> Script[tuple[dict[JobId, Live], dict[JobId, Live]]]:
    """Return those of *ids* that are live and that nobody else changes, and the other live ones."""
    rows: list[tuple[object, ...]] = yield _LOCK_FREE(ids)
    free = {job.id: job for job in map(Live._make, rows)}
    missing = [job_id for job_id in ids if job_id not in free]
    if not missing:
        return free, {}
    rows = yield _LOOK(missing)
    return free, {job.id: job for job in map(Live._make, rows)}


def finish(endings: Sequence[Ending], now_ms: int) -> Script[None]:
    """Move jobs to history and free their keys."""
    if not endings:
        return
    yield _FINISH.many([(one.row.id, CODES[one.status], now_ms, *one[2:]) for one in endings])
    yield _DELETE([one.row.id for one in endings])
    yield from keys.free(
        (row.job_key, row.id)
        for row, *_ in endings
        if row.job_key is not None and row.key_frees in (STARTED, FINISHED)
    )
    yield Raise([f"job:{one.row.id}" for one in endings])


def put_back(waiting: Sequence[Waiting], now_ms: int) -> Script[None]:
    """Let jobs wait again, for nobody in particular."""
    if not waiting:
        return
    yield _WAIT.many(
        [(SCHEDULED if one.due_ms > now_ms else PENDING, *one[1:], one.row.id) for one in waiting]
    )
    yield announce(((one.lane, one.due_ms) for one in waiting), now_ms)


def forget_requests(rows: Iterable[Live]) -> Script[None]:
    """Forget the cancel requests of jobs that have moved on."""
    met = [(row.lease or 0, row.id) for row in rows if row.cancelling]
    if met:
        yield _FORGET_REQUEST.many(met)


def announce(waiting: Iterable[tuple[str, int]], now_ms: int) -> Raise:
    """Return the request to wake the workers of jobs that wait in (lane, due instant)."""
    soon = now_ms + SOON_MS
    return Raise({f"lane:{lane}" for lane in {lane for lane, due_ms in waiting if due_ms <= soon}})
