"""Our own queue on PostgreSQL, with SQLSpec and asyncpg."""

from __future__ import annotations

from sqlspec.adapters.asyncpg import AsyncpgConfig

from litestar_queues_core import QueueConfig, QueueService, task
from litestar_queues_sqlspec import SQLSpecBackendConfig
from peers.counting import URL, done

database = AsyncpgConfig(connection_config={"dsn": URL})
config = QueueConfig(queue_backend=SQLSpecBackendConfig(config=database, create_schema=True))


@task("bench.noop")
async def noop(number: int) -> None:
    """Do nothing."""
    done(number)


async def prepare() -> None:
    """Make the tables."""
    async with QueueService(config):
        pass


async def enqueue(jobs: int) -> None:
    """Enqueue in bulk."""
    async with QueueService(config) as service:
        await service.enqueue_many([noop.call(number) for number in range(jobs)])
