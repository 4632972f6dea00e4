"""Maintenance: a survey that only reads, and bounded pieces of what it found."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from litestar_queues_core.lanes import queue_of
from litestar_queues_core.lifecycle import rescue_failure, rescued_lane, rescued_status
from litestar_queues_core.model import Job, Retention, Status
from litestar_queues_core.pieces import AT_ONCE, Pieces
from litestar_queues_core.settlements import Maintenance, MaintenancePolicy, Moved
from litestar_queues_resp.calling import Caller
from litestar_queues_resp.client import Word
from litestar_queues_resp.exchanging import failure_text
from litestar_queues_resp.layout import CODES, STATUSES, fence, text_id
from litestar_queues_resp.reading import read_request, seen_job

_CANCELLED_SINCE = 2

KEPT = 60.0
"""No job is pruned within so many seconds of its end, so that it can still be asked about."""


class _Done(NamedTuple):
    number: int = 0
    moved: Sequence[Moved] = ()


class Upkeep:
    """Does what one call of ``maintain`` may do.

    Args:
        caller: Runs the scripts.
        retention: How long finished jobs are kept at most, whatever the policy says.
        policy: What may be done.
    """

    def __init__(self, caller: Caller, retention: Retention, policy: MaintenancePolicy) -> None:
        self._run = caller.run
        self._policy = policy
        self._pieces = Pieces(policy)
        self._moved: list[Moved] = []
        self._pruned = 0
        asked = policy.retention
        self._limits = (
            int(max(min(asked.completed, retention.completed), KEPT) * 1000),
            int(max(min(asked.failed, retention.failed), KEPT) * 1000),
            min(asked.max_finished, retention.max_finished),
        )

    async def run(self) -> Maintenance:
        """Look what there is to do, and do some of each duty."""
        now_ms, due_ms, late, lost, expired, due, keys, old, gone, long = await self._survey()
        rescue = self._policy.rescue
        duties: list[tuple[bool, Callable[[int], Awaitable[_Done]]]] = [
            (rescue and bool(late), self._mark_dead),
            (rescue and bool(late or lost), self._rescue),
            (bool(expired), self._expire),
            (bool(due), self._promote),
            (bool(keys), self._free_keys),
            (bool(old), self._prune),
            (bool(long), self._trim_index),
        ]
        for needed, duty in duties:
            if needed:
                await self._do(duty)
        if gone:
            await self._run("reap")
        if self._moved:
            now_ms, due_ms, *_ = await self._survey()
        return Maintenance(
            moved=self._moved,
            pruned=self._pruned,
            more=self._pieces.more,
            next_due_ms=due_ms if due_ms >= 0 else None,
            now_ms=now_ms,
        )

    async def _survey(self) -> list[int]:
        found: list[int] = await self._run("survey", *self._limits)
        return found

    async def _do(self, duty: Callable[[int], Awaitable[_Done]]) -> None:
        for size in self._pieces.of_duty():
            done = await duty(size)
            self._moved += done.moved
            if done.number < size:
                break

    async def _mark_dead(self, limit: int) -> _Done:
        """Break the fences of dead leases; the limit is one of jobs, not of leases."""
        number: int = await self._run("mark_dead", AT_ONCE)
        return _Done(limit if number == AT_ONCE else 0)

    async def _rescue(self, limit: int) -> _Done:
        found = await self._run("lost", limit)
        number = sum(len(ids) for _, _, ids, _ in found)
        return _Done(number, [one for lost in found for one in await self._give_back(*lost)])

    async def _give_back(
        self, lease: bytes, worker: bytes, ids: Sequence[bytes], views: Sequence[Any]
    ) -> list[Moved]:
        jobs = [seen_job(raw, view) for raw, view in zip(ids, views, strict=True) if view]
        statuses = [
            rescued_status(
                rescues=job.rescues,
                max_rescues=job.new.spec.max_rescues,
                cancel_requested=job.details.cancel_requested,
            )
            for job in jobs
        ]
        words: list[Word] = [lease, worker, len(jobs)]
        for job, status in zip(jobs, statuses, strict=True):
            words += _given_back(job, status, worker.decode())
        applied = await self._run("give_back", *words)
        return [
            Moved(
                id=job.id,
                task=job.task,
                queue=job.queue,
                old=Status.RUNNING,
                new=Status.CANCELLED if was == _CANCELLED_SINCE else status,
            )
            for job, status, was in zip(jobs, statuses, applied, strict=True)
            if was
        ]

    async def _expire(self, limit: int) -> _Done:
        found = await self._run("expire", limit)
        return _Done(len(found), [_moved(one, Status.EXPIRED) for one in found])

    async def _promote(self, limit: int) -> _Done:
        found = await self._run("promote", limit)
        return _Done(len(found), [_moved(one, Status.PENDING) for one in found])

    async def _free_keys(self, limit: int) -> _Done:
        return _Done(await self._run("free_keys", limit))

    async def _trim_index(self, limit: int) -> _Done:
        return _Done(await self._run("trim_index", limit))

    async def _prune(self, limit: int) -> _Done:
        removed, more = await self._run("prune", *self._limits, limit)
        self._pruned += removed
        return _Done(limit if more else 0)


def _given_back(job: Job, status: Status, worker: str) -> list[Word]:
    failure = rescue_failure(status, rescues=job.rescues, worker=worker)
    return [
        fence(job.id, job.delivery),
        CODES[status],
        rescued_lane(job.lane),
        failure_text(failure),
    ]


def _moved(found: Sequence[Any], new: Status) -> Moved:
    raw, blob = found[0], found[2]
    old: int = found[1]
    request, lane, *_ = read_request(raw, blob)
    return Moved(
        id=text_id(raw),
        task=request.spec.task,
        queue=queue_of(lane),
        old=STATUSES[old],
        new=new,
    )
