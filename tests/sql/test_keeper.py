"""Keeping a lease from a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta

from litestar_queues_core.ids import new_lease_id
from litestar_queues_core.model import Status
from litestar_queues_core.settlements import Kind, MaintenancePolicy, Renewal
from litestar_queues_core.testing import Claimer, make_job, shift_clock
from litestar_queues_sql import SQLiteStore


async def test_a_lease_is_kept_while_the_loop_is_blocked(store: SQLiteStore) -> None:
    claimer = await Claimer(store).open(seconds=3)
    await store.enqueue([make_job()])
    job = await claimer.claim_one()
    shift_clock(store, timedelta(seconds=10))
    renewals: list[Renewal] = []
    done = threading.Event()

    def keep() -> None:
        with store.keeper() as keeper:
            renewals.append(keeper.renew(claimer.lease, seconds=3))
        done.set()

    threading.Thread(target=keep).start()
    assert done.wait(20)  # nothing else happens on the loop meanwhile

    assert [one.alive for one in renewals] == [True]
    assert not (await store.maintain(MaintenancePolicy())).moved
    assert not (await claimer.settle(job, Kind.COMPLETE)).rejected


async def test_a_keeper_learns_of_requests_and_of_death(store: SQLiteStore) -> None:
    claimer = await Claimer(store).open(seconds=3)
    await store.enqueue([make_job()])
    job = await claimer.claim_one()
    await store.cancel([job.id], running=True)

    def keep() -> tuple[Renewal, Renewal]:
        with store.keeper() as keeper:
            return (
                keeper.renew(claimer.lease, seconds=3),
                keeper.renew(new_lease_id(), seconds=3),
            )

    known, unknown = await asyncio.to_thread(keep)

    assert (known.alive, list(known.cancelled)) == (True, [job.id])
    assert not unknown.alive


async def test_a_keeper_can_close_the_lease_and_wake_others(store: SQLiteStore) -> None:
    claimer = await Claimer(store).open()
    await store.enqueue([make_job(queue="mail")])
    job = await claimer.claim_one()
    assert not await store.wait({"lane:files"}, 0.01)
    rest = asyncio.create_task(store.wait({"lane:files", "lane:mail"}, 20))

    def close() -> None:
        with store.keeper() as keeper:
            keeper.close_lease(claimer.lease)

    await asyncio.to_thread(close)

    assert await rest
    (back,) = await store.get([job.id])
    assert back is not None
    assert (back.status, back.rescues) == (Status.PENDING, 0)
