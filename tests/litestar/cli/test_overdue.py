"""What ``list`` and ``show`` say of a job that runs past its timeout."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from litestar_queues import QueueConfig, QueueService, TaskExecutionContext, Worker, task
from litestar_queues.backends.sqlite import SQLiteBackendConfig

CommandLine = Any
SOON = 20.0


async def test_a_thread_past_its_timeout_is_shown_as_overdue(litestar_queues: CommandLine) -> None:
    told, release = threading.Event(), threading.Event()

    @task("stubborn", timeout=0.05)
    def stubborn(_task_context: TaskExecutionContext) -> None:
        while not _task_context.is_cancelled:
            release.wait(0.01)
        told.set()
        release.wait(SOON)

    @task("patient", timeout=600)
    def patient() -> None:
        release.wait(SOON)

    async def say(*arguments: str) -> Any:
        return await asyncio.to_thread(litestar_queues.json, *arguments)

    config = QueueConfig(queue_backend=SQLiteBackendConfig())
    async with QueueService(config) as service:
        late = await service.enqueue(stubborn)
        calm = await service.enqueue(patient)
        async with Worker(service, poll_interval=0.01, lease=3):
            assert await asyncio.to_thread(told.wait, SOON)
            listed = {job["id"]: job["overdue"] for job in (await say("list"))["jobs"]}
            shown = await litestar_queues.beside("show", late.id)
            table = await litestar_queues.beside("list")
            said = await say("show", late.id)
            release.set()
            await late.wait(SOON)
            ended = await say("show", late.id)

    assert listed == {late.id: True, calm.id: False}
    assert said["overdue"] is True
    assert "overdue" in shown
    assert table.count("running, overdue") == 1
    assert ended["status"] == "failed"
    assert ended["overdue"] is False
