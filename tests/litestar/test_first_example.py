"""The first example of the design, as it is written there, and run."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from litestar_queues import QueueConfig, QueueEventConfig, QueueService, Worker
from litestar_queues.events import InMemoryEventSink
from litestar_queues.execution.local import LocalExecutor
from litestar_queues_core.protocols import Executor
from litestar_queues_core.registry import default_registry
from litestar_queues_core.serializer import JsonSerializer

EXAMPLE = """
from litestar_queues import task
from litestar_queues.events import publish_task_log, publish_task_progress

@task(
    "files.process", queue="files", retries=3, timeout=600,
    execution_backend="cloudrun", execution_profile="worker-heavy",
    description="Process an uploaded file.", log_level="info",
)
async def process_file(file_id: str, *, _job_id: str) -> dict[str, str]:
    await publish_task_progress(current=1, total=3, message="started")
    await publish_task_log("file processing started", payload={"file_id": file_id})
    return {"task_id": str(_job_id), "file_id": file_id}
"""


class NearbyCloud:
    """Runs in this process what is meant for ``cloudrun``."""

    name = "cloudrun"

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Executor]:
        executor = LocalExecutor(serializer=JsonSerializer(), dependencies=None, threads=1)
        yield executor
        executor.close()


async def test_the_first_example_runs_as_it_is_written() -> None:
    exec(compile(EXAMPLE, "example.py", "exec"), {"__name__": "example"})  # noqa: S102
    process_file = default_registry.get("files.process")
    sink = InMemoryEventSink()
    config = QueueConfig(
        queue_backend="memory",
        execution_backends=[NearbyCloud()],
        event_config=QueueEventConfig(enabled=True, sink=sink),
    )

    async with QueueService(config) as service:
        result = await service.enqueue(process_file, "f-1")
        async with Worker(service, poll_interval=0.01):
            value = await result.value(timeout=5)
        await result.refresh()

    assert value == {"task_id": result.id, "file_id": "f-1"}
    (said,) = [one for one in sink.events if one.message == "file processing started"]
    assert said.payload == {"file_id": "f-1"}
    assert result.record is not None
    spec = result.record.new.spec
    assert (spec.queue, spec.retries, spec.timeout) == ("files", 3, 600)
    assert (spec.execution_backend, spec.execution_profile) == ("cloudrun", "worker-heavy")
    assert (spec.description, spec.log_level) == ("Process an uploaded file.", "info")
