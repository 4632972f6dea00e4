"""Looking at jobs: by id, page by page, and in numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from heapq import merge
from typing import Any, TypeAlias

from litestar_queues_core.ids import JobId
from litestar_queues_core.lanes import queue_of
from litestar_queues_core.model import Job, Status
from litestar_queues_core.queries import foreign_cursor
from litestar_queues_core.settlements import Count, JobQuery, LeaseView, Page, QueueCounts
from litestar_queues_resp.calling import Caller
from litestar_queues_resp.layout import (
    CODES,
    STATUSES,
    key_bytes,
    raw_id,
    text_id,
)
from litestar_queues_resp.reading import seen_job

AT_ONCE = 500
"""So many jobs are looked at by one script."""

ROUNDS = 40
"""A page is given, full or not, once an index has been walked so many times that far."""

Place: TypeAlias = tuple[int, bytes]
"""Where a job stands among all: the instant of its enqueue, and its id."""

_END: Place = (-1, b"")
_CURSOR = re.compile("[0-9]{1,16}-[0-9a-f]{32}")
_INDEXED = frozenset({Status.FAILED, Status.CANCELLED, Status.EXPIRED})
"""Statuses with an index of their own; jobs of the others are picked from among all."""


async def get(caller: Caller, ids: Sequence[JobId]) -> list[Job | None]:
    """Return jobs, finished ones included."""
    found: dict[str, Job] = {}
    known = [raw for raw in map(_raw_or_none, ids) if raw is not None]
    start = 0
    while start < len(known):
        views = await caller.run("get", b"".join(known[start : start + AT_ONCE]))
        for raw, view in zip(known[start:], views, strict=False):  # of the first ones only
            if view:
                job = seen_job(raw, view)
                found[job.id] = job
        start += len(views)
    return [found.get(job_id) for job_id in ids]


def _raw_or_none(job_id: str) -> bytes | None:
    try:
        return raw_id(job_id)
    except ValueError:
        return None


async def find(caller: Caller, query: JobQuery) -> Page:
    """Return a page of jobs, newest first."""
    if query.key is not None:
        return await _find_holder(caller, query, query.key)
    start = _read_cursor(query.cursor)
    walks = [
        await _Walk(caller, query, index, statuses, start).go()
        for index, statuses in _indexes(query.status)
    ]
    # Below the end of the walk that ended first, others may have missed some.
    floor = max((walk.floor for walk in walks), default=_END)
    merged = merge(*(walk.found for walk in walks), reverse=True)
    places = [place for place in merged if place >= floor]
    chosen = places[: query.limit]
    jobs = await get(caller, [text_id(raw) for _, raw in chosen])
    more = chosen[-1] if len(places) > query.limit else floor
    return Page(
        jobs=[job for job in jobs if job is not None],
        cursor=None if more == _END else f"{more[0]}-{more[1].hex()}",
    )


def _read_cursor(cursor: str | None) -> Place | None:
    if cursor is None:
        return None
    if not _CURSOR.fullmatch(cursor):
        raise foreign_cursor(cursor)
    at, _, raw = cursor.partition("-")
    return int(at), bytes.fromhex(raw)


def _indexes(wanted: Collection[Status]) -> list[tuple[str, Collection[Status]]]:
    """Return the indexes to walk, each with the statuses to pick."""
    others = set(wanted) - _INDEXED
    own = [(f"i:{CODES[one]}", [one]) for one in _INDEXED.intersection(wanted)]
    return [*own, ("ib", others)] if others or not wanted else [*own]


class _Walk:
    """A walk through an index, from the newest job to older ones.

    Attributes:
        found: Places of jobs that fit, newest first.
        floor: How far it came, if there is more.
    """

    def __init__(
        self,
        caller: Caller,
        query: JobQuery,
        index: str,
        statuses: Collection[Status],
        start: Place | None,
    ) -> None:
        self._caller = caller
        self._query = query
        self._index = index
        self._codes = "".join(str(CODES[one]) for one in statuses)
        self._at = start
        self.found: list[Place] = []
        self.floor: Place = _END

    async def go(self) -> _Walk:
        """Walk until a page and one more is full, or the end, or the time is up."""
        for _ in range(ROUNDS):
            at, raw = self._at or ("+inf", b"")
            words = (self._index, at, raw, AT_ONCE, self._codes, self._query.queue or "")
            more, last, chosen = await self._caller.run("find", *words)
            self.found += sorted(
                (
                    (int(place), raw)
                    for place, raw, view in chosen
                    if fits(self._query, seen_job(raw, view))
                ),
                reverse=True,
            )
            if not more:
                return self
            self._at = int(last), b"\0" * 16  # an instant is looked at whole
            if len(self.found) > self._query.limit:
                break
        self.floor = self._at or _END
        return self


async def _find_holder(caller: Caller, query: JobQuery, key: str) -> Page:
    holder = await caller.run("key_holder", key_bytes(key))
    jobs = await get(caller, [text_id(holder)]) if holder else []
    return Page(
        jobs=[
            job
            for job in jobs
            if job is not None
            and (not query.status or job.status in query.status)
            and query.queue in (None, job.queue)
            and fits(query, job)
        ]
    )


def fits(query: JobQuery, job: Job) -> bool:
    """Return whether a job is of the task, and has the text, that are looked for."""
    if query.task is not None and job.task != query.task:
        return False
    text = query.text
    return text is None or text in job.id or text in job.task or text in (job.error or "")


async def count(caller: Caller) -> QueueCounts:
    """Return how many jobs stand where."""
    now_ms, pending, scheduled, running, ended, leases, oldest = await caller.run("count")
    numbers: dict[tuple[str, Status], int] = {}
    for status, lanes in (
        (Status.PENDING, zip(pending[::2], map(int, pending[1::2]), strict=True)),
        (Status.SCHEDULED, scheduled),
        (Status.RUNNING, running),
    ):
        for lane, value in lanes:
            place = queue_of(lane.decode()), status
            numbers[place] = numbers.get(place, 0) + value
    for code, value in zip(ended[::2], ended[1::2], strict=True):
        numbers["*", STATUSES[int(code)]] = int(value)
    return QueueCounts(
        counts=[
            Count(queue=queue, status=status, value=value)
            for (queue, status), value in numbers.items()
            if value
        ],
        leases=[_lease_view(one) for one in leases],
        oldest_pending_ms=oldest if oldest >= 0 else None,
        now_ms=now_ms,
    )


def _lease_view(told: Sequence[Any]) -> LeaseView:
    lease, about, held, rest_ms, dead = told
    known = json.loads(about)
    return LeaseView(
        lease=lease.decode(),
        worker=known["worker"],
        host=known["host"],
        pid=known["pid"],
        held=held,
        expires_in=int(rest_ms) / 1000,
        dead=bool(dead),
        queues=tuple(known["queues"]),
    )
