"""The event history: what is kept, and for how long."""

from __future__ import annotations

from datetime import timedelta

from litestar_queues_core import (
    EventHistoryConfig,
    QueueConfig,
    QueueEventConfig,
    QueueService,
    Worker,
    task,
)
from litestar_queues_core.stores.memory import MemoryBackendConfig
from litestar_queues_core.testing import shift_clock


def config(**history: float) -> QueueConfig:
    events = QueueEventConfig(enabled=True, history=EventHistoryConfig(**history))
    return QueueConfig(queue_backend=MemoryBackendConfig(), event_config=events)


async def types(service: QueueService, job_id: str) -> list[str]:
    await service.announcements.drain()
    return [event.type async for event in service.iter_events(job_id)]


async def test_the_whole_story_of_a_job_is_kept_without_any_sink() -> None:
    @task
    async def plain() -> None: ...

    async with QueueService(config()) as service:
        done = await service.enqueue(plain)
        dropped = await service.enqueue(plain, run_after=60)
        await service.cancel(dropped.id)
        await Worker(service, burst=True).run()

        assert await types(service, done.id) == ["job.enqueued", "job.started", "job.completed"]
        assert await types(service, dropped.id) == ["job.enqueued", "job.cancelled"]


async def test_a_worker_prunes_events_that_are_too_old() -> None:
    @task
    async def plain() -> None: ...

    async with QueueService(config(max_age=3600)) as service:
        old = await service.enqueue(plain, run_after=timedelta(days=1))
        await service.announcements.drain()
        shift_clock(service.store, timedelta(hours=2))
        await Worker(service, burst=True).run()

        assert await types(service, old.id) == []
