"""A worker against a store that fails, and leases that die."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from itertools import count

import pytest
from tests.core.faulty import FaultyBackend, failing

from litestar_queues_core import QueueConfig, QueueService, Status, Worker, task
from litestar_queues_core.settlements import MaintenancePolicy
from litestar_queues_core.stores.memory import MemoryBackendConfig
from litestar_queues_core.testing.clock import shift_clock

SOON = 10.0


@pytest.mark.parametrize("when", ["before", "after", "odd"])
async def test_lost_exchanges_lose_nothing_and_run_nothing_twice(when: str) -> None:
    runs: Counter[int] = Counter()

    @task(f"faults.{when}.count")
    async def tick(number: int) -> int:
        runs[number] += 1
        return number

    def fault(name: str, number: int) -> str | None:
        return when if name == "exchange" and number % 3 == 0 else None

    backend = FaultyBackend(MemoryBackendConfig(), fault)
    async with QueueService(QueueConfig(queue_backend=backend)) as service:
        results = await service.enqueue_many([tick.call(n) for n in range(50)])
        async with Worker(service, concurrency=5, poll_interval=0.01):
            for result in results:
                await result.wait(SOON)

    assert backend.stores[0].failed
    assert [result.result for result in results] == list(range(50))
    assert set(runs.values()) == {1}


@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_enqueue_with_unknown_outcome_is_found_out(when: str) -> None:
    @task(f"faults.{when}.enqueue")
    async def once() -> None: ...

    backend = FaultyBackend(MemoryBackendConfig(), failing(["enqueue"], when, times=1))
    async with QueueService(QueueConfig(queue_backend=backend)) as service:
        result = await service.enqueue(once)
        counts = (await service.count()).counts

    assert result.created
    assert sum(one.value for one in counts) == 1


async def test_a_worker_that_was_declared_dead_drops_its_results_and_goes_on() -> None:
    backend = MemoryBackendConfig()
    runs = count(1)
    first_runs, release = asyncio.Event(), asyncio.Event()
    cancelled = asyncio.Event()

    @task("faults.declared_dead")
    async def work() -> int:
        number = next(runs)
        if number == 1:
            first_runs.set()
            try:
                await release.wait()
            except asyncio.CancelledError:
                cancelled.set()
                raise
        return number

    async with (
        QueueService(QueueConfig(queue_backend=backend)) as service,
        QueueService(QueueConfig(queue_backend=backend)) as judge,
        Worker(service, lease=3, poll_interval=0.01),
    ):
        result = await service.enqueue(work)
        await asyncio.wait_for(first_runs.wait(), SOON)
        shift_clock(judge.store, timedelta(seconds=10))
        moved = (await judge.store.maintain(_rescuing())).moved
        await asyncio.wait_for(cancelled.wait(), SOON)
        await result.wait(SOON)

    assert [one.new for one in moved] == [Status.PENDING]
    assert result.result == 2
    assert result.record is not None
    assert result.record.rescues == 1


def _rescuing() -> MaintenancePolicy:
    return MaintenancePolicy(rescue=True)


async def test_a_burst_runs_what_its_own_maintenance_has_made_due() -> None:
    @task("faults.burst_due")
    async def work(number: int) -> int:
        return number

    async with QueueService(QueueConfig(queue_backend=MemoryBackendConfig())) as service:
        now = await service.enqueue(work, 1)
        later = await service.enqueue(work.using(run_after=60), 2)
        shift_clock(service.store, timedelta(seconds=61))
        async with asyncio.timeout(SOON):
            await Worker(service, burst=True).run()

        assert (await now.refresh()).status is Status.COMPLETED
        assert (await later.refresh()).status is Status.COMPLETED


async def test_that_enough_jobs_were_run_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "litestar_queues.worker")

    @task("faults.max_jobs")
    async def work() -> None: ...

    async with QueueService(QueueConfig(queue_backend=MemoryBackendConfig())) as service:
        await service.enqueue_many([work.call() for _ in range(3)])
        worker = Worker(service, max_jobs=1)
        async with asyncio.timeout(SOON), worker:
            await worker.stopped.wait()
            await worker._housekeep()

    assert [record.message for record in caplog.records if "makes room" in record.message] == [
        f"worker {worker.name} has run 1 jobs and makes room"
    ]
