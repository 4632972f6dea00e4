"""A primary that dies, and a replica that takes over."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Generator
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import pytest
from tests.resp.matrix import make_config
from tests.resp.servers import SentinelPair, redis6_binary, valkey_binary

from litestar_queues_core import QueueConfig, QueueService, Status, Worker, task
from litestar_queues_core.asking import Enqueuer, ask
from litestar_queues_core.errors import StoreUnavailable
from litestar_queues_core.ids import JobId
from litestar_queues_core.protocols import BackendConfig
from litestar_queues_core.testing import make_jobs

pytestmark = pytest.mark.timeout(180)
BOTH = {"valkey-py": valkey_binary(), "redis-py": redis6_binary()}


@pytest.fixture(params=["valkey-py", pytest.param("redis-py", marks=pytest.mark.service)])
def client(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def pair(client: str, short: Path) -> Generator[SentinelPair]:
    with SentinelPair(BOTH[client], short) as pair:
        yield pair


@pytest.fixture
def backend(client: str, pair: SentinelPair) -> BackendConfig:
    return make_config(
        *(client, "redis://localhost/0"),
        sentinels=pair.addresses,
        service_name=pair.name,
        durability="replicas",
    )


async def test_what_replicas_have_acknowledged_survives_the_primary(
    backend: BackendConfig, pair: SentinelPair
) -> None:
    acknowledged: list[JobId] = []

    async def produce() -> None:
        async with backend.open() as store:
            while True:
                try:
                    answers = await ask(store.enqueue(make_jobs(5)))
                except StoreUnavailable:
                    return
                acknowledged.extend(answer.id for answer in answers if answer.error is None)

    producers = [asyncio.create_task(produce()) for _ in range(3)]
    async with asyncio.timeout(20.0):
        while len(acknowledged) < 200:
            await asyncio.sleep(0.01)
    await asyncio.to_thread(pair.fail_over)
    await asyncio.gather(*producers)

    async with backend.open() as store:
        jobs = await store.get(acknowledged)
    assert {job and job.status for job in jobs} == {Status.PENDING}


async def test_without_a_replica_nothing_is_acknowledged(
    backend: BackendConfig, pair: SentinelPair
) -> None:
    async with backend.open() as store:
        await store.enqueue(make_jobs(1))
        await asyncio.to_thread(pair.replica.kill)
        with pytest.raises(StoreUnavailable, match="replica"):
            await ask(store.enqueue(make_jobs(1)), deadline=20.0)

        await asyncio.to_thread(pair.rejoin)
        (answer,) = await Enqueuer(store).enqueue(make_jobs(1))
    assert answer.error is None


async def test_a_running_worker_goes_on_with_the_new_primary(
    backend: BackendConfig, pair: SentinelPair
) -> None:
    runs = Counter[int]()
    over = asyncio.Event()

    @task(f"failover.{uuid4()}")
    async def work(number: int) -> int:
        runs[number] += 1
        if number == 0:
            await over.wait()
        return number

    async with AsyncExitStack() as running:
        service = await running.enter_async_context(
            QueueService(QueueConfig(queue_backend=backend))
        )
        await running.enter_async_context(Worker(service, concurrency=5, lease=30))
        before = await service.enqueue_many([work.call(number) for number in range(20)])
        assert await before[-1].value(20.0) == 19

        await asyncio.to_thread(pair.fail_over)
        await asyncio.to_thread(pair.rejoin)
        over.set()
        after = await service.enqueue_many([work.call(number) for number in range(20, 40)])

        assert [await handle.value(30.0) for handle in (*before, *after)] == [*range(40)]
    assert runs[0] == 1
