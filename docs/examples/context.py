"""What a running task knows of itself."""

from __future__ import annotations

import asyncio

from litestar_queues_core import (
    QueueConfig,
    QueueService,
    TaskExecutionContext,
    Worker,
    get_current_task_context,
    task,
)


@task("reports.build", queue="reports")
async def build(
    month: str, *, _job_id: str, _task_context: TaskExecutionContext
) -> dict[str, object]:
    assert _job_id == _task_context.id
    return {"month": month, **where_am_i()}


def where_am_i() -> dict[str, object]:
    context = get_current_task_context()
    return {
        "task": context.task,
        "queue": context.queue,
        "attempt": context.attempt,
        "delivery": context.delivery,
        "tenant": context.headers["tenant"],
    }


async def main() -> None:
    config = QueueConfig(queue_backend="memory")
    async with QueueService(config) as service, Worker(service):
        result = await service.enqueue(build, "2026-01", headers={"tenant": "acme"})
        assert await result.value(timeout=10) == {
            "month": "2026-01",
            "task": "reports.build",
            "queue": "reports",
            "attempt": 1,
            "delivery": 1,
            "tenant": "acme",
        }


asyncio.run(main())
