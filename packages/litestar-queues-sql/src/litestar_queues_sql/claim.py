"""Handing out jobs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from litestar_queues_core.lanes import LOCAL, executor_of, is_suspect, ordinary, suspects_of
from litestar_queues_core.model import Job
from litestar_queues_core.settlements import Wants
from litestar_queues_sql import keys
from litestar_queues_sql.rows import HELD, running_job
from litestar_queues_sql.script import Script, Sql

LANES_AT_ONCE = 100
"""Of unnamed lanes so many are looked at in one exchange; the next one goes on after them."""

_PICK = Sql(
    """
    SELECT $place, delivery, $held FROM $job $by_ready
    WHERE status = 0 AND lane = ? AND (expires_ms IS NULL OR expires_ms > ?)
    ORDER BY job_rank, due_ms, id LIMIT ? $locked
    """,
    held=HELD,
)
_TAKE = Sql("""
    UPDATE $job SET status = 2, lease = ?, started_ms = ?, delivery = delivery + 1
    WHERE $place $among
""")
_HELD = Sql(
    """
    SELECT started_ms, delivery, $held FROM $job WHERE lease = ? AND status = 2
    ORDER BY lane, job_rank, due_ms, id
    """,
    held=HELD,
)
_READY_LANES = Sql("""
    WITH RECURSIVE ready (lane, number) AS (
        SELECT (SELECT min(lane) FROM $job WHERE status = 0 AND lane > ?), 1
        UNION ALL
        SELECT (SELECT min(lane) FROM $job WHERE status = 0 AND lane > ready.lane), number + 1
        FROM ready WHERE ready.lane IS NOT NULL AND number < ?
    )
    SELECT lane FROM ready WHERE lane IS NOT NULL
""")


class Holder(NamedTuple):
    """Who claims: the number of a lease, and the name of its worker."""

    lease: int
    worker: str


class Rotation:
    """After which lane the next look at unnamed lanes begins, so that none of them starves."""

    __slots__ = ("after",)

    def __init__(self) -> None:
        self.after: str = ""


def ready_lanes(rotation: Rotation) -> Script[list[str]]:
    """Return lanes in which jobs wait, and let the next look begin after them."""
    start = rotation.after
    rows: list[tuple[str]] = yield _READY_LANES(start, LANES_AT_ONCE)
    rows = list(rows)
    if start and len(rows) < LANES_AT_ONCE:
        wrapped: list[tuple[str]] = yield _READY_LANES("", LANES_AT_ONCE)
        rows += [row for row in wrapped if row[0] <= start]
    if rows:
        rotation.after = rows[-1][0]
    return [lane for (lane,) in rows]


def is_for(wants: Wants, lane: str) -> bool:
    """Return whether *lane* is among the others of *wants*."""
    executor = executor_of(lane)
    named = ordinary(lane)
    can_run = executor == LOCAL or executor in wants.executors
    return can_run and all(named != one for one, _ in wants.lanes)


def turned(wants: Wants, seq: int) -> list[tuple[str, int]]:
    """Return the named lanes to claim from, with their caps; *seq* decides which comes first."""
    named = [(lane, cap) for lane, cap in wants.lanes if cap > 0]
    turn = seq % len(named) if named else 0
    return named[turn:] + named[:turn]


class Claim:
    """One claim, lane by lane.

    Args:
        holder: Who claims.
        wants: How much, and from where.
        rotation: Where the look at unnamed lanes begins.
        now_ms: The clock.
    """

    __slots__ = ("_caps", "_holder", "_left", "_now_ms", "_others", "_rotation", "_wants", "jobs")

    def __init__(self, holder: Holder, wants: Wants, rotation: Rotation, now_ms: int) -> None:
        self._holder = holder
        self._wants = wants
        self._now_ms = now_ms
        self._left = wants.limit
        self._others = wants.others
        self._caps = dict(wants.lanes)
        self._rotation = rotation
        self.jobs: list[Job] = []

    def run(self, seq: int) -> Script[list[Job]]:
        """Claim and return the jobs; *seq* decides which named lane comes first."""
        named = [lane for lane, _ in turned(self._wants, seq)]
        others: list[str] = []
        if self._others > 0:
            ready = yield from ready_lanes(self._rotation)
            others = [lane for lane in ready if is_for(self._wants, lane)]
        if self._wants.suspects:
            suspects = [*map(suspects_of, named), *filter(is_suspect, others)]
            yield from self._take(suspects, 1)
        yield from self._take([*named, *(lane for lane in others if not is_suspect(lane))])
        served = [job.lane for job in self.jobs if ordinary(job.lane) not in self._caps]
        if served:
            self._rotation.after = served[-1]
        return self.jobs

    def _take(self, lanes: Iterable[str], most: int | None = None) -> Script[None]:
        """Claim from one lane after the other, at most *most* jobs in all."""
        goal = self._left if most is None else min(most, self._left)
        taken = 0
        for lane in lanes:
            home = ordinary(lane)
            room = min(goal - taken, self._caps.get(home, self._others))
            if room <= 0:
                continue
            jobs = yield from self._take_from(lane, room)
            self.jobs += jobs
            taken += len(jobs)
            if home in self._caps:
                self._caps[home] -= len(jobs)
            else:
                self._others -= len(jobs)
            if taken == goal:
                break
        self._left -= taken

    def _take_from(self, lane: str, number: int) -> Script[list[Job]]:
        now_ms, worker = self._now_ms, self._holder.worker
        rows: list[tuple[Any, ...]] = yield _PICK(lane, now_ms, number)
        if not rows:
            return []
        yield _TAKE(self._holder.lease, now_ms, [row[0] for row in rows])
        jobs = [running_job(row[1] + 1, now_ms, row[2:], worker) for row in rows]
        yield from keys.free(
            (job.new.key.key, job.id)
            for job in jobs
            if job.new.key is not None and job.new.key.until == "started"
        )
        return jobs


def held_jobs(holder: Holder) -> Script[list[Job]]:
    """Return all jobs that a lease holds."""
    rows: list[tuple[Any, ...]] = yield _HELD(holder.lease)
    return [running_job(row[1], row[0], row[2:], holder.worker) for row in rows]
