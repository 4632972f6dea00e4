"""Options of a task, and other ones for a single call."""

from __future__ import annotations

import asyncio

from litestar_queues_core import QueueConfig, QueueService, task


@task("files.process", queue="files", retries=3, timeout=600)
async def process_file(file_id: str) -> None:
    print("processing", file_id)


async def main() -> None:
    async with QueueService(QueueConfig(queue_backend="memory")) as service:
        urgent = process_file.using(priority=10, key="file:7", timeout=60)

        result = await service.enqueue(urgent, "7")

        job = (await result.refresh()).record
        assert job is not None
        assert (job.queue, job.priority) == ("files", 10)


asyncio.run(main())
