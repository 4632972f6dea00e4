"""Our own queue."""

from __future__ import annotations

from litestar_queues_core import QueueConfig, QueueService, task
from litestar_queues_redis import RedisBackendConfig
from peers.counting import URL, done

config = QueueConfig(queue_backend=RedisBackendConfig(url=URL))


@task("bench.noop")
async def noop(number: int) -> None:
    """Do nothing."""
    done(number)


async def enqueue(jobs: int) -> None:
    """Enqueue in bulk."""
    async with QueueService(config) as service:
        await service.enqueue_many([noop.call(number) for number in range(jobs)])
