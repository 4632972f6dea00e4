"""A worker of a program's own."""

from __future__ import annotations

import asyncio

from litestar_queues_core import QueueConfig, QueueService, Worker, WorkerConfig, task

settings = WorkerConfig(concurrency=20, queue_concurrency={"reports": 1}, grace=10)
config = QueueConfig(queue_backend="memory", worker=settings)
started = asyncio.Event()


@task(queue="reports")
async def report(name: str) -> str:
    started.set()
    await asyncio.sleep(0.1)  # stands for the work
    return f"report {name}"


async def main() -> None:
    async with QueueService(config) as service:
        async with Worker(service, concurrency=5):
            result = await service.enqueue(report, "a")
            await started.wait()
        # The block has ended, and the running job was given time to finish.
        await result.refresh()
        assert result.result == "report a"


asyncio.run(main())
