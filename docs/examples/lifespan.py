"""What all jobs of a worker share, and hooks around each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar_queues_core import (
    Outcome,
    QueueConfig,
    QueueService,
    TaskExecutionContext,
    Worker,
    WorkerConfig,
    task,
)

seen: list[str] = []


class Pool:
    """Stands for a pool of connections."""

    closed = False

    async def fetch(self, number: int) -> str:
        return f"row {number}"


@asynccontextmanager
async def lifespan(service: QueueService) -> AsyncIterator[Pool]:
    pool = Pool()
    yield pool
    pool.closed = True
    seen.append("closed")


async def before(context: TaskExecutionContext) -> None:
    seen.append(f"before {context.task}")


def after(context: TaskExecutionContext, outcome: Outcome) -> None:
    seen.append(f"after {context.task}: {outcome.ending}")


@task("rows.read")
async def read(number: int, *, _task_context: TaskExecutionContext) -> str:
    pool: Pool = _task_context.state
    return await pool.fetch(number)


config = QueueConfig(
    queue_backend="memory",
    worker=WorkerConfig(lifespan=lifespan, before_job=before, after_job=after),
)


async def main() -> None:
    async with QueueService(config) as service, Worker(service):
        result = await service.enqueue(read, 7)
        assert await result.value(timeout=10) == "row 7"

    assert seen == ["before rows.read", "after rows.read: returned", "closed"]


asyncio.run(main())
