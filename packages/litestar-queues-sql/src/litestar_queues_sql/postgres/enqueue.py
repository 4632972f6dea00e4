"""Taking jobs without keys, in one statement."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from functools import cache, partial
from typing import Any

from litestar_queues_core.errors import StoreUnavailable
from litestar_queues_core.model import NewJob, Status
from litestar_queues_core.settlements import Enqueued
from litestar_queues_core.wire import encode_meta, encode_spec
from litestar_queues_sql.driver import Connection
from litestar_queues_sql.enqueue import busy, enqueue
from litestar_queues_sql.jobs import SOON_MS
from litestar_queues_sql.postgres.database import Lend, PostgresDatabase
from litestar_queues_sql.postgres.dialect import NOW_MS
from litestar_queues_sql.postgres.errors import LockTimeout
from litestar_queues_sql.postgres.query import Query
from litestar_queues_sql.rows import PENDING, SCHEDULED, status_of

DOUBT_SECONDS = 60.0
OLD_MS = 2000

_ENQUEUE = """
    WITH clock AS MATERIALIZED (SELECT $now + :offset_ms::bigint AS now_ms),
    newest AS MATERIALIZED (SELECT max(id) AS id FROM $history),
    asked AS (
        SELECT one.*, coalesce(due, now_ms + delay) AS due_ms, now_ms
        FROM clock CROSS JOIN unnest(
            :ids::text[], :lanes::text[], :ranks::int[], :dues::bigint[], :delays::bigint[],
            :specs::bytea[], :payloads::bytea[] $more_columns
        ) AS one (id, lane, job_rank, due, delay, spec, payload $more_names)
    ),
    added AS (
        INSERT INTO $job (
            id, status, lane, job_rank, due_ms, enqueued_ms, spec, payload $more_targets
        )
        SELECT
            asked.id, CASE WHEN due_ms > now_ms THEN 1 ELSE 0 END, lane, job_rank, due_ms, now_ms,
            spec, payload $more_values
        FROM asked CROSS JOIN newest LEFT JOIN LATERAL (
            SELECT 1 AS one FROM $history AS history
            WHERE history.id = asked.id AND asked.id <= newest.id LIMIT 1
        ) AS ended ON true
        WHERE ended.one IS NULL
        ON CONFLICT DO NOTHING
    )
    SELECT now_ms FROM clock
"""
"""Ids rise, so one above the newest that has ended needs no look at the history."""

_MORE = {
    "more_columns": ", :expiries::bigint[], :terms::bigint[], :groups::text[], :metas::bytea[]",
    "more_names": ", expiry, term, job_group, meta",
    "more_targets": ", expires_ms, job_group, meta",
    "more_values": ", coalesce(expiry, due_ms + term), job_group, meta",
}
_LESS = dict.fromkeys(_MORE, "")


class Enqueues:
    """Takes jobs on one connection.

    Args:
        database: The database.
        lend: Lends the connection.
        told: Called with the topics of what was taken.
    """

    def __init__(
        self,
        database: PostgresDatabase,
        lend: Lend,
        told: Callable[[Collection[str]], None],
    ) -> None:
        self._database = database
        self._lend = lend
        self._told = told
        self._doubtful_until = 0.0
        self._query: Callable[[bool], Query] = cache(self._make)

    def _make(self, more: bool) -> Query:
        words = _MORE if more else _LESS
        return Query(self._database.texts.prefix, _ENQUEUE, now=NOW_MS, **words)

    async def take(self, jobs: Sequence[NewJob]) -> Sequence[Enqueued]:
        """Take *jobs*: those with keys apart, since they may have to wait for others."""
        keyed = [job for job in jobs if job.key is not None]
        if not keyed:
            return await self._take_plain(jobs)
        plain = [job for job in jobs if job.key is None]
        answers = list(await self._take_plain(plain)) if plain else []
        answers += await self._take_keyed(keyed)
        by_request = dict(zip([job.id for job in (*plain, *keyed)], answers, strict=True))
        return [by_request[job.id] for job in jobs]

    async def _take_keyed(self, jobs: Sequence[NewJob]) -> Sequence[Enqueued]:
        try:
            return await self._database.write(partial(enqueue, jobs))
        except LockTimeout as error:
            if len(jobs) == 1:
                return [busy(jobs[0], error)]
            return [(await self._take_keyed([job]))[0] for job in jobs]

    async def _take_plain(self, jobs: Sequence[NewJob]) -> Sequence[Enqueued]:
        if self._may_be_known(jobs):
            return await self._database.write(partial(enqueue, jobs))
        try:
            now_ms = await self._database.attempt(self._lend, partial(self._insert, jobs=jobs))
        except StoreUnavailable:
            self._doubtful_until = time.monotonic() + DOUBT_SECONDS
            raise
        self._announce(jobs, now_ms)
        return [_taken(job, now_ms) for job in jobs]

    def _may_be_known(self, jobs: Sequence[NewJob]) -> bool:
        """Return whether a job may have been sent before, and be ending at this moment.

        One statement sees one snapshot: it could take a job again that leaves the live ones while
        it runs.  The script looks a second time.
        """
        if time.monotonic() < self._doubtful_until:
            return True
        made_ms = int(jobs[0].id[:8] + jobs[0].id[9:13], 16)
        return abs(time.time() * 1000 - made_ms) > OLD_MS

    async def _insert(self, connection: Connection, jobs: Sequence[NewJob]) -> int:
        more = any(_has_more(job) for job in jobs)
        query = self._query(more)
        ordered = sorted(jobs, key=_id)
        values = {"offset_ms": self._database.clock.offset_ms, **_columns(ordered)}
        if more:
            values |= _more_columns(ordered)
        rows = await connection.fetch(query.text, query.params(values))
        now_ms: int = rows[0][0]
        return now_ms

    def _announce(self, jobs: Sequence[NewJob], now_ms: int) -> None:
        soon = now_ms + SOON_MS
        lanes = {job.spec.lane for job in jobs if _due(job, now_ms) <= soon}
        if lanes:
            self._told([f"lane:{lane}" for lane in lanes])


def _id(job: NewJob) -> str:
    return job.id


def _has_more(job: NewJob) -> bool:
    return job.meta is not None or job.expires_ms is not None or job.expires_in_ms is not None


def _columns(jobs: Sequence[NewJob]) -> dict[str, Any]:
    specs = [job.spec for job in jobs]
    return {
        "ids": [job.id for job in jobs],
        "lanes": [spec.lane for spec in specs],
        "ranks": [-spec.priority for spec in specs],
        "dues": [job.due_ms for job in jobs],
        "delays": [job.delay_ms for job in jobs],
        "specs": [spec.encoded or encode_spec(spec) for spec in specs],
        "payloads": [job.payload for job in jobs],
    }


def _more_columns(jobs: Sequence[NewJob]) -> dict[str, Any]:
    return {
        "expiries": [job.expires_ms for job in jobs],
        "terms": [job.expires_in_ms for job in jobs],
        "groups": [job.meta.group if job.meta else None for job in jobs],
        "metas": [encode_meta(job.meta) for job in jobs],
    }


def _due(job: NewJob, now_ms: int) -> int:
    return now_ms + job.delay_ms if job.due_ms is None else job.due_ms


def _taken(job: NewJob, now_ms: int) -> Enqueued:
    if job.due_ms is None and job.delay_ms <= 0:
        return Enqueued(job.id, True, Status.PENDING)
    return Enqueued(job.id, True, status_of(SCHEDULED if _due(job, now_ms) > now_ms else PENDING))
