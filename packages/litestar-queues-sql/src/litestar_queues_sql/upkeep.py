"""Maintenance: a survey that only reads, and bounded pieces of what it found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from litestar_queues_core.ids import JobId, LeaseId
from litestar_queues_core.lanes import queue_of
from litestar_queues_core.lifecycle import rescue_failure, rescued_lane, rescued_status
from litestar_queues_core.model import Retention, Status
from litestar_queues_core.pieces import AT_ONCE
from litestar_queues_core.settlements import MaintenancePolicy, Moved
from litestar_queues_core.wire import decode_spec
from litestar_queues_sql import keys
from litestar_queues_sql.jobs import (
    LIVE,
    Ending,
    Live,
    Waiting,
    announce,
    finish,
    forget_requests,
    put_back,
)
from litestar_queues_sql.leases import forget_lease
from litestar_queues_sql.prune import is_prunable, prune
from litestar_queues_sql.rows import STATUSES
from litestar_queues_sql.script import NOW, Script, Sql

LEASE_KEPT_MS = 86_400_000
"""A dead lease is remembered so long, and so is that it cannot be opened again."""

_SURVEY = Sql("""
    SELECT
        (SELECT min(expires_ms) FROM $lease WHERE dead = 0),
        (SELECT min(expires_ms) FROM $lease WHERE dead = 1),
        (SELECT count(*) FROM $lease WHERE dead = 1
            AND EXISTS (SELECT 1 FROM $job WHERE $job.lease = $lease.num)),
        (SELECT min(expires_ms) FROM $job WHERE status < 2 AND expires_ms IS NOT NULL),
        (SELECT min(due_ms) FROM $job WHERE status = 1),
        (SELECT min(frees_ms) FROM $unique_key WHERE frees_ms IS NOT NULL)
""")
_MARK_DEAD = Sql("""
    UPDATE $lease SET dead = 1 WHERE num IN (
        SELECT num FROM (
            SELECT num FROM $lease WHERE dead = 0 AND expires_ms < ? LIMIT ? $locked
        ) AS late
    )
""")
_LATE = Sql("SELECT num FROM $lease WHERE dead = 0 AND expires_ms < ? LIMIT ?")
_OLD = Sql("""
    SELECT num, id FROM $lease WHERE dead = 1 AND expires_ms < ?
        AND NOT EXISTS (SELECT 1 FROM $job WHERE $job.lease = $lease.num)
    LIMIT ?
""")
_DEAD = Sql("SELECT num, worker FROM $lease WHERE dead = 1")
_HELD = Sql("SELECT $live FROM $job WHERE lease = ? LIMIT ? $locked", live=LIVE)
_EXPIRED = Sql(
    """
    SELECT $live FROM $job $by_expiry
    WHERE status < 2 AND expires_ms IS NOT NULL AND expires_ms <= ?
    ORDER BY expires_ms LIMIT ? $locked
    """,
    live=LIVE,
)
_DUE = Sql("""
    SELECT $place, id, lane, spec FROM $job $by_due WHERE status = 1 AND due_ms <= ?
    ORDER BY due_ms LIMIT ? $locked
""")
_PROMOTE = Sql("UPDATE $job SET status = 0 WHERE $place $among")


class Done(NamedTuple):
    """What one piece did.

    Attributes:
        moved: Jobs it moved.
        pruned: Number of jobs it removed.
        more: Whether its size cut it short.
    """

    moved: Sequence[Moved] = ()
    pruned: int = 0
    more: bool = False


Duty: TypeAlias = Callable[[int], Script[Done]]
"""Does a piece of so many jobs at most."""


def survey(policy: MaintenancePolicy) -> Script[tuple[list[Duty], int | None, int]]:
    """Return the duties that have something to do, the next due instant, and the clock."""
    now_ms: int = yield NOW
    rows: list[tuple[int | None, ...]] = yield _SURVEY()
    alive, dead, lost, expiry, due, key = rows[0]
    duties: list[tuple[bool, Duty]] = [
        (policy.rescue and is_past(alive, now_ms), mark_dead),
        (policy.rescue and (bool(lost) or is_past(alive, now_ms)), rescue),
        (is_past(expiry, now_ms), expire),
        (is_past(due, now_ms), promote),
        (is_past(key, now_ms), free_keys),
        (dead is not None and dead < now_ms - LEASE_KEPT_MS, reap),
        (
            (yield from is_prunable(policy.retention, now_ms)),
            partial(prune_history, policy.retention),
        ),
    ]
    return [duty for needed, duty in duties if needed], due, now_ms


def is_past(instant_ms: int | None, now_ms: int) -> bool:
    """Return whether there is such an instant, and it has come."""
    return instant_ms is not None and instant_ms <= now_ms


def mark_dead(limit: int) -> Script[Done]:
    """Break the fences of leases whose time has run out; the limit is one of jobs, not of them."""
    now_ms: int = yield NOW
    late: list[tuple[int]] = yield _LATE(now_ms, AT_ONCE + 1)
    yield _MARK_DEAD(now_ms, AT_ONCE)
    return Done(more=len(late) > AT_ONCE)


def rescue(limit: int) -> Script[Done]:
    """Give back jobs of dead leases."""
    now_ms: int = yield NOW
    dead: list[tuple[int, str]] = yield _DEAD()
    moved: list[Moved] = []
    for lease, worker in dead:
        rows: list[Any] = yield _HELD(lease, limit - len(moved))
        if rows:
            held = [Live._make(row) for row in rows]
            moved += yield from _give_back(held, worker, now_ms)
        if len(moved) >= limit:
            break
    return Done(moved, more=len(moved) >= limit)


def _give_back(held: Sequence[Live], worker: str, now_ms: int) -> Script[list[Moved]]:
    endings: list[Ending] = []
    waiting: list[Waiting] = []
    moved: list[Moved] = []
    for row in held:
        status = rescued_status(
            rescues=row.rescues,
            max_rescues=decode_spec(row.spec).max_rescues,
            cancel_requested=bool(row.cancelling),
        )
        failure = rescue_failure(status, rescues=row.rescues, worker=worker)
        errors = row.errors_with(failure, worker=worker, now_ms=now_ms)
        if status.finished:
            endings.append(Ending(row, status, errors, worker=worker, rescues=1))
        else:
            waiting.append(Waiting(row, rescued_lane(row.lane), row.due_ms, errors, rescues=1))
        moved.append(_moved(row.id, row.spec, row.lane, Status.RUNNING, status))
    yield from finish(endings, now_ms)
    yield from put_back(waiting, now_ms)
    yield from forget_requests(held)
    return moved


def expire(limit: int) -> Script[Done]:
    """End waiting jobs whose time is over."""
    now_ms: int = yield NOW
    rows: list[Any] = yield _EXPIRED(now_ms, limit)
    late = [Live._make(row) for row in rows]
    yield from finish([Ending(row, Status.EXPIRED, row.errors) for row in late], now_ms)
    moved = [
        _moved(row.id, row.spec, row.lane, STATUSES[row.status], Status.EXPIRED) for row in late
    ]
    return Done(moved, more=len(late) >= limit)


def promote(limit: int) -> Script[Done]:
    """Let scheduled jobs that are due wait for a worker."""
    now_ms: int = yield NOW
    rows: list[tuple[object, JobId, str, bytes]] = yield _DUE(now_ms, limit)
    yield _PROMOTE([row[0] for row in rows])
    yield announce(((lane, 0) for _, _, lane, _ in rows), now_ms)
    moved = [
        _moved(job_id, spec, lane, Status.SCHEDULED, Status.PENDING)
        for _, job_id, lane, spec in rows
    ]
    return Done(moved, more=len(rows) >= limit)


def _moved(job_id: JobId, spec: bytes, lane: str, old: Status, new: Status) -> Moved:
    return Moved(id=job_id, task=decode_spec(spec).task, queue=queue_of(lane), old=old, new=new)


def free_keys(limit: int) -> Script[Done]:
    """Free keys whose instant has passed."""
    freed = yield from keys.free_due(limit)
    return Done(more=freed >= limit)


def reap(limit: int) -> Script[Done]:
    """Forget leases that have been dead for long."""
    now_ms: int = yield NOW
    old: list[tuple[int, LeaseId]] = yield _OLD(now_ms - LEASE_KEPT_MS, limit)
    for number, lease in old:
        yield from forget_lease(number, lease)
    return Done(more=len(old) >= limit)


def prune_history(retention: Retention, limit: int) -> Script[Done]:
    """Remove finished jobs that are too old or too many."""
    pruned, more = yield from prune(retention, limit)
    return Done(pruned=pruned, more=more)
