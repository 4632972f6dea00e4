"""Uniqueness keys: who holds them, and when they are free again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import TypeAlias

from litestar_queues_core.errors import KeyBusyError
from litestar_queues_core.ids import JobId
from litestar_queues_core.model import KeyRule
from litestar_queues_sql.rows import frees_code
from litestar_queues_sql.script import NOW, Script, Sql

_SWEEP = Sql("DELETE FROM $unique_key WHERE name $among AND frees_ms <= ?")
_TAKE = Sql(
    "INSERT INTO $unique_key (name, job, task, frees_ms) $rows $skip", types="text id text big"
)
HOLDERS = Sql("SELECT name, job, task, frees_ms FROM $unique_key WHERE name $among")
_FREE = Sql("DELETE FROM $unique_key WHERE name = ? AND job = ?")
_HELD = Sql("""
    SELECT name FROM $unique_key WHERE name $among AND (frees_ms IS NULL OR frees_ms > ?)
""")
_HOLDER = Sql("""
    SELECT job FROM $unique_key WHERE name = ? AND (frees_ms IS NULL OR frees_ms > ?)
""")
_RELEASE = Sql("DELETE FROM $unique_key WHERE name $among")
_COUNT_DUE = Sql("""
    SELECT count(*) FROM (SELECT 1 FROM $unique_key WHERE frees_ms <= ? LIMIT ?) AS due
""")
_FREE_DUE = Sql("""
    DELETE FROM $unique_key WHERE name IN (
        SELECT name FROM (
            SELECT name FROM $unique_key WHERE frees_ms <= ? ORDER BY frees_ms LIMIT ?
        ) AS due
    )
""")


TRIES = 10
"""A key may be taken and freed again between a try and the look at who has it."""

Lost: TypeAlias = Mapping[JobId, tuple[JobId, str]]
"""Jobs that did not get their keys, each with the holder and the holder's task."""


def take(wanted: Sequence[tuple[KeyRule, JobId, str]], now_ms: int) -> Script[Lost]:
    """Take keys for jobs, given as (rule, job, task); of several with one key the first wins."""
    if not wanted:
        return {}
    takes = [
        (rule.key, job, task, now_ms + frees if (frees := frees_code(rule)) >= 0 else None)
        for rule, job, task in wanted
    ]
    takes.sort(key=itemgetter(0))
    ours = {job for _, job, _ in wanted}
    holders: dict[str, tuple[JobId, str]] = {}
    for _ in range(TRIES):
        missing = [take for take in takes if take[0] not in holders]
        if not missing:
            return {
                job: holders[rule.key] for rule, job, _ in wanted if holders[rule.key][0] != job
            }
        yield _TAKE.many(missing)
        rows: list[tuple[str, JobId, str, int | None]] = yield HOLDERS([one[0] for one in missing])
        expired = [row[0] for row in rows if _is_free(row[3], now_ms) and row[1] not in ours]
        holders |= {name: (job, task) for name, job, task, _ in rows if name not in expired}
        if expired:
            yield _SWEEP(expired, now_ms)
    raise KeyBusyError(
        f"the keys {', '.join(sorted({rule.key for rule, *_ in wanted} - {*holders}))} change "
        "hands all the time; try again"
    )


def _is_free(frees_ms: int | None, now_ms: int) -> bool:
    return frees_ms is not None and frees_ms <= now_ms


def holder_of(key: str) -> Script[JobId | None]:
    """Return the job that holds *key*."""
    now_ms: int = yield NOW
    rows: list[tuple[JobId]] = yield _HOLDER(key, now_ms)
    return rows[0][0] if rows else None


def free(held: Iterable[tuple[str, JobId]]) -> Script[None]:
    """Free keys, given with their jobs, unless others hold them by now."""
    rows = sorted(held)
    if rows:
        yield _FREE.many(rows)


def free_due(limit: int) -> Script[int]:
    """Free at most *limit* keys whose instant has passed; return how many, or a few too many."""
    now_ms: int = yield NOW
    rows: list[tuple[int]] = yield _COUNT_DUE(now_ms, limit)
    yield _FREE_DUE(now_ms, limit)
    return rows[0][0]


def release(keys: Sequence[str]) -> Script[list[bool]]:
    """Free *keys* whatever their rule; return whether each was held."""
    now_ms: int = yield NOW
    rows: list[tuple[str]] = yield _HELD(keys, now_ms)
    held = {name for (name,) in rows}
    yield _RELEASE(keys)
    released: list[bool] = []
    for key in keys:
        released.append(key in held)
        held.discard(key)
    return released
