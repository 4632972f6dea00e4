"""What people do with jobs: cancel them, revive them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from litestar_queues_core.errors import QueueError, ResultExpired, StoreError
from litestar_queues_core.ids import JobId
from litestar_queues_core.lanes import ordinary
from litestar_queues_core.model import Status
from litestar_queues_core.settlements import CancelOutcome, Enqueued
from litestar_queues_core.wire import decode_spec
from litestar_queues_sql import keys
from litestar_queues_sql.enqueue import loser, statuses
from litestar_queues_sql.jobs import Ending, Live, announce, finish, live_jobs
from litestar_queues_sql.prune import note_removal, read_state
from litestar_queues_sql.rows import SCHEDULED, read_rule
from litestar_queues_sql.script import NOW, Raise, Script, Sql

_NOTE = Sql("UPDATE $job SET cancelling = 1 WHERE id $among")
_REQUEST = Sql("INSERT INTO $cancel_request (lease, job) VALUES (?, ?) $skip")
_HOLDERS = Sql("SELECT id FROM $lease WHERE num $among")
_ENDED = Sql("SELECT id, lane, job_key, key_frees, spec FROM $history WHERE id $among $lock")
_REVIVE = Sql("""
    INSERT INTO $job (
        status, job_rank, due_ms, lane,
        id, delivery, started_ms, snoozes, enqueued_ms, job_key, key_frees, job_group,
        spec, meta, payload, errors, progress
    )
    SELECT 0, ?, ?, ?,
        id, delivery, started_ms, snoozes, enqueued_ms, job_key, key_frees, job_group,
        spec, meta, payload, errors, progress
    FROM $history WHERE id = ?
""")
_LEAVE_HISTORY = Sql("DELETE FROM $history WHERE id $among")


def cancel(ids: Sequence[JobId], *, running: bool) -> Script[list[CancelOutcome]]:
    """End jobs that wait; ask for the end of those that run, if *running*."""
    now_ms: int = yield NOW
    live = yield from live_jobs(ids)
    waiting = [row for row in live.values() if row.status <= SCHEDULED]
    yield from finish([Ending(row, Status.CANCELLED, row.errors) for row in waiting], now_ms)
    known = yield from statuses([job_id for job_id in ids if job_id not in live])
    if running:
        yield from _request([row for row in live.values() if row.status > SCHEDULED])
    outcomes: list[CancelOutcome] = []
    ended = set(known)
    for job_id in ids:
        outcomes.append(_outcome(live.get(job_id), ended=job_id in ended, running=running))
        if outcomes[-1] is CancelOutcome.CANCELLED:
            ended.add(job_id)
    return outcomes


def _request(rows: Sequence[Live]) -> Script[None]:
    if not rows:
        return
    yield _NOTE([row.id for row in rows])
    yield _REQUEST.many([(row.lease or 0, row.id) for row in rows])
    leases: list[tuple[str]] = yield _HOLDERS(list({row.lease for row in rows if row.lease}))
    yield Raise([f"lease:{lease}" for (lease,) in leases])


def _outcome(row: Live | None, *, ended: bool, running: bool) -> CancelOutcome:
    if ended:
        return CancelOutcome.ALREADY_FINISHED
    if row is None:
        return CancelOutcome.NOT_FOUND
    if row.status <= SCHEDULED:
        return CancelOutcome.CANCELLED
    return CancelOutcome.REQUESTED if running else CancelOutcome.NOT_WAITING


def revive(ids: Sequence[JobId]) -> Script[list[Enqueued]]:
    """Make finished jobs pending again, as new but with their past."""
    now_ms: int = yield NOW
    rows: list[tuple[Any, ...]] = yield _ENDED(ids)
    wanted = {
        job_id: (read_rule(key, frees), job_id, decode_spec(spec).task)
        for job_id, _, key, frees, spec in rows
        if key is not None
    }
    lost = yield from keys.take(list(wanted.values()), now_ms)
    revived = {row[0]: row for row in rows if row[0] not in lost}
    yield from _move(list(revived.values()), now_ms)
    known = yield from statuses([*ids, *(holder for holder, _ in lost.values())])
    losers = {one: loser(wanted[one][0].key, wanted[one][2], lost[one], known) for one in lost}
    return [losers.get(one) or _revival(one, revived, known) for one in ids]


def _move(rows: Sequence[tuple[Any, ...]], now_ms: int) -> Script[None]:
    if not rows:
        return
    lanes = [ordinary(row[1]) for row in rows]
    yield _REVIVE.many(
        [
            (-decode_spec(row[4]).priority, now_ms, lane, row[0])
            for row, lane in zip(rows, lanes, strict=True)
        ]
    )
    top = (yield from read_state()).top
    yield _LEAVE_HISTORY([row[0] for row in rows])
    yield from note_removal(top, len(rows))
    yield announce(((lane, now_ms) for lane in lanes), now_ms)


def _revival(
    job_id: JobId,
    revived: Mapping[JobId, object],
    known: Mapping[JobId, Status],
) -> Enqueued:
    if job_id in revived:
        return Enqueued(id=job_id)
    status = known.get(job_id)
    error: QueueError = ResultExpired(job_id)
    if status is not None:
        error = StoreError(f"job {job_id} is {status}; only a finished job can be revived")
    return Enqueued(id=job_id, created=False, status=status, error=error)
