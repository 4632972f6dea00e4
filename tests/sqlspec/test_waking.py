"""Waits that end early, and leases that are kept from a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest
from tests.databases.postgres import Database

from litestar_queues_core.ids import new_lease_id
from litestar_queues_core.model import Status
from litestar_queues_core.settlements import Kind, MaintenancePolicy, Renewal
from litestar_queues_core.testing import Claimer, make_job, make_jobs, shift_clock
from litestar_queues_sql.postgres import PostgresStore
from litestar_queues_sql.postgres.notifier import LONGEST, payloads
from litestar_queues_sqlspec import SQLSpecBackendConfig

LONG = 20.0


@pytest.fixture
async def store(backend: SQLSpecBackendConfig) -> AsyncGenerator[PostgresStore]:
    async with backend.open() as store:
        yield store


@pytest.fixture
async def other(
    backend: SQLSpecBackendConfig, store: PostgresStore
) -> AsyncGenerator[PostgresStore]:
    async with backend.open() as other:
        yield other


def listeners(database: Database) -> list[int]:
    return [pid for pid, _, query in database.connections() if query.startswith("LISTEN")]


async def test_a_raise_is_heard_elsewhere(store: PostgresStore, other: PostgresStore) -> None:
    rest = asyncio.create_task(other.wait({"lane:mail"}, LONG))
    await asyncio.sleep(0)

    await store.notify(["lane:mail"])

    assert await rest


async def test_the_end_of_a_job_is_heard_elsewhere_if_somebody_waits(
    store: PostgresStore, other: PostgresStore
) -> None:
    claimer = await Claimer(store).open()
    for _ in range(3):
        await store.enqueue([make_job()])
        job = await claimer.claim_one()
        rest = asyncio.create_task(other.wait({f"job:{job.id}"}, LONG))
        await asyncio.sleep(0)
        await claimer.settle(job, Kind.COMPLETE)
        assert await rest


async def test_a_lost_listener_is_replaced_and_wakes_all(
    store: PostgresStore, database: Database
) -> None:
    rest = asyncio.create_task(store.wait({"lane:mail"}, LONG))
    await asyncio.sleep(0)
    (pid,) = listeners(database)

    await asyncio.to_thread(database.end, pid)

    assert await rest
    (again,) = listeners(database)
    assert again != pid


async def test_without_notifications_there_is_no_listener(
    database: Database, backend: SQLSpecBackendConfig
) -> None:
    backend.notify = False
    async with backend.open() as here, backend.open() as there:
        claimer = await Claimer(here).open()
        assert listeners(database) == []
        await there.enqueue([make_job()])
        job = await claimer.claim_one()
        rest = asyncio.create_task(there.wait({f"job:{job.id}"}, LONG))
        await asyncio.sleep(0)
        await claimer.settle(job, Kind.COMPLETE)

        assert await rest


async def test_many_lanes_are_told_in_pieces(store: PostgresStore, other: PostgresStore) -> None:
    rest = asyncio.create_task(other.wait({"lane:last"}, LONG))
    await asyncio.sleep(0)

    await store.notify([*(f"lane:{'x' * 90}{number}" for number in range(300)), "lane:last"])

    assert await rest
    pieces = list(payloads("origin", [f"lane:{number}" for number in range(5000)]))
    assert len(pieces) > 1
    assert max(map(len, pieces)) <= LONGEST


async def test_a_burst_of_raises_is_told_in_few_notifications(
    store: PostgresStore, database: Database
) -> None:
    await asyncio.gather(*(store.enqueue(make_jobs(10)) for _ in range(50)))
    await store.notify(["lane:mail"])

    assert len(store._notifier._pending) <= 2


async def test_a_lease_is_kept_while_the_loop_is_blocked(store: PostgresStore) -> None:
    claimer = await Claimer(store).open(seconds=3)
    await store.enqueue([make_job()])
    job = await claimer.claim_one()
    shift_clock(store, timedelta(seconds=10))
    renewals: list[Renewal] = []
    done = threading.Event()

    def keep() -> None:
        with store.keeper() as keeper:
            renewals.append(keeper.renew(claimer.lease, seconds=3))
            renewals.append(keeper.renew(new_lease_id(), seconds=3))
        done.set()

    threading.Thread(target=keep).start()
    assert done.wait(20)  # nothing else happens on the loop meanwhile

    assert [one.alive for one in renewals] == [True, False]
    assert not (await store.maintain(MaintenancePolicy())).moved
    assert not (await claimer.settle(job, Kind.COMPLETE)).rejected


async def test_a_keeper_outlives_its_connection(store: PostgresStore, database: Database) -> None:
    claimer = await Claimer(store).open(seconds=3)

    def keep() -> list[bool]:
        with store.keeper() as keeper:
            first = keeper.renew(claimer.lease, seconds=3).alive
            database.terminate()
            try:
                keeper.renew(claimer.lease, seconds=3)
            except ConnectionError:
                return [first, keeper.renew(claimer.lease, seconds=3).alive]
        return [first]

    assert await asyncio.to_thread(keep) == [True, True]


async def test_a_keeper_can_close_the_lease_and_wake_others(
    store: PostgresStore, other: PostgresStore
) -> None:
    claimer = await Claimer(store).open()
    await store.enqueue([make_job(queue="mail")])
    job = await claimer.claim_one()
    rests = [asyncio.create_task(one.wait({"lane:mail"}, LONG)) for one in (store, other)]
    await asyncio.sleep(0)

    def close() -> None:
        with store.keeper() as keeper:
            keeper.close_lease(claimer.lease)

    await asyncio.to_thread(close)

    assert await asyncio.gather(*rests) == [True, True]
    (back,) = await store.get([job.id])
    assert back is not None
    assert (back.status, back.rescues) == (Status.PENDING, 0)
