"""Waiting for a job while its store comes and goes."""

from __future__ import annotations

import asyncio
import logging

import pytest
from tests.core.faulty import FaultyBackend, failing

from litestar_queues_core import QueueConfig, QueueService, Worker, task
from litestar_queues_core.errors import ResultExpired, StoreUnavailable
from litestar_queues_core.ids import new_job_id
from litestar_queues_core.model import Status
from litestar_queues_core.results import TaskResult
from litestar_queues_core.stores.memory import MemoryBackendConfig

SOON = 10.0


def faulty(times: int) -> FaultyBackend:
    """Return a backend whose first *times* looks at a job fail."""
    return FaultyBackend(MemoryBackendConfig(), failing(["get"], "before", times=times))


async def test_waiting_outlasts_an_outage_of_the_store(caplog: pytest.LogCaptureFixture) -> None:
    @task
    async def double(number: int) -> int:
        return 2 * number

    caplog.set_level(logging.DEBUG, "litestar_queues.store")
    backend = faulty(3)
    async with QueueService(QueueConfig(queue_backend=backend)) as service:
        result = await service.enqueue(double, 21)
        async with Worker(service):
            value = await result.value(SOON)

    assert value == 42
    assert backend.stores[0].failed == ["get before"] * 3
    assert result.status is Status.COMPLETED
    assert [one.levelname for one in caplog.records if "looking again" in one.message] == [
        "DEBUG"
    ] * 3


async def test_waiting_during_an_outage_ends_with_its_timeout() -> None:
    @task
    async def nothing() -> None: ...

    backend = faulty(1_000_000)
    async with QueueService(QueueConfig(queue_backend=backend)) as service:
        result = await service.enqueue(nothing)

        with pytest.raises(TimeoutError, match=r"has not ended within 0\.3 s; it is pending"):
            await result.wait(0.3)

    assert 2 <= len(backend.stores[0].failed) <= 10


async def test_waiting_during_an_outage_can_be_cancelled() -> None:
    @task
    async def nothing() -> None: ...

    before = asyncio.all_tasks()
    async with QueueService(QueueConfig(queue_backend=faulty(1_000_000))) as service:
        result = await service.enqueue(nothing)
        waiting = asyncio.create_task(result.wait())
        while not service.store.failed:  # type: ignore[attr-defined]
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting], timeout=SOON)

        assert waiting.cancelled()
    assert asyncio.all_tasks() == before


async def test_looking_once_says_that_the_store_is_away() -> None:
    @task
    async def nothing() -> None: ...

    async with QueueService(QueueConfig(queue_backend=faulty(1))) as service:
        result = await service.enqueue(nothing)

        with pytest.raises(StoreUnavailable):
            await result.refresh()


async def test_a_job_that_is_not_known_is_not_waited_for(service: QueueService) -> None:
    unknown: TaskResult[None] = TaskResult(service, new_job_id(), None)

    with pytest.raises(ResultExpired):
        await unknown.wait(SOON)
