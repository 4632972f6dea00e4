"""Removing finished jobs that have been kept long enough, without counting those that stay.

History is in the order of the ends, so two places in it say how far pruning by age has come: one
for failed jobs, one for the others.  Each row is looked at once for each.  The number of rows is
that of the highest row ever, less those removed; a database may skip numbers, so now and then they
are counted.
"""

from __future__ import annotations

from itertools import takewhile
from typing import NamedTuple

from litestar_queues_core.model import Retention
from litestar_queues_sql.rows import FAILED
from litestar_queues_sql.script import NOW, Script, Sql

KEPT_MS = 60_000
"""No job is pruned so soon after its end, so that its id and status can still be asked for."""

_STATE = Sql("SELECT name, value FROM $state")
_SET = Sql("UPDATE $state SET value = ? WHERE name = ?")
_ADD = Sql("UPDATE $state SET value = value + ? WHERE name = ?")
_RAISE = Sql("UPDATE $state SET value = ? WHERE name = 'top' AND value < ?")
_COUNT = Sql("SELECT count(*) FROM (SELECT 1 FROM $history LIMIT ? ) AS capped")
_TURN = Sql("SELECT value FROM $state WHERE name = 'short' $locked")
_NEXT = Sql("""
    SELECT seq, status, finished_ms FROM $history WHERE seq > ? ORDER BY seq LIMIT ?
""")
_LAST = Sql("SELECT seq FROM $history ORDER BY seq DESC LIMIT 1")
_REMOVE_SHORT = Sql("DELETE FROM $history WHERE seq > ? AND seq <= ? AND status <> 5")
_REMOVE_FAILED = Sql("DELETE FROM $history WHERE seq > ? AND seq <= ? AND status = 5")
_REMOVE_ALL = Sql("DELETE FROM $history WHERE seq <= ?")


class State(NamedTuple):
    """Where history stands.

    Attributes:
        short: Every row up to here that did not fail has been removed.
        failed: Every row up to here that failed has been removed.
        removed: Number of rows removed so far, by pruning or revival.
        top: Highest row ever.
        counted: Highest row when the rows were last counted.
    """

    short: int
    failed: int
    removed: int
    top: int
    counted: int

    @property
    def size(self) -> int:
        """Number of rows that are left."""
        return self.top - self.removed


class Class(NamedTuple):
    """Jobs of one age limit: the name of their place, and what ended before is too old."""

    name: str
    failed: bool
    before_ms: int


def read_state() -> Script[State]:
    """Return where history stands."""
    rows: list[tuple[str, int]] = yield _STATE()
    values = dict(rows)
    last: list[tuple[int]] = yield _LAST()
    values["top"] = max(values["top"], last[0][0] if last else 0)
    return State(**values)


def note_removal(top: int, count: int) -> Script[None]:
    """Remember that *count* rows are gone, after *top* was read in the same transaction."""
    yield _ADD(count, "removed")
    yield _RAISE(top, top)


def _classes(retention: Retention, now_ms: int) -> tuple[Class, Class]:
    def before(age: float) -> int:
        return now_ms - max(int(age * 1000), KEPT_MS)

    return (
        Class("short", False, before(retention.completed)),
        Class("failed", True, before(retention.failed)),
    )


def is_prunable(retention: Retention, now_ms: int) -> Script[bool]:
    """Return whether there is anything to prune."""
    state = yield from read_state()
    if state.size > retention.max_finished:
        rows: list[tuple[int, int, int]] = yield _NEXT(0, 1)
        if rows and rows[0][2] <= now_ms - KEPT_MS:
            return True
    for kind in _classes(retention, now_ms):
        rows = yield _NEXT(state._asdict()[kind.name], 1)
        if rows and rows[0][2] <= kind.before_ms:
            return True
    return False


def prune(retention: Retention, limit: int) -> Script[tuple[int, bool]]:
    """Remove at most *limit* jobs, first the old ones; return how many, and if there is more."""
    now_ms: int = yield NOW
    turn: list[tuple[int]] = yield _TURN()
    if not turn:  # somebody else prunes
        return 0, False
    state = yield from read_state()
    removed = 0
    more = False
    for kind in _classes(retention, now_ms):
        if removed < limit:
            count, cut = yield from _prune_old(kind, state._asdict()[kind.name], limit - removed)
            removed += count
            more |= cut
    kept = retention.max_finished
    excess = min(state.size - removed - kept, limit - removed)
    if excess > 0 and state.top - state.counted > kept // 10:
        gaps = yield from _count_gaps(state, removed)
        excess = min(state.size - gaps - removed - kept, limit - removed)
    if excess > 0:
        count = yield from _prune_oldest(excess, now_ms - KEPT_MS)
        removed += count
        more |= count == excess
    if removed:
        yield from note_removal(state.top, removed)
    return removed, more or removed >= limit


def _prune_old(kind: Class, start: int, limit: int) -> Script[tuple[int, bool]]:
    rows: list[tuple[int, int, int]] = yield _NEXT(start, limit)
    old = list(takewhile(lambda row: row[2] <= kind.before_ms, rows))
    if not old:
        return 0, False
    last = old[-1][0]
    yield (_REMOVE_FAILED if kind.failed else _REMOVE_SHORT)(start, last)
    yield _SET(last, kind.name)
    return sum((status == FAILED) is kind.failed for _, status, _ in old), len(old) == limit


def _count_gaps(state: State, removed: int) -> Script[int]:
    """Count the rows, and take those numbers for removed that no row has had."""
    rows: list[tuple[int]] = yield _COUNT(state.size)
    gaps = state.size - removed - rows[0][0]
    yield _ADD(gaps, "removed")
    yield _SET(state.top, "counted")
    return gaps


def size_up_to(most: int) -> Script[int]:
    """Return the number of finished jobs; one beyond *most* may be a little too large."""
    rows: list[tuple[int]] = yield _COUNT(most)
    if rows[0][0] < most:
        return rows[0][0]
    return (yield from read_state()).size


def _prune_oldest(excess: int, before_ms: int) -> Script[int]:
    rows: list[tuple[int, int, int]] = yield _NEXT(0, excess)
    old = list(takewhile(lambda row: row[2] <= before_ms, rows))
    if old:
        yield _REMOVE_ALL(old[-1][0])
    return len(old)
