"""Jobs that run as they are enqueued."""

from __future__ import annotations

import asyncio

from litestar_queues_core import QueueConfig, QueueService, task


@task
async def double(number: int) -> int:
    return number * 2


async def main() -> None:
    config = QueueConfig(queue_backend="memory", execution_backend="immediate")
    async with QueueService(config) as service:
        result = await service.enqueue(double, 21)

        await result.refresh()
        assert (result.status, result.result) == ("completed", 42)


asyncio.run(main())
