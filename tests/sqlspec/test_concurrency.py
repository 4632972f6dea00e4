"""Two who work on the same rows at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from tests.databases.postgres import Database

from litestar_queues_core.errors import KeyBusyError, LeaseLost
from litestar_queues_core.ids import JobId, new_job_id
from litestar_queues_core.model import Event, Failure, Status
from litestar_queues_core.settlements import (
    CancelOutcome,
    Kind,
    MaintenancePolicy,
    Settlement,
    Wants,
)
from litestar_queues_core.testing import Claimer, make_job, make_jobs, shift_clock
from litestar_queues_core.testing.jobs import settled
from litestar_queues_sql.database import PREFIX
from litestar_queues_sql.postgres import PostgresStore, database as postgres_database
from litestar_queues_sql.postgres.query import Query
from litestar_queues_sqlspec import SQLSpecBackendConfig

LIVE = """
    INSERT INTO $job (id, status, lane, job_rank, due_ms, enqueued_ms, spec, payload)
    VALUES (%s, 0, 'default', 0, 0, 0, '', '')
"""
ENDED = """
    INSERT INTO $history (
        id, status, finished_ms, lane, due_ms, delivery, attempt, rescues, snoozes, put_backs,
        enqueued_ms, spec, payload
    )
    VALUES (%s, 4, 0, 'default', 0, 1, 0, 0, 0, 0, 0, '', '')
"""
EVENT = """
    INSERT INTO $event (job, delivery, sequence, type, task, queue, level, stored_ms, body)
    VALUES (
        %s, 0, 0, 'late', 't', 'q', 'info', extract(epoch FROM clock_timestamp()) * 1000, '{"at":0}'
    )
"""
PLENTY = Wants(limit=100, others=100)
WAITING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


@pytest.fixture
async def store(backend: SQLSpecBackendConfig) -> AsyncGenerator[PostgresStore]:
    async with backend.open() as store:
        yield store


@asynccontextmanager
async def somebody(database: Database) -> AsyncGenerator[psycopg.AsyncConnection[Any]]:
    """A transaction of somebody else, which is undone at the end."""
    async with await psycopg.AsyncConnection.connect(database.url) as connection:
        yield connection
        await connection.rollback()


async def execute(connection: psycopg.AsyncConnection[Any], text: str, *values: object) -> None:
    await connection.execute(Query(PREFIX, text).text.encode(), values)


async def until_somebody_waits(database: Database) -> None:
    async with asyncio.timeout(20):
        while not (await asyncio.to_thread(database.ask, WAITING))[0][0]:
            await asyncio.sleep(0)


async def lock(connection: psycopg.AsyncConnection[Any], job_id: JobId) -> None:
    await execute(connection, "SELECT 1 FROM $job WHERE id = %s FOR UPDATE", job_id)


@pytest.mark.parametrize("kind", [Kind.COMPLETE, Kind.RETRY, Kind.PROGRESS], ids=str)
async def test_a_row_that_somebody_has_locked_is_busy(
    store: PostgresStore, database: Database, kind: Kind
) -> None:
    claimer = await Claimer(store).open()
    await store.enqueue(make_jobs(2))
    locked, free = await claimer.claim(2)
    batch = [settled(one, kind, value=b"1") for one in (locked, free)]

    async with somebody(database) as other:
        await lock(other, locked.id)
        answer = await claimer.exchange(batch)
        again = await claimer.replay(batch)

    assert list(answer.busy) == list(again.busy) == [(locked.id, 1)]
    assert not answer.rejected
    later = await claimer.exchange([batch[0]])
    assert not later.busy
    assert not later.rejected


async def test_a_job_that_somebody_has_locked_is_not_claimed(
    store: PostgresStore, database: Database
) -> None:
    claimer = await Claimer(store).open()
    jobs = make_jobs(3)
    await store.enqueue(jobs)

    async with somebody(database) as other:
        await lock(other, jobs[1].id)
        claimed = await claimer.claim()

    assert [one.id for one in claimed] == [jobs[0].id, jobs[2].id]
    assert [one.id for one in await claimer.claim()] == [jobs[1].id]


async def test_claimers_of_two_processes_share_all_jobs_and_settle_them(
    backend: SQLSpecBackendConfig,
) -> None:
    jobs = make_jobs(600)

    async def drain(store: PostgresStore) -> list[str]:
        claimer = await Claimer(store).open()
        seen: list[str] = []
        answer = await claimer.exchange(wants=PLENTY)
        ends: list[Settlement] = []
        while answer.claimed or ends:
            seen += [one.id for one in answer.claimed]
            ends += [settled(one, Kind.COMPLETE) for one in answer.claimed]
            answer = await claimer.exchange(ends, PLENTY)
            assert not answer.rejected
            ends = [one for one in ends if (one.id, one.delivery) in set(answer.busy)]
        return seen

    async with backend.open() as here, backend.open() as there:
        await here.enqueue(jobs)
        shares = await asyncio.gather(drain(here), drain(there))
        counts = {one.status: one.value for one in (await here.count()).counts}

    assert sorted(shares[0] + shares[1]) == [job.id for job in jobs]
    assert counts == {Status.COMPLETED: 600}


async def test_a_lease_whose_exchange_is_on_its_way_is_not_marked_dead(
    store: PostgresStore, database: Database
) -> None:
    claimer = await Claimer(store).open(seconds=1)
    await store.enqueue([make_job()])
    job = await claimer.claim_one()
    shift_clock(store, timedelta(seconds=5))

    async with somebody(database) as other:
        await execute(other, "SELECT 1 FROM $lease WHERE id = %s FOR SHARE", claimer.lease)
        moved = (await store.maintain(MaintenancePolicy())).moved

    assert not moved
    assert not (await claimer.settle(job, Kind.COMPLETE)).rejected


async def test_an_exchange_that_waits_for_the_mark_of_death_applies_nothing(
    store: PostgresStore, database: Database
) -> None:
    claimer = await Claimer(store).open(seconds=1)
    await store.enqueue(make_jobs(2))
    job = await claimer.claim_one()

    async with somebody(database) as other:
        await execute(other, "UPDATE $lease SET dead = 1")
        late = asyncio.create_task(claimer.exchange([settled(job, Kind.COMPLETE)], PLENTY))
        await until_somebody_waits(database)
        await other.commit()
        with pytest.raises(LeaseLost):
            await late

    statuses = [one and one.status for one in await store.get([job.id])]
    assert statuses == [Status.RUNNING]
    counts = {one.status: one.value for one in (await store.count()).counts}
    assert counts == {Status.RUNNING: 1, Status.PENDING: 1}


async def test_a_cancel_that_waits_for_a_claim_becomes_a_request(
    store: PostgresStore, database: Database
) -> None:
    job = make_job()
    await store.enqueue([job])

    async with somebody(database) as claim:
        await execute(claim, "UPDATE $job SET status = 2, lease = 1, delivery = 1")
        cancel = asyncio.create_task(store.cancel([job.id], running=True))
        await until_somebody_waits(database)
        await claim.commit()

    assert await cancel == [CancelOutcome.REQUESTED]


async def test_a_cancel_that_is_committed_while_an_exchange_begins_is_not_lost(
    backend: SQLSpecBackendConfig,
) -> None:
    async with backend.open() as here, backend.open() as there:
        claimer = await Claimer(here).open()
        for _ in range(30):
            await here.enqueue([make_job()])
            job = await claimer.claim_one()
            retry = settled(job, Kind.RETRY, failure=Failure(outcome="failed"))
            answer, (outcome,) = await asyncio.gather(
                claimer.exchange([retry]), there.cancel([job.id], running=True)
            )
            while answer.busy:
                answer = await claimer.exchange([retry])

            (stored,) = await here.get([job.id])
            assert stored is not None
            assert stored.status is Status.CANCELLED, (outcome, answer)


async def test_an_exchange_that_is_sent_twice_at_once_is_applied_once(
    backend: SQLSpecBackendConfig,
) -> None:
    async with backend.open() as here, backend.open() as there:
        claimer = await Claimer(here).open()
        await here.enqueue(make_jobs(40))
        for seq in range(1, 11):
            first, second = await asyncio.gather(
                *(
                    one.exchange(claimer.lease, seq, [], Wants(limit=4, others=4))
                    for one in (here, there)
                )
            )
            ids = {one.id for one in first.claimed} | {one.id for one in second.claimed}
            held = await here.exchange(claimer.lease, seq, [], PLENTY)
            assert ids <= {one.id for one in held.claimed}
            assert len(held.claimed) == 4 * seq


async def test_a_key_that_somebody_holds_back_is_busy_and_harms_no_neighbour(
    store: PostgresStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = postgres_database.WRITE.replace("lock_timeout = '5s'", "lock_timeout = '50ms'")
    monkeypatch.setattr(postgres_database, "WRITE", impatient)
    jobs = [make_job(key="mine"), make_job(key="theirs"), make_job()]

    async with somebody(database) as other:
        await execute(
            other, "INSERT INTO $unique_key (name, job, task) VALUES ('theirs', 'x', 'y')"
        )
        first, second, third = await store.enqueue(jobs)

    assert (first.created, third.created) == (True, True)
    assert isinstance(second.error, KeyBusyError)
    assert (await store.enqueue([jobs[1]]))[0].created


async def test_a_job_that_finished_while_it_was_sent_again_is_not_taken_again(
    store: PostgresStore, database: Database
) -> None:
    job = make_job()
    claimer = await Claimer(store).open()

    async with somebody(database) as other:
        await execute(other, LIVE, job.id)
        store._enqueues._doubtful_until = float("inf")
        again = asyncio.create_task(store.enqueue([job]))
        await until_somebody_waits(database)
        await execute(other, "DELETE FROM $job")
        await execute(other, ENDED, job.id)
        await other.commit()
        (answer,) = await again

    assert answer.created
    assert not await claimer.claim()


async def test_a_reader_of_events_does_not_go_past_one_that_is_committed_late(
    store: PostgresStore, database: Database
) -> None:
    first, late, last = (
        Event(job_id=new_job_id(), type=name, task="t", queue="q", occurred_ms=0)
        for name in ("first", "late", "last")
    )
    await store.append_events([first])

    async with somebody(database) as other:
        await execute(other, EVENT, late.job_id)
        await store.append_events([last])
        early, cursor = await store.read_events({}, after=None, limit=10)
        nothing, still = await store.read_events({"type": "last"}, after=cursor, limit=10)
        await other.commit()
    rest, _ = await store.read_events({}, after=still, limit=10)

    assert [one.type for one in early] == ["first"]
    assert (list(nothing), still) == ([], cursor)
    assert [one.type for one in rest] == ["late", "last"]


async def test_a_number_that_was_never_used_holds_readers_up_for_a_while_only(
    store: PostgresStore, database: Database
) -> None:
    events = [
        Event(job_id=new_job_id(), type="said", task="t", queue="q", occurred_ms=0)
        for _ in range(2)
    ]
    await store.append_events(events[:1])
    async with somebody(database) as other:
        await execute(other, EVENT, new_job_id())
    await store.append_events(events[1:])
    before, _ = await store.read_events({}, after=None, limit=10)

    shift_clock(store, timedelta(seconds=11))

    after, _ = await store.read_events({}, after=None, limit=10)
    assert (len(before), len(after)) == (1, 2)
