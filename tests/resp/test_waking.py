"""Waking one process that waits, and the right one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack

import pytest

from litestar_queues_core.protocols import BackendConfig
from litestar_queues_core.settlements import Wants
from litestar_queues_core.testing import Claimer, make_job, make_jobs
from litestar_queues_resp import RespStore

LONG, SHORT = 20.0, 0.3


@pytest.fixture
async def stores(backend: BackendConfig) -> AsyncGenerator[list[RespStore]]:
    """Three stores in one namespace, which are like three processes."""
    async with AsyncExitStack() as opened:
        found = [await opened.enter_async_context(backend.open()) for _ in range(3)]
        assert all(isinstance(one, RespStore) for one in found)
        yield [one for one in found if isinstance(one, RespStore)]


async def resting(store: RespStore, *topics: str, timeout: float = LONG) -> asyncio.Task[bool]:
    """Begin to wait, and return once the server knows."""
    task = asyncio.create_task(store.wait(topics, timeout))
    while "cmd=bzpopmin" not in str(await store.client.call("CLIENT", "LIST")):
        await asyncio.sleep(0)
    for _ in range(10):
        await store.client.call("PING")
    return task


async def test_work_in_one_lane_is_not_eaten_by_who_waits_for_another(
    stores: list[RespStore],
) -> None:
    here, there, producer = stores
    files = await resting(here, "lane:files", timeout=2.0)
    mail = await resting(there, "lane:mail")

    await producer.enqueue([make_job(queue="mail")])

    assert await mail
    assert not files.done()
    files.cancel()


async def test_what_was_raised_while_nobody_waited_is_heard_later(stores: list[RespStore]) -> None:
    here, there, _ = stores
    await there.enqueue([make_job(queue="mail")])

    assert await here.wait(["lane:mail"], LONG)
    assert not await here.wait(["lane:mail"], SHORT)


async def test_news_that_came_for_somebody_who_has_left_go_to_others(
    stores: list[RespStore],
) -> None:
    here, there, producer = stores
    gone = await resting(here, "lane:mail")
    kept = await resting(here, "lane:files")
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    mail = await resting(there, "lane:mail")

    await producer.enqueue([make_job(queue="mail")])

    assert await mail
    kept.cancel()


async def test_who_hears_of_work_and_has_no_room_passes_it_on(stores: list[RespStore]) -> None:
    busy, idle, producer = stores
    first = await resting(busy, "lane:*")
    second = await resting(idle, "lane:*")

    await producer.enqueue([make_job()])

    assert await first
    assert await second


async def test_who_hears_of_work_and_takes_it_keeps_it_to_himself(stores: list[RespStore]) -> None:
    busy, idle, producer = stores
    claimer = await Claimer(busy).open()
    first = await resting(busy, "lane:*")
    second = await resting(idle, "lane:*", timeout=2.0)

    await producer.enqueue([make_job()])
    assert await first
    assert len(await claimer.claim()) == 1

    assert not await second


async def test_who_leaves_work_behind_wakes_the_next(stores: list[RespStore]) -> None:
    here, there, producer = stores
    await producer.enqueue(make_jobs(3))
    assert await there.wait(["lane:*"], LONG)
    claimer = await Claimer(here).open()
    idle = await resting(there, "lane:*")

    answer = await claimer.exchange(wants=Wants(limit=1, others=1))

    assert len(answer.claimed) == 1
    assert await idle


async def test_the_end_of_a_job_is_told_to_each_process_that_waits_for_it(
    stores: list[RespStore],
) -> None:
    here, there, producer = stores
    job = make_job()
    await producer.enqueue([job])
    ends = [await resting(store, f"job:{job.id}") for store in (here, there)]

    await producer.cancel([job.id], running=False)

    assert [await end for end in ends] == [True, True]


async def test_who_waits_again_at_once_for_the_end_of_a_job_hears_of_it(
    stores: list[RespStore],
) -> None:
    here, _, producer = stores
    for _ in range(10):
        job = make_job()
        await producer.enqueue([job])
        assert not await here.wait([f"job:{job.id}"], 0.001)
        again = asyncio.create_task(here.wait([f"job:{job.id}"], LONG))
        await asyncio.sleep(0.01)
        await producer.cancel([job.id], running=False)

        assert await again


async def test_a_process_that_is_full_leaves_news_of_several_lanes_to_others(
    stores: list[RespStore],
) -> None:
    full, idle, producer = stores
    claimer = await Claimer(full).open()
    await producer.enqueue(make_jobs(2, queue="a"))
    assert len(await claimer.claim(1, lanes=[("a", 1), ("b", 1)], others=0)) == 1
    busy = [await resting(full, f"lane:{name}") for name in "ab"]
    waits = [await resting(idle, f"lane:{name}") for name in "ab"]

    await producer.enqueue([make_job(queue="a"), make_job(queue="b")])

    assert [await one for one in waits] == [True, True]
    for one in busy:
        one.cancel()


async def test_a_lane_that_was_not_looked_at_is_told_to_others(stores: list[RespStore]) -> None:
    here, there, producer = stores
    await producer.enqueue(make_jobs(2, queue="a") + make_jobs(5, queue="b"))
    assert await there.wait(["lane:b"], LONG)
    assert await there.wait(["lane:*"], LONG)
    claimer = await Claimer(here).open()
    idle = await resting(there, "lane:*")

    assert len(await claimer.claim(2, lanes=[("a", 2)], others=2)) == 2

    assert await idle


async def test_work_that_one_process_cannot_do_is_told_to_the_next(stores: list[RespStore]) -> None:
    here, there, producer = stores
    claimer = await Claimer(here).open()
    await producer.enqueue([make_job(execution_backend="gpu")])
    assert await here.wait(["lane:*"], LONG)
    idle = await resting(there, "lane:*")

    assert not await claimer.claim(10)

    assert await idle


async def test_a_job_that_has_ended_is_not_waited_for(stores: list[RespStore]) -> None:
    here, there, _ = stores
    job = make_job()
    await there.enqueue([job])
    await there.cancel([job.id], running=False)

    assert await here.wait([f"job:{job.id}"], LONG)


async def test_those_who_wait_no_more_leave_nothing_behind(stores: list[RespStore]) -> None:
    here, _, producer = stores
    job = make_job(delay_ms=3_600_000)
    await producer.enqueue([job])
    watched = f"{here._caller.key}:t"

    assert not await here.wait([f"job:{job.id}"], 0.01)

    async with asyncio.timeout(LONG):
        while await here.client.call("EXISTS", watched):
            await asyncio.sleep(0.01)
