"""Waking those who wait, and nobody else."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path

import pytest

from litestar_queues_core.settlements import Kind, MaintenancePolicy, Wants
from litestar_queues_core.testing import Claimer, make_job
from litestar_queues_sql import SQLiteBackendConfig, SQLiteStore
from litestar_queues_sql.signals import Signals

LONG, SHORT = 20.0, 0.2


@pytest.fixture
async def other(path: Path, store: SQLiteStore) -> AsyncGenerator[SQLiteStore]:
    """A second store on the same file, which is like another process."""
    async with SQLiteBackendConfig(path=path).open() as other:
        yield other


async def resting(store: SQLiteStore, *topics: str, timeout: float = LONG) -> asyncio.Task[bool]:
    task = asyncio.create_task(store.wait(topics, timeout))
    await asyncio.sleep(0)
    return task


async def test_what_was_raised_between_two_rests_ends_the_second() -> None:
    signals = Signals()
    assert not await signals.wait({"lane:mail"}, 0.001)

    signals.raise_({"lane:mail"})

    assert await signals.wait({"lane:mail"}, LONG)
    assert not await signals.wait({"lane:mail"}, 0.001)


async def test_a_rest_that_was_cancelled_has_told_nobody() -> None:
    signals = Signals()
    rest = asyncio.create_task(signals.wait({"lane:mail"}, LONG))
    await asyncio.sleep(0)
    signals.raise_({"lane:mail"})
    rest.cancel()
    with pytest.raises(asyncio.CancelledError):
        await rest

    assert await signals.wait({"lane:mail"}, LONG)


async def test_those_who_have_gone_are_forgotten() -> None:
    signals = Signals()
    for number in range(100):
        assert not await signals.wait({f"job:{number}", "lane:*"}, 0)

    assert not signals._waiting
    assert len(signals._told) == 1


async def test_the_rest_for_a_job_that_has_ended_is_over_at_once(
    store: SQLiteStore, other: SQLiteStore
) -> None:
    await store.enqueue([job := make_job()])
    await store.cancel([job.id], running=False)

    assert await store.wait({f"job:{job.id}"}, LONG)
    assert await other.wait({f"job:{job.id}"}, LONG)


async def test_work_that_came_between_two_rests_elsewhere_ends_the_second(
    store: SQLiteStore, other: SQLiteStore
) -> None:
    assert not await other.wait({"lane:mail"}, SHORT)

    await store.enqueue([make_job(queue="mail")])

    assert await other.wait({"lane:mail"}, LONG)


async def test_workers_without_work_do_not_wake_each_other(
    store: SQLiteStore, other: SQLiteStore
) -> None:
    claimer, neighbour = await Claimer(store).open(), await Claimer(other).open()
    await store.enqueue([make_job(queue="gpu-only", execution_backend="gpu", delay_ms=3_600_000)])
    rests = [
        await resting(store, "lane:mail", f"lease:{claimer.lease}", timeout=1),
        await resting(other, "lane:*", f"lease:{neighbour.lease}", timeout=1),
    ]

    while not all(rest.done() for rest in rests):
        for one in (claimer, neighbour):
            await one.store.renew(one.lease, seconds=60)
            await one.exchange(wants=Wants(limit=5, others=5))
            await one.store.maintain(MaintenancePolicy())

    assert [rest.result() for rest in rests] == [False, False]


async def test_a_worker_wakes_once_for_one_job(store: SQLiteStore, other: SQLiteStore) -> None:
    rest = await resting(other, "lane:mail")
    await store.enqueue([make_job(queue="mail")])
    assert await rest

    assert not await other.wait({"lane:mail"}, SHORT)


async def test_topics_raised_by_hand_reach_other_processes(
    store: SQLiteStore, other: SQLiteStore
) -> None:
    rest = await resting(other, "lane:*")

    await store.notify({"lane:mail"})

    assert await rest


async def test_nobody_polls_unless_somebody_waits(store: SQLiteStore) -> None:
    watcher = store._sqlite.watcher
    assert not watcher._watched

    rest = await resting(store, "lane:mail")
    watched = set(watcher._watched)
    rest.cancel()
    await asyncio.gather(rest, return_exceptions=True)

    assert watched == {"lane:mail"}
    assert not watcher._watched


async def test_an_idle_worker_writes_nothing(store: SQLiteStore, path: Path) -> None:
    claimer = await Claimer(store).open()
    await store.enqueue([make_job(delay_ms=3_600_000)])
    with closing(sqlite3.connect(path)) as watch:
        (before,) = watch.execute("PRAGMA data_version").fetchone()
        for _ in range(5):
            await claimer.exchange(wants=Wants(limit=10, others=10, suspects=1))
            await store.maintain(MaintenancePolicy())
        (after,) = watch.execute("PRAGMA data_version").fetchone()
        await claimer.store.enqueue([make_job()])
        (at_last,) = watch.execute("PRAGMA data_version").fetchone()

    assert before == after
    assert at_last != after


async def test_a_cancel_request_wakes_its_holder_once(
    store: SQLiteStore, other: SQLiteStore
) -> None:
    claimer = await Claimer(store).open()
    await store.enqueue([make_job()])
    job = await claimer.claim_one()
    rest = await resting(store, f"lease:{claimer.lease}")

    await other.cancel([job.id], running=True)
    assert await rest
    again = await resting(store, f"lease:{claimer.lease}", timeout=SHORT)
    await other.enqueue([make_job()])

    assert not await again
    await claimer.settle(job, Kind.CANCEL)
