"""The exchange in one statement."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache, partial
from typing import NamedTuple

from litestar_queues_core.errors import LeaseLost, StaleExchange
from litestar_queues_core.ids import JobId, LeaseId
from litestar_queues_core.lifecycle import TRANSITIONS
from litestar_queues_core.model import Job
from litestar_queues_core.settlements import NOTHING, Exchange, Settlement, Wants
from litestar_queues_sql.claim import ready_lanes
from litestar_queues_sql.driver import Connection, Row
from litestar_queues_sql.exchange import EXTEND_MS, Fences, replay
from litestar_queues_sql.postgres.composing import Form, compose, most_of
from litestar_queues_sql.postgres.database import Lend, PostgresDatabase
from litestar_queues_sql.postgres.errors import UNIQUE, state_of
from litestar_queues_sql.postgres.lanes import START, Lanes, Target
from litestar_queues_sql.postgres.pace import Pace
from litestar_queues_sql.postgres.query import Query
from litestar_queues_sql.postgres.settling import columns, form_of, frees_work
from litestar_queues_sql.rows import running_job
from litestar_queues_sql.running import run


class Answer(NamedTuple):
    """What one statement has said.

    Attributes:
        last_seq: The last exchange that is remembered from before.
        now_ms: The clock.
        rejected: As in :class:`~litestar_queues_core.settlements.Exchange`, as for what follows.
        ended: Settlements that the cancel rule has ended.
        busy: Settlements whose row somebody else has locked.
        cancelled: Held jobs whose cancel was requested.
        next_due_ms: When the earliest scheduled job falls due.
        lanes: Where jobs wait again.
        jobs: What was claimed.
    """

    last_seq: int | None
    now_ms: int
    rejected: Fences
    ended: Fences
    busy: Fences
    cancelled: Sequence[JobId]
    next_due_ms: int | None
    lanes: Sequence[str]
    jobs: list[Job]


class Request(NamedTuple):
    """An exchange as it was asked for."""

    lease: LeaseId
    seq: int
    settlements: Sequence[Settlement]
    wants: Wants


class Exchanges:
    """Settles and claims on one connection.

    Args:
        database: The database.
        lend: Lends the connection.
        lanes: The lanes that are known.
        told: Called with the topics of each exchange.
        relaxed: Whether commits need not wait for the disk.
    """

    def __init__(
        self,
        database: PostgresDatabase,
        lend: Lend,
        lanes: Lanes,
        told: Callable[[Collection[str]], None],
        *,
        relaxed: bool,
    ) -> None:
        self._database = database
        self._lend = lend
        self._lanes = lanes
        self._told = told
        self._relaxed = relaxed
        self._pace = Pace()
        self._query: Callable[[Form], Query] = cache(partial(compose, prefix=database.texts.prefix))

    async def exchange(self, request: Request) -> Exchange | None:
        """Do an exchange; ``None`` if it has settlements that need more than one statement."""
        form = form_of(request.settlements)
        if form is None:
            return None
        answer = await self._database.attempt(
            self._lend, partial(self._exchange, form=form, request=request)
        )
        topics = _topics(request.settlements, answer)
        self._lanes.came_back([f"lane:{lane}" for lane in answer.lanes])
        if topics:
            self._told(topics)
        return Exchange(
            claimed=answer.jobs,
            rejected=answer.rejected,
            busy=answer.busy,
            ended=answer.ended,
            cancelled=answer.cancelled,
            next_due_ms=answer.next_due_ms,
            now_ms=answer.now_ms,
        )

    async def _exchange(self, connection: Connection, form: str, request: Request) -> Answer:
        try:
            return await self._first(connection, form, request)
        except Exception as error:
            if state_of(error) != UNIQUE:
                raise
            return await self._first(connection, form, request)  # now it is a replay

    async def _first(self, connection: Connection, form: str, request: Request) -> Answer:
        """Settle and claim, in one statement if it finds enough."""
        wants = request.wants
        looked = False
        if wants.limit > 0 and wants.others > 0 and self._lanes.stale:
            await self._look(connection)
            looked = True
        at_once = wants.limit > 0 and not (form and frees_work(request.settlements))
        target = self._lanes.target(wants if at_once else NOTHING, request.seq)
        answer = await self._ask(connection, form, request, target, again=False)
        if answer is None:
            raise LeaseLost(request.lease)
        last_seq = answer.last_seq
        if last_seq is not None and request.seq <= last_seq:
            if request.seq < last_seq:
                raise StaleExchange(request.lease, request.seq, last_seq)
            return await self._replay(connection, request)
        more = wants.limit > len(answer.jobs)
        if not at_once and more:
            self._lanes.came_back([f"lane:{lane}" for lane in answer.lanes])
            return await self._go_on(connection, request, answer)
        if more and wants.others > 0 and not looked and not self._pace.slow:
            await self._look(connection)
            return await self._go_on(connection, request, answer)
        return answer

    async def _go_on(self, connection: Connection, request: Request, first: Answer) -> Answer:
        """Claim what the first statement could not, or did not know of."""
        rest = _rest(request.wants, first.jobs)
        target = self._lanes.target(rest, request.seq)
        if not target:
            return first
        request = request._replace(settlements=(), wants=rest)
        second = await self._ask(connection, "", request, target, again=True)
        if second is None:  # between the two the lease was marked dead
            return first
        return first._replace(
            jobs=first.jobs + second.jobs,
            cancelled=second.cancelled,
            next_due_ms=second.next_due_ms,
        )

    async def _look(self, connection: Connection) -> None:
        began = time.monotonic()
        database = self._database
        script = ready_lanes(self._lanes.rotation)
        lanes, _ = await run(script, connection, database.texts, database.clock)
        self._lanes.found(lanes, time.monotonic() - began)

    async def _replay(self, connection: Connection, request: Request) -> Answer:
        found, _ = await self._database.transact(connection, partial(replay, request.lease))
        return Answer(
            None,
            found.now_ms,
            list(found.rejected),
            list(found.ended),
            list(found.busy),
            found.cancelled,
            found.next_due_ms,
            (),
            list(found.claimed),
        )

    async def _ask(
        self, connection: Connection, form: str, request: Request, target: Target, *, again: bool
    ) -> Answer | None:
        query = self._query(
            Form(
                settles=form,
                claims=bool(target),
                others=bool(target.others),
                suspects=bool(target.suspects),
                most=most_of(request.wants.limit),
                again=again,
                relaxed=self._relaxed,
            )
        )
        values: dict[str, object] = {
            "offset_ms": self._database.clock.offset_ms,
            "lease": request.lease,
            "seq": request.seq,
            "again": int(again),
            "extend_ms": EXTEND_MS,
        }
        if form:
            values |= columns(form, request.settlements)
        cursor = bool(target) and self._pace.uses_cursor()
        if target:
            values |= self._places(request.wants, target, cursor=cursor)
        began = time.monotonic()
        rows = await connection.fetch(query.text, query.params(values))
        if not rows:
            return None
        answer = _read(rows)
        if target:
            self._pace.took(time.monotonic() - began, cursor=cursor)
            self._lanes.claimed(answer.jobs, request.wants)
        return answer

    def _places(self, wants: Wants, target: Target, *, cursor: bool) -> dict[str, object]:
        places = self._lanes.cursors if cursor else {}
        named = [places.get(lane, START) for lane, _ in target.named]
        others = [places.get(lane, START) for lane in target.others]
        return {
            "limit": wants.limit,
            "suspects": target.suspects,
            "lanes": [lane for lane, _ in target.named],
            "caps": [cap for _, cap in target.named],
            "other_room": wants.others,
            "others": target.others,
            **_columns_of("after", named),
            **_columns_of("other", others),
        }


def _columns_of(name: str, places: Sequence[tuple[int, int, str]]) -> Mapping[str, object]:
    return {
        f"{name}_ranks": [rank for rank, _, _ in places],
        f"{name}_mss": [due_ms for _, due_ms, _ in places],
        f"{name}_ids": [job_id for _, _, job_id in places],
    }


def _read(rows: Sequence[Row]) -> Answer:
    header = rows[0]
    (rejected, ended, busy), lanes, cancelled = json.loads(header[3])
    worker, now_ms = header[4], header[11]
    found = rows[1:] if len(rows) < 3 else sorted(rows[1:], key=_place)
    return Answer(
        header[1],
        now_ms,
        [(one[0], one[1]) for one in rejected],
        [(one[0], one[1]) for one in ended],
        [(one[0], one[1]) for one in busy],
        cancelled or (),
        header[10],
        lanes or (),
        [running_job(row[2], row[1], row[3:], worker) for row in found],
    )


def _place(row: Row) -> int:
    place: int = row[0]
    return place


def _rest(wants: Wants, jobs: Sequence[Job]) -> Wants:
    """Return what is still wanted once *jobs* are there."""
    if not jobs:
        return wants
    caps = dict(wants.lanes)
    others, suspects = wants.others, wants.suspects
    for job in jobs:
        lane = job.lane.removesuffix("~")
        suspects = 0 if lane != job.lane else suspects
        if lane in caps:
            caps[lane] -= 1
        else:
            others -= 1
    return Wants(
        limit=wants.limit - len(jobs),
        lanes=list(caps.items()),
        others=others,
        executors=wants.executors,
        suspects=suspects,
    )


def _topics(settlements: Sequence[Settlement], answer: Answer) -> list[str]:
    """Return what has happened besides the claims."""
    if not settlements:
        return []
    ended = {job_id for job_id, _ in answer.ended}
    gone = {job_id for job_id, _ in (*answer.rejected, *answer.busy)}
    topics = [
        f"job:{one.id}"
        for one in settlements
        if one.id not in gone and (not TRANSITIONS[one.kind].waits or one.id in ended)
    ]
    return topics + [f"lane:{lane}" for lane in answer.lanes]
