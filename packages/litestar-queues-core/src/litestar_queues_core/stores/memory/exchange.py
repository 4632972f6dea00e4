"""The two halves of an exchange: settling what has ended, and claiming what comes next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from litestar_queues_core.lanes import LOCAL, executor_of, is_suspect, ordinary
from litestar_queues_core.lifecycle import TRANSITIONS, settled_lane, settled_status
from litestar_queues_core.model import Job, Status
from litestar_queues_core.settlements import Kind, Settlement, Wants
from litestar_queues_core.stores.memory.event_log import EventLog
from litestar_queues_core.stores.memory.jobs import Jobs
from litestar_queues_core.stores.memory.rows import Fence, Lease, Row

PROMOTED = 1000
"""At most so many jobs that have fallen due are promoted by one exchange."""

_COMPLETE, _PROGRESS, _RELEASE = Kind.COMPLETE, Kind.PROGRESS, Kind.RELEASE
_COMPLETED = Status.COMPLETED
_REMOTE = frozenset(
    {Kind.DISPATCH, Kind.DISPATCH_REF, Kind.DISPATCH_FAILED, Kind.DISPATCH_CANCELLED}
)


class Settling:
    """Applies the settlements of one exchange."""

    __slots__ = ("_jobs", "_log", "_now_ms")

    def __init__(self, jobs: Jobs, log: EventLog, now_ms: int) -> None:
        self._jobs = jobs
        self._log = log
        self._now_ms = now_ms

    def apply(self, lease: Lease, settlements: Sequence[Settlement]) -> None:
        """Apply those whose fence holds; the lease remembers what became of the others."""
        held, rejected, ended = lease.held, list[Fence](), list[Fence]()
        for one in settlements:
            row = held.get(one.id)
            if row is None or row.delivery != one.delivery or one.kind in _REMOTE:
                rejected.append((one.id, one.delivery))
            elif self._settle(row, one):
                ended.append((one.id, one.delivery))
        lease.rejected, lease.ended = rejected, ended

    def _settle(self, row: Row, one: Settlement) -> bool:
        """Apply one settlement and what belongs to it; return whether the cancel rule struck."""
        struck = self._change(row, one)
        if one.events:
            self._log.append(one.events, self._now_ms)
        closing = one.closing_if_cancelled if struck else one.closing
        if closing is not None:
            self._log.append((closing,), self._now_ms)
        if one.follow_ups and not struck:
            for new in one.follow_ups:
                self._jobs.take(new, self._now_ms)
        return struck

    def _change(self, row: Row, one: Settlement) -> bool:
        if one.failure is not None:
            row.record(one.failure, self._now_ms)
        if one.kind is _COMPLETE:
            row.result = one.value if row.new.spec.keep_result else None
            self._jobs.finish(row, _COMPLETED, self._now_ms)
            return False
        if one.kind is _PROGRESS:
            row.progress = one.value
            return False
        return self._leave(row, one)

    def _leave(self, row: Row, one: Settlement) -> bool:
        """Let a job that did not complete wait again or end."""
        transition = TRANSITIONS[one.kind]
        row.attempt += transition.attempts
        row.snoozes += transition.snoozes
        row.put_backs += transition.put_backs
        status = settled_status(
            one.kind, delay_ms=one.delay_ms, cancel_requested=row.cancel_requested
        )
        if status.finished:
            self._jobs.finish(row, status, self._now_ms)
            return transition.waits
        keeps_its_place = one.kind is _RELEASE and one.delay_ms <= 0
        due_ms = row.due_ms if keeps_its_place else self._now_ms + one.delay_ms
        self._jobs.wait(row, due_ms, settled_lane(one.kind, row.lane), self._now_ms)
        return False


class Budget:
    """How many jobs a worker still wants, and from which lanes."""

    __slots__ = ("_caps", "_executors", "_others", "left")

    def __init__(self, wants: Wants) -> None:
        self.left: int = wants.limit
        self._caps = dict(wants.lanes)
        self._others = wants.others
        self._executors = wants.executors

    def room(self, lane: str) -> int:
        """Return how many jobs may come from an ordinary lane."""
        cap = self._caps.get(lane)
        if cap is None:
            cap = self._others if self._can_run(lane) else 0
        return min(cap, self.left)

    def spend(self, lane: str, number: int) -> None:
        """Count jobs that came from an ordinary lane."""
        self.left -= number
        if lane in self._caps:
            self._caps[lane] -= number
        else:
            self._others -= number

    def _can_run(self, lane: str) -> bool:
        executor = executor_of(lane)
        return executor == LOCAL or executor in self._executors


def claim(jobs: Jobs, wants: Wants, lease: Lease, now_ms: int) -> list[Job]:
    """Hand out what a worker wants: first one suspect, then from each lane in turn."""
    jobs.promote(now_ms, PROMOTED)
    budget = Budget(wants)
    lanes = tuple(jobs.waiting.lanes)
    claimed = list[Job]()
    if wants.suspects:
        claimed += _claim_suspect(jobs, budget, filter(is_suspect, lanes), lease, now_ms)
    for lane in lanes:
        room = 0 if is_suspect(lane) else budget.room(lane)
        if room > 0:
            found = jobs.hand_out(lane, room, lease, now_ms)
            budget.spend(lane, len(found))
            claimed += found
    return claimed


def _claim_suspect(
    jobs: Jobs, budget: Budget, lanes: Iterable[str], lease: Lease, now_ms: int
) -> list[Job]:
    for lane in lanes:
        if budget.room(ordinary(lane)) > 0:
            found = jobs.hand_out(lane, 1, lease, now_ms)
            if found:
                budget.spend(ordinary(lane), 1)
                return found
    return []
