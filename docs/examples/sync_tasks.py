"""A sync task that stops when it is told to."""

from __future__ import annotations

import asyncio
import time

from litestar_queues_core import (
    QueueConfig,
    QueueService,
    TaskExecutionContext,
    Worker,
    task,
)


@task(timeout=1)
def resize(pictures: int, *, _task_context: TaskExecutionContext) -> int:
    for done in range(pictures):
        if _task_context.is_cancelled:
            return done
        _task_context.sync.progress(done, pictures)
        time.sleep(0.01)  # stands for the work on one picture
    return pictures


async def main() -> None:
    config = QueueConfig(queue_backend="memory")
    async with QueueService(config) as service, Worker(service):
        short = await service.enqueue(resize, 3)
        long = await service.enqueue(resize, 10_000)

        assert await short.value(timeout=10) == 3
        await long.wait(timeout=10)

    assert long.status == "failed"
    assert "exceeded its timeout of 1 s" in (long.error or "")


asyncio.run(main())
