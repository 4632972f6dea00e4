"""The event log."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from litestar_queues_core.errors import StoreError
from litestar_queues_core.ids import JobId
from litestar_queues_core.model import Event, Progress
from litestar_queues_sql.script import NOW, Script, Sql

APPEND = Sql(
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
_NEWEST = Sql("SELECT seq, stored_ms FROM $event ORDER BY seq DESC LIMIT ?")
_OLDEST = Sql("SELECT seq, stored_ms FROM $event ORDER BY seq LIMIT ?")
_PRUNE = Sql("DELETE FROM $event WHERE seq <= ?")

LOOKED_AT = 1000
"""Among so many of the newest events a missing number is looked for."""

_NAMES = ("task", "queue", "type", "level")
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def append(events: Sequence[Event]) -> Script[None]:
    """Keep *events*, each once."""
    now_ms: int = yield NOW
    once = {(event.job_id, event.delivery, event.sequence): event for event in reversed(events)}
    yield APPEND.many([_row(event, now_ms) for event in reversed(once.values())])


def read(
    filters: Mapping[str, str], after: str | None, limit: int, *, open_ms: int = 0
) -> Script[tuple[list[Event], str | None]]:
    """Return events that match, oldest first, and where to go on.

    Args:
        filters: What they must match.
        after: Where to begin.
        limit: At most so many.
        open_ms: How long a transaction may hold back events with lower numbers than those which
            others have committed meanwhile; a reader who goes on past them would miss them.
    """
    unknown = set(filters) - {"job", *_NAMES}
    if unknown:
        raise StoreError(f"events cannot be filtered by {', '.join(sorted(unknown))}")
    params = [value for name in _NAMES for value in [filters.get(name)] * 2]
    start = int(after or 0)
    most = (yield from _end_of_known(open_ms)) if open_ms else None
    if "job" in filters:
        rows: list[Any] = yield _READ_OF_JOB(filters["job"], start, *params, limit)
    else:
        rows = yield _READ(start, *params, limit)
    if most is not None:
        rows = [row for row in rows if row[0] <= most]
    if len(rows) == limit:
        return [_event(row) for row in rows], str(rows[-1][0])
    last: list[tuple[int]] = yield _LAST()
    end = max(start, last[0][0] if last else 0)
    if most is not None:
        end = max(start, most)
    return [_event(row) for row in rows], str(end) if end else None


def _end_of_known(open_ms: int) -> Script[int | None]:
    """Return the last number before the first that is missing, and may be coming yet."""
    now_ms: int = yield NOW
    rows: list[tuple[int, int]] = yield _NEWEST(LOOKED_AT)
    young = [seq for seq, stored_ms in rows if stored_ms > now_ms - open_ms]
    for seq, next_seq in zip(young[::-1], young[-2::-1], strict=False):
        if next_seq != seq + 1:
            return seq
    if young and len(young) < len(rows) and young[-1] != rows[len(young)][0] + 1:
        return rows[len(young)][0]
    return None


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
