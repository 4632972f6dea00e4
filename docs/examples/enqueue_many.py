"""A batch of calls in one round trip."""

from __future__ import annotations

import asyncio

from litestar_queues_core import QueueConfig, QueueService, Worker, task


@task
async def square(number: int) -> int:
    return number * number


async def main() -> None:
    config = QueueConfig(queue_backend="memory")
    async with QueueService(config) as service, Worker(service):
        urgent = square.using(priority=10)
        calls = [square.call(number) for number in range(99)] + [urgent.call(99)]

        results = await service.enqueue_many(calls)

        assert await results[98].value(timeout=10) == 98 * 98
        assert await results[99].value(timeout=10) == 99 * 99


asyncio.run(main())
