"""The event log."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from litestar_queues_core.errors import StoreError
from litestar_queues_core.ids import JobId
from litestar_queues_core.model import Event, Progress
from litestar_queues_sql.script import NOW, Script, Sql

_APPEND = Sql(
    """
    INSERT INTO $event (job, delivery, sequence, type, task, queue, level, stored_ms, body)
    $rows $skip
""",
    types="id int big text text text text big bytes",
)
_COLUMNS = "seq, job, delivery, sequence, type, task, queue, level, body"
_FILTERS = """
    (CAST(? AS $string) IS NULL OR task = ?) AND (CAST(? AS $string) IS NULL OR queue = ?)
    AND (CAST(? AS $string) IS NULL OR type = ?) AND (CAST(? AS $string) IS NULL OR level = ?)
"""
_READ, _READ_OF_JOB = (
    Sql(
        "SELECT $columns FROM $event WHERE $job seq > ? AND $filters ORDER BY seq LIMIT ?",
        columns=_COLUMNS,
        filters=_FILTERS,
        job=of_job,
    )
    for of_job in ("", "job = ? AND")
)
_LAST = Sql("SELECT seq FROM $event ORDER BY seq DESC LIMIT 1")
_OLDEST = Sql("SELECT seq, stored_ms FROM $event ORDER BY seq LIMIT ?")
_PRUNE = Sql("DELETE FROM $event WHERE seq <= ?")

_NAMES = ("task", "queue", "type", "level")
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def append(events: Sequence[Event]) -> Script[None]:
    """Keep *events*, each once."""
    now_ms: int = yield NOW
    yield _APPEND.many([_row(event, now_ms) for event in events])


def read(
    filters: Mapping[str, str], after: str | None, limit: int
) -> Script[tuple[list[Event], str | None]]:
    """Return events that match, oldest first, and where to go on."""
    unknown = set(filters) - {"job", *_NAMES}
    if unknown:
        raise StoreError(f"events cannot be filtered by {', '.join(sorted(unknown))}")
    params = [value for name in _NAMES for value in [filters.get(name)] * 2]
    start = int(after or 0)
    if "job" in filters:
        rows: list[Any] = yield _READ_OF_JOB(filters["job"], start, *params, limit)
    else:
        rows = yield _READ(start, *params, limit)
    if len(rows) == limit:
        return [_event(row) for row in rows], str(rows[-1][0])
    last: list[tuple[int]] = yield _LAST()
    end = max(start, last[0][0] if last else 0)
    return [_event(row) for row in rows], str(end) if end else None


def prune(older_than: float, limit: int) -> Script[int]:
    """Remove at most *limit* events that came more than so many seconds ago; return how many."""
    now_ms: int = yield NOW
    before_ms = now_ms - int(older_than * 1000)
    rows: list[tuple[int, int]] = yield _OLDEST(limit)
    old = [seq for seq, stored_ms in rows if stored_ms <= before_ms]
    if old:
        yield _PRUNE(old[-1])
    return len(old)


def _row(event: Event, now_ms: int) -> tuple[object, ...]:
    progress = event.progress
    body = {
        "at": event.occurred_ms,
        "worker": event.worker,
        "attempt": event.attempt,
        "message": event.message,
        "progress": progress and [progress.current, progress.total, progress.message],
        "payload": event.payload,
    }
    lean = _encode({name: value for name, value in body.items() if value is not None}).encode()
    about = (event.type, event.task, event.queue, event.level)
    return (event.job_id, event.delivery, event.sequence, *about, now_ms, lean)


def _event(row: Sequence[Any]) -> Event:
    _, job_id, delivery, sequence, type_, task, queue, level, body = row
    more: dict[str, Any] = json.loads(body)
    progress = more.get("progress")
    return Event(
        job_id=JobId(job_id),
        type=type_,
        task=task,
        queue=queue,
        occurred_ms=more["at"],
        worker=more.get("worker"),
        attempt=more.get("attempt", 0),
        delivery=delivery,
        sequence=sequence,
        level=level,
        message=more.get("message"),
        progress=progress and Progress(current=progress[0], total=progress[1], message=progress[2]),
        payload=more.get("payload"),
    )
