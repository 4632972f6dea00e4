"""Values that SQLite cannot hold."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from litestar_queues_core.errors import SettlementRefused
from litestar_queues_core.model import Failure, JobMeta, Status
from litestar_queues_core.settlements import Kind
from litestar_queues_core.testing import Claimer, make_job, make_jobs, settled
from litestar_queues_sql import DataRefused, SQLiteStore
from litestar_queues_sql.database import Texts
from litestar_queues_sql.enqueue import enqueue
from litestar_queues_sql.schema import upgrade
from litestar_queues_sql.sqlite.connection import Clock, Connection
from litestar_queues_sql.sqlite.dialect import SQLITE
from litestar_queues_sql.sqlite.opening import connect

TOO_LATE = 2**70


async def test_a_job_that_cannot_be_held_harms_no_neighbour(store: SQLiteStore) -> None:
    jobs = [
        make_job(),
        make_job(due_ms=TOO_LATE),
        make_job(),
        make_job(meta=JobMeta(headers={"half": "\ud800"})),
        make_job(key="file:7"),
    ]

    answers = await store.enqueue(jobs)

    assert [type(one.error) for one in answers] == [
        type(None), DataRefused, type(None), DataRefused, type(None),
    ]  # fmt: skip
    assert "too large" in str(answers[1].error)
    assert [one.created for one in answers] == [True, False, True, False, True]
    assert [one is not None for one in await store.get([job.id for job in jobs])] == [
        True, False, True, False, True,
    ]  # fmt: skip


async def test_a_settlement_that_cannot_be_held_is_named_and_nothing_applied(
    store: SQLiteStore,
) -> None:
    claimer = await Claimer(store).open()
    await store.enqueue(make_jobs(5))
    jobs = await claimer.claim()
    batch = [settled(job, Kind.COMPLETE) for job in jobs]
    batch[1] = settled(jobs[1], Kind.RETRY, delay_ms=TOO_LATE)
    batch[3] = settled(jobs[3], Kind.FAIL, failure=Failure(outcome="failed", message="\ud800"))

    with pytest.raises(SettlementRefused) as refused:
        await claimer.exchange(batch)
    during = await store.get([job.id for job in jobs])
    answer = await claimer.exchange([batch[0], batch[2], batch[4]])

    assert refused.value.ids == [jobs[1].id, jobs[3].id]
    assert {one and one.status for one in during} == {Status.RUNNING}
    assert not answer.rejected
    assert [one and one.status for one in await store.get([job.id for job in jobs])] == [
        Status.COMPLETED if place % 2 == 0 else Status.RUNNING for place in range(5)
    ]


async def test_a_follow_up_that_cannot_be_held_refuses_its_settlement(store: SQLiteStore) -> None:
    claimer = await Claimer(store).open()
    await store.enqueue(make_jobs(2))
    good, bad = await claimer.claim()

    with pytest.raises(SettlementRefused) as refused:
        await claimer.exchange(
            [
                settled(good, Kind.COMPLETE),
                settled(bad, Kind.COMPLETE, follow_ups=[make_job(due_ms=TOO_LATE)]),
            ]
        )

    assert refused.value.ids == [bad.id]


def test_a_blob_over_the_limit_is_refused_as_data(path: Path) -> None:
    raw = connect(path)
    with closing(Connection(raw, path, Texts(SQLITE), Clock(), "test")) as connection:
        connection.write([upgrade])
        raw.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 100_000)

        big, small = connection.write(
            [
                partial(enqueue, [make_job(payload=bytes(200_000))]),
                partial(enqueue, [make_job(payload=bytes(1000))]),
            ]
        ).outcomes

    assert isinstance(big.error, DataRefused)
    assert "too big" in str(big.error)
    assert small.error is None
