"""Looking through a memory store."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from itertools import islice

from litestar_queues_core.model import Status
from litestar_queues_core.queries import foreign_cursor
from litestar_queues_core.settlements import Count, JobQuery, LeaseView, Page, QueueCounts
from litestar_queues_core.stores.memory.jobs import Jobs
from litestar_queues_core.stores.memory.rows import Lease, Row

ALL_QUEUES = "*"

_CURSOR = re.compile("[0-9]{1,18}")


def find(jobs: Jobs, query: JobQuery, now_ms: int) -> Page:
    """Return jobs that match, newest first."""
    matches = islice(_matches(jobs, query, now_ms), query.limit + 1)
    rows = list(matches)
    page = rows[: query.limit]
    cursor = str(page[-1].number) if len(rows) > query.limit and page else None
    return Page(jobs=[row.job() for row in page], cursor=cursor)


def _matches(jobs: Jobs, query: JobQuery, now_ms: int) -> Iterator[Row]:
    before = math.inf if query.cursor is None else _position(query.cursor)
    for row in _candidates(jobs, query.key, now_ms):
        if row.number < before and _fits(row, query):
            yield row


def _position(cursor: str) -> int:
    if not _CURSOR.fullmatch(cursor):
        raise foreign_cursor(cursor)
    return int(cursor)


def _candidates(jobs: Jobs, key: str | None, now_ms: int) -> Iterable[Row]:
    if key is None:
        return reversed(jobs.rows.values())
    holder = jobs.keys.holder(key, now_ms)
    row = jobs.rows.get(holder.job_id) if holder else None
    return [row] if row else []


def _fits(row: Row, query: JobQuery) -> bool:
    spec = row.new.spec
    return (
        (not query.status or row.status in query.status)
        and (query.queue is None or spec.queue == query.queue)
        and (query.task is None or spec.task == query.task)
        and (query.text is None or _says(row, query.text))
    )


def _says(row: Row, text: str) -> bool:
    return text in row.id or text in row.new.spec.task or text in (row.job().error or "")


def count(jobs: Jobs, leases: Collection[Lease], now_ms: int) -> QueueCounts:
    """Return how many jobs stand where, without looking at each."""
    numbers: Counter[tuple[str, Status]] = Counter()
    for queue, status, value in jobs.waiting.counts():
        numbers[queue, status] += value
    for lease in leases:
        for row in lease.held.values():
            numbers[row.new.spec.queue, row.status] += 1
    for status, value in jobs.history.counts().items():
        numbers[ALL_QUEUES, status] = value
    return QueueCounts(
        counts=[
            Count(queue=queue, status=status, value=value)
            for (queue, status), value in sorted(numbers.items())
            if value
        ],
        leases=[_view(lease, now_ms) for lease in leases],
        oldest_pending_ms=jobs.waiting.oldest_pending_ms,
        now_ms=now_ms,
    )


def _view(lease: Lease, now_ms: int) -> LeaseView:
    return LeaseView(
        lease=lease.id,
        worker=lease.worker.name,
        host=lease.worker.host,
        pid=lease.worker.pid,
        held=len(lease.held),
        expires_in=(lease.expires_ms - now_ms) / 1000,
        dead=lease.dead,
        queues=lease.worker.queues,
    )
