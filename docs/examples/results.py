"""Waiting for a job, and what it tells afterwards."""

from __future__ import annotations

import asyncio

from litestar_queues_core import JobFailedError, QueueConfig, QueueService, Worker, task


@task
async def divide(a: int, b: int) -> float:
    return a / b


async def main() -> None:
    config = QueueConfig(queue_backend="memory")
    async with QueueService(config) as service:
        good = await service.enqueue(divide, 1, 4)
        bad = await service.enqueue(divide, 1, 0)
        assert good.status == "pending"

        async with Worker(service):
            assert await good.value(timeout=10) == 0.25
            try:
                await bad.value(timeout=10)
            except JobFailedError as error:
                assert error.id == bad.id

        assert good.status == "completed"
        assert bad.error == "ZeroDivisionError: division by zero"
        (failure,) = bad.errors
        assert failure.traceback.startswith("Traceback")


asyncio.run(main())
