"""Enqueueing from a thread."""

from __future__ import annotations

import asyncio

from litestar_queues_core import QueueConfig, QueueService, Worker, task


@task
def parent() -> bool:
    # A sync task runs in a thread: there, the blocking forms are the right ones.
    result = child.enqueue_sync(20)
    return result.status == "pending"


@task(queue="children")
def child(number: int) -> int:
    return number + 1


def from_a_thread(service: QueueService) -> int:
    answer: int = service.sync.value(service.sync.enqueue(child, 1), timeout=10)
    return answer


async def main() -> None:
    config = QueueConfig(queue_backend="memory")
    async with QueueService(config) as service, Worker(service):
        assert await asyncio.to_thread(from_a_thread, service) == 2

        result = await service.enqueue(parent)
        assert await result.value(timeout=10)


asyncio.run(main())
