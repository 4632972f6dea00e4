"""Looking at jobs: by id, page by page, and in numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from heapq import merge
from itertools import islice
from typing import Any

from litestar_queues_core.ids import JobId
from litestar_queues_core.lanes import queue_of
from litestar_queues_core.model import Job, Status
from litestar_queues_core.queries import foreign_cursor
from litestar_queues_core.settlements import Count, JobQuery, LeaseView, Page, QueueCounts
from litestar_queues_sql.keys import holder_of
from litestar_queues_sql.prune import size_up_to
from litestar_queues_sql.rows import CODES, COMPLETED, RUNNING, STATUSES, Row, stored, stored_job
from litestar_queues_sql.script import NOW, Script, Sql

WINDOW = 1000
"""So many jobs are looked at for one page of a query by task or text."""

CAP = 10_000
"""Larger numbers of jobs are not counted out."""

_CURSOR = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NEWEST = "ffffffff-ffff-ffff-ffff-ffffffffffff"
_LIVE = stored(
    finished_ms="NULL",
    worker="(SELECT worker FROM $lease AS holder WHERE holder.num = one.lease)",
    requested="cancelling",
    result="NULL",
)
_ENDED = stored(finished_ms="finished_ms", worker="worker", requested="0", result="result")
_PAGE = """
    AND id < ?
    AND (CAST(? AS $string) IS NULL OR lane = ? OR lane = ? OR substr(lane, 1, ?) = ?)
    ORDER BY id DESC LIMIT ?
"""

_GET_LIVE = Sql("SELECT $columns FROM $job AS one WHERE id $among", columns=_LIVE)
_ENDED_IDS = Sql("SELECT id FROM $history WHERE id $among")
_GET_ENDED = Sql("SELECT $columns FROM $history AS one WHERE id $among", columns=_ENDED)


def _page_of(table: str, condition: str, columns: str) -> Sql:
    return Sql(
        "SELECT $columns FROM $table AS one WHERE $condition $page",
        table=table,
        condition=condition,
        columns=columns,
        page=_PAGE,
    )


_ALL = (_page_of("$job", "1 = 1", _LIVE), _page_of("$history", "1 = 1", _ENDED))
_LIVE_OF = _page_of("$job", "status = ?", _LIVE)
_RUNNING = _page_of(
    "$job", "id IN (SELECT id FROM $job WHERE lease IS NOT NULL) AND status = ?", _LIVE
)
_COMPLETED = _page_of("$history", "status = ?", _ENDED)
_ENDED_OF = _page_of("$history", "status = ? AND status <> 4", _ENDED)

COUNT_READY = Sql("""
    WITH RECURSIVE ready (lane) AS (
        SELECT (SELECT min(lane) FROM $job WHERE status = 0)
        UNION ALL
        SELECT (SELECT min(lane) FROM $job WHERE status = 0 AND lane > ready.lane)
        FROM ready WHERE ready.lane IS NOT NULL
    )
    SELECT lane, (
        SELECT count(*) FROM (
            SELECT 1 FROM $job AS one WHERE status = 0 AND one.lane = ready.lane LIMIT ?
        ) AS capped
    ) FROM ready WHERE lane IS NOT NULL
""")
_COUNT_LIVE = tuple(
    Sql(
        """
        SELECT status, lane, count(*) FROM (
            SELECT status, lane FROM $job WHERE $condition LIMIT ?
        ) AS capped GROUP BY status, lane
        """,
        condition=condition,
    )
    for condition in ("status = 1", "lease IS NOT NULL", "status = 3")
)
_COUNT_ENDED = Sql("""
    SELECT status, count(*) FROM (
        SELECT status FROM $history WHERE status <> 4 LIMIT ?
    ) AS capped GROUP BY status
""")
_OLDEST = Sql("""
    WITH RECURSIVE ranks (job_rank) AS (
        SELECT (SELECT min(job_rank) FROM $job WHERE status = 0 AND lane = ?)
        UNION ALL
        SELECT (
            SELECT min(job_rank) FROM $job AS one
            WHERE status = 0 AND lane = ? AND one.job_rank > ranks.job_rank
        ) FROM ranks WHERE ranks.job_rank IS NOT NULL
    )
    SELECT min((
        SELECT min(due_ms) FROM $job AS one
        WHERE status = 0 AND lane = ? AND one.job_rank = ranks.job_rank
    )) FROM ranks
""")
_LEASES = Sql("""
    SELECT id, worker, host, pid,
        (SELECT count(*) FROM $job WHERE $job.lease = $lease.num), expires_ms, dead, about
    FROM $lease ORDER BY num
""")


def get(ids: Sequence[JobId]) -> Script[list[Job | None]]:
    """Return jobs, finished ones included."""
    live: list[Row] = yield _GET_LIVE(ids)
    found = {row[0]: stored_job(row) for row in live}
    missing = [job_id for job_id in ids if job_id not in found]
    if missing:
        ended: list[Row] = yield _GET_ENDED(missing)
        found |= {row[0]: stored_job(row) for row in ended}
    return [found.get(job_id) for job_id in ids]


def ended(ids: Sequence[JobId]) -> Script[list[JobId]]:
    """Return those of *ids* that have ended."""
    rows: list[tuple[JobId]] = yield _ENDED_IDS(ids)
    return [job_id for (job_id,) in rows]


def find(query: JobQuery) -> Script[Page]:
    """Return a page of jobs, newest first."""
    if query.key is not None:
        return (yield from _find_holder(query, query.key))
    sifted = query.task is not None or query.text is not None
    number = WINDOW if sifted else query.limit
    streams: list[list[Row]] = []
    for sql, code in _sources(query.status):
        rows: list[Row] = yield sql(*code, *_position(query), number + 1)
        streams.append(rows)
    merged = merge(*streams, key=lambda row: row[0], reverse=True)
    jobs = [stored_job(row) for row in islice(merged, number + 1)]
    return _page(query, jobs[:number], more=len(jobs) > number)


def _page(query: JobQuery, jobs: Sequence[Job], *, more: bool) -> Page:
    fitting = [job for job in jobs if _fits(query, job)]
    if len(fitting) > query.limit:
        fitting = fitting[: query.limit]
        return Page(jobs=fitting, cursor=fitting[-1].id)
    return Page(jobs=fitting, cursor=jobs[-1].id if more else None)


def _sources(wanted: Sequence[Status]) -> Iterable[tuple[Sql, tuple[int, ...]]]:
    """Return the statements that find jobs of the *wanted* statuses, with their parameters."""
    if not wanted:
        return [(sql, ()) for sql in _ALL]
    special = {RUNNING: _RUNNING, COMPLETED: _COMPLETED}
    return [
        (special.get(code, _LIVE_OF if code < COMPLETED else _ENDED_OF), (code,))
        for code in {CODES[status] for status in wanted}
    ]


def _position(query: JobQuery) -> tuple[object, ...]:
    queue = query.queue
    start = _NEWEST if query.cursor is None else query.cursor
    if not _CURSOR.fullmatch(start):
        raise foreign_cursor(start)
    if queue is None:
        return (start, None, None, None, None, None)
    return (start, queue, queue, f"{queue}~", len(queue) + 1, f"{queue}@")


def _find_holder(query: JobQuery, key: str) -> Script[Page]:
    job_id = yield from holder_of(key)
    found = (yield from get([job_id])) if job_id is not None else []
    jobs = [job for job in found if job is not None]
    return Page(
        jobs=[
            job
            for job in jobs
            if (not query.status or job.status in query.status)
            and query.queue in (None, job.queue)
            and _fits(query, job)
        ],
        cursor=None,
    )


def _fits(query: JobQuery, job: Job) -> bool:
    if query.task is not None and job.task != query.task:
        return False
    text = query.text
    return text is None or text in job.id or text in job.task or text in (job.error or "")


def count() -> Script[QueueCounts]:
    """Count the jobs, up to a cap where that takes time."""
    ready: list[tuple[str, int]] = yield COUNT_READY(CAP + 1)
    counts = _Counts()
    for lane, value in ready:
        counts.add(queue_of(lane), Status.PENDING, min(value, CAP), exact=value <= CAP)
    for sql in _COUNT_LIVE:
        groups: list[tuple[int, str, int]] = yield sql(CAP)
        exact = sum(value for _, _, value in groups) < CAP
        for code, lane, value in groups:
            counts.add(queue_of(lane), STATUSES[code], value, exact=exact)
    ended: list[tuple[int, int]] = yield _COUNT_ENDED(CAP)
    others = sum(value for _, value in ended)
    for code, value in ended:
        counts.add("*", STATUSES[code], value, exact=others < CAP)
    size = yield from size_up_to(CAP)
    counts.add("*", Status.COMPLETED, size - others, exact=others < CAP)
    now_ms: int = yield NOW
    return QueueCounts(
        counts=counts.found(),
        leases=(yield from _leases(now_ms)),
        oldest_pending_ms=(yield from _oldest([lane for lane, _ in ready])),
        now_ms=now_ms,
    )


class _Counts:
    """Numbers that are summed up by queue and status."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, Status], Count] = {}

    def add(self, queue: str, status: Status, value: int, *, exact: bool) -> None:
        known = self._counts.get((queue, status))
        if known is not None:
            value, exact = value + known.value, exact and known.exact
        count = Count(queue=queue, status=status, value=value, exact=exact)
        self._counts[queue, status] = count

    def found(self) -> list[Count]:
        return [one for one in self._counts.values() if one.value]


def _oldest(lanes: Sequence[str]) -> Script[int | None]:
    """Return when the pending job was due that has waited longest."""
    oldest: list[int] = []
    for lane in lanes:
        rows: list[tuple[int | None]] = yield _OLDEST(lane, lane, lane)
        oldest += [due_ms for (due_ms,) in rows if due_ms is not None]
    return min(oldest, default=None)


def _leases(now_ms: int) -> Script[list[LeaseView]]:
    rows: list[tuple[Any, ...]] = yield _LEASES()
    return [
        LeaseView(
            lease=lease,
            worker=worker,
            host=host,
            pid=pid,
            held=held,
            expires_in=(expires_ms - now_ms) / 1000,
            dead=bool(dead),
            queues=tuple(json.loads(about)["queues"]),
        )
        for lease, worker, host, pid, held, expires_ms, dead, about in rows
    ]
