"""What jobs tell while they run."""

from __future__ import annotations

import asyncio

from litestar_queues_core import QueueConfig, QueueEventConfig, QueueService, Worker, task
from litestar_queues_core.events import (
    InMemoryEventSink,
    publish_task_log,
    publish_task_progress,
)

sink = InMemoryEventSink()
events = QueueEventConfig(enabled=True, sink=sink)
config = QueueConfig(queue_backend="memory", event_config=events)


@task
async def convert(file: str) -> str:
    await publish_task_progress(current=1, total=2, message="reading")
    await publish_task_log("half way", payload={"file": file})
    return file.upper()


async def main() -> None:
    async with QueueService(config) as service, Worker(service):
        result = await service.enqueue(convert, "a.png")
        await result.wait(timeout=10)

    assert sink.types(result.id) == [
        "job.enqueued",
        "job.started",
        "task.progress",
        "task.log",
        "job.completed",
    ]


asyncio.run(main())
