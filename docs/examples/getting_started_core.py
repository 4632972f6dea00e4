"""The smallest program: one task, one worker, the memory store."""

from __future__ import annotations

import asyncio

from litestar_queues_core import QueueConfig, QueueService, Worker, task


@task
async def add(a: int, b: int) -> int:
    return a + b


async def main() -> None:
    async with QueueService(QueueConfig(queue_backend="memory")) as service:
        result = await service.enqueue(add, 1, 2)
        async with Worker(service, concurrency=10):
            assert await result.value(timeout=5) == 3
        assert result.status == "completed"


asyncio.run(main())
