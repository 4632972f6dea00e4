"""Taking jobs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from operator import itemgetter

from litestar_queues_core.errors import KeyBusyError, KeyConflictError
from litestar_queues_core.ids import JobId
from litestar_queues_core.model import NewJob, Status
from litestar_queues_core.settlements import Enqueued
from litestar_queues_sql import keys
from litestar_queues_sql.jobs import announce
from litestar_queues_sql.rows import (
    NEW,
    NEW_TYPES,
    PLAIN,
    PLAIN_TYPES,
    Row,
    new_row,
    status_of,
)
from litestar_queues_sql.script import NOW, Script, Sql

_INSERT = Sql("INSERT INTO $job ($new) $rows $skip", types=NEW_TYPES, new=NEW)
_INSERT_PLAIN = Sql("INSERT INTO $job ($plain) $rows $skip", types=PLAIN_TYPES, plain=PLAIN)
_WIDTH = PLAIN.count(",") + 1
_NEWEST_FINISHED = Sql("SELECT id FROM $history ORDER BY id DESC LIMIT 1")
_FINISHED = Sql("SELECT id FROM $history WHERE id $among")
_KNOWN = Sql("SELECT id FROM $job WHERE id $among")
_STATUSES = Sql("""
    SELECT id, status FROM $job WHERE id $among
    UNION ALL SELECT id, status FROM $history WHERE id $among
""")

_TAKE_BACK = Sql("DELETE FROM $job WHERE id $among")

_ID, _STATUS, _LANE, _DUE, _KEY = 0, 1, 2, 4, 9


def enqueue(jobs: Sequence[NewJob]) -> Script[list[Enqueued]]:
    """Take those of *jobs* that are not known and get their keys."""
    now_ms: int = yield NOW
    rows = {job.id: new_row(job, now_ms) for job in jobs}
    known = yield from _finished(list(rows))
    lost = yield from _take_keys(jobs, known, now_ms)
    new = sorted(
        rows.values() if not (known or lost) else _without(rows, {*known, *lost}), key=itemgetter(0)
    )
    yield from _insert(new)
    yield announce(((row[_LANE], row[_DUE]) for row in new), now_ms)
    taken = {
        job_id: Enqueued(job_id, True, status_of(row[_STATUS])) for job_id, row in rows.items()
    }
    if lost:
        taken |= yield from _losers(jobs, lost)
    return [taken[job.id] for job in jobs]


def _insert(new: Sequence[Row]) -> Script[None]:
    """Insert jobs, but none that has finished meanwhile; two batches meet in the order of ids."""
    plain = [row for row in new if len(row) == _WIDTH]
    yield _INSERT_PLAIN.many(plain)
    if len(plain) < len(new):
        yield _INSERT.many([row for row in new if len(row) > _WIDTH])
    ended = yield from _finished([row[_ID] for row in new])
    if ended:
        yield _TAKE_BACK(list(ended))
        yield from keys.free(
            (row[_KEY], row[_ID])
            for row in new
            if row[_ID] in ended and len(row) > _WIDTH and row[_KEY] is not None
        )


def statuses(ids: Sequence[JobId]) -> Script[dict[JobId, Status]]:
    """Return the statuses of those jobs that are known."""
    rows: list[tuple[JobId, int]] = yield _STATUSES(ids, ids)
    return {job_id: status_of(code) for job_id, code in rows}


def _without(rows: Mapping[JobId, Row], ids: Collection[JobId]) -> list[Row]:
    return [row for job_id, row in rows.items() if job_id not in ids]


def _finished(ids: Sequence[JobId]) -> Script[set[JobId]]:
    """Return those of *ids* that have finished already.  Ids rise, so the newest one decides."""
    newest: list[tuple[JobId]] = yield _NEWEST_FINISHED()
    if not newest or not ids or min(ids) > newest[0][0]:
        return set()
    found: list[tuple[JobId]] = yield _FINISHED(ids)
    return {job_id for (job_id,) in found}


def _take_keys(
    jobs: Sequence[NewJob], finished: Collection[JobId], now_ms: int
) -> Script[keys.Lost]:
    """Take the keys of jobs that are new; a job that is known has had its turn."""
    wanted = [
        (job.key, job.id, job.spec.task)
        for job in jobs
        if job.key is not None and job.id not in finished
    ]
    if not wanted:
        return {}
    found: list[tuple[JobId]] = yield _KNOWN([job_id for _, job_id, _ in wanted])
    live = {job_id for (job_id,) in found}
    return (yield from keys.take([one for one in wanted if one[1] not in live], now_ms))


def _losers(jobs: Sequence[NewJob], lost: keys.Lost) -> Script[dict[JobId, Enqueued]]:
    known = yield from statuses([holder for holder, _ in lost.values()])
    return {
        job.id: loser(job.key.key, job.spec.task, lost[job.id], known)
        for job in jobs
        if job.id in lost and job.key is not None
    }


def loser(key: str, task: str, lost: tuple[JobId, str], known: Mapping[JobId, Status]) -> Enqueued:
    """Return the answer to a job of *task* that did not get its key."""
    holder, other = lost
    error = None if other == task else KeyConflictError(key, task=task, holder=other)
    return Enqueued(id=holder, created=False, status=known.get(holder), error=error)


def busy(job: NewJob, cause: Exception) -> Enqueued:
    """Return the answer to a job whose key was waited for in vain."""
    key = "" if job.key is None else job.key.key
    error = KeyBusyError(
        f"the key {key!r} is locked by somebody's open transaction; try again once it has ended"
    )
    error.__cause__ = cause
    return Enqueued(job.id, False, None, error)
