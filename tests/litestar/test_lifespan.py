"""Where the worker stands in the life of an application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from litestar import Litestar
from litestar.config.app import AppConfig
from litestar.plugins import InitPlugin

from litestar_queues import QueueConfig, QueuePlugin, QueueService, WorkerConfig, task
from litestar_queues.lifespan import without_app_worker
from litestar_queues_core.stores.memory import MemoryBackendConfig

MakeApp = Callable[..., Litestar]


class PoolPlugin(InitPlugin):
    """Opens something that tasks use, and notes when."""

    def __init__(self, story: list[str]) -> None:
        self.story = story

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        app_config.lifespan.append(self.lifespan)
        return app_config

    @asynccontextmanager
    async def lifespan(self, app: Litestar) -> AsyncIterator[None]:
        app.state.pool = "open"
        self.story.append("pool opened")
        yield
        app.state.pool = "closed"
        self.story.append("pool closed")


class OuterPlugin(InitPlugin):
    """Adds its pool as a further plugin, as some do."""

    def __init__(self, story: list[str]) -> None:
        self.story = story

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        app_config.plugins.append(PoolPlugin(self.story))
        return app_config


@pytest.mark.parametrize("place", [0, 1])
async def test_the_worker_starts_last_and_stops_first(make_app: MakeApp, place: int) -> None:
    story: list[str] = []
    running, release = asyncio.Event(), asyncio.Event()

    @task("use")
    async def use() -> None:
        story.append(f"task began, pool {app.state.pool}")
        running.set()
        await release.wait()
        story.append(f"task ended, pool {app.state.pool}")

    async def start_up(app: Litestar) -> None:
        story.append("started up")
        await app.state.queue_service.enqueue(use)

    def shut_down() -> None:
        story.append("shut down")

    config = QueueConfig(queue_backend=MemoryBackendConfig(), worker=WorkerConfig(grace=5.0))
    plugins: list[Any] = [OuterPlugin(story)]
    plugins.insert(place, QueuePlugin(config))
    app = make_app(plugins=plugins, on_startup=[start_up], on_shutdown=[shut_down])
    async with app.lifespan():
        async with asyncio.timeout(5):
            await running.wait()
        asyncio.get_running_loop().call_later(0.05, release.set)

    assert story == [
        "pool opened",
        "started up",
        "task began, pool open",
        "task ended, pool open",
        "pool closed",
        "shut down",
    ]


class ReplacingPlugin(InitPlugin):
    """Gives the application another list of plugins, so that no plugin behind has its turn."""

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        app_config.plugins = [*app_config.plugins, PoolPlugin([])]
        return app_config


async def test_the_worker_runs_although_another_plugin_replaces_the_plugins(
    make_app: MakeApp,
) -> None:
    config = QueueConfig(queue_backend=MemoryBackendConfig(), worker=WorkerConfig(grace=5.0))
    app = make_app(plugins=[QueuePlugin(config), ReplacingPlugin()])
    async with app.lifespan():
        assert await leases(app) == 1


async def test_what_does_not_end_in_time_waits_for_the_next_start(make_app: MakeApp) -> None:
    attempts: list[int] = []
    running = asyncio.Event()
    backend = MemoryBackendConfig()

    @task("stubborn")
    async def stubborn() -> str:
        attempts.append(len(attempts))
        running.set()
        if len(attempts) == 1:
            await asyncio.Event().wait()
        return "done"

    app = make_app(config=QueueConfig(queue_backend=backend, worker=WorkerConfig(grace=0.05)))
    async with app.lifespan():
        result = await app.state.queue_service.enqueue(stubborn)
        async with asyncio.timeout(5):
            await running.wait()
    async with app.lifespan():
        again = await app.state.queue_service.get(result.id)

        assert await again.value(timeout=5) == "done"
        assert (await again.refresh()).record.attempt == 0


async def leases(app: Litestar) -> int:
    service: QueueService = app.state.queue_service
    return len((await service.count()).leases)


async def test_an_external_placement_runs_no_worker_in_the_app(make_app: MakeApp) -> None:
    worker = WorkerConfig(placement="external")
    app = make_app(config=QueueConfig(queue_backend=MemoryBackendConfig(), worker=worker))
    async with app.lifespan():
        assert await leases(app) == 0


async def test_a_worker_process_starts_the_app_without_its_worker(make_app: MakeApp) -> None:
    app = make_app()
    with without_app_worker():
        async with app.lifespan():
            assert await leases(app) == 0
    async with app.lifespan():
        assert await leases(app) == 1


async def test_limits_for_worker_processes_do_not_stop_the_worker_of_an_app(
    make_app: MakeApp,
) -> None:
    @task("small")
    async def small() -> None: ...

    worker = WorkerConfig(max_jobs=1, max_memory=1, grace=5.0)
    app = make_app(config=QueueConfig(queue_backend=MemoryBackendConfig(), worker=worker))
    async with app.lifespan():
        service: QueueService = app.state.queue_service
        results = [await (await service.enqueue(small)).wait(timeout=5) for _ in range(3)]

    assert [result.status for result in results] == ["completed"] * 3


async def test_an_app_that_fails_to_start_leaves_no_worker_behind(make_app: MakeApp) -> None:
    def fail() -> None:
        raise OSError("no such thing")

    before = asyncio.all_tasks()
    app = make_app(on_startup=[fail])
    with pytest.RaisesGroup(pytest.RaisesExc(OSError, match="no such thing")):
        async with app.lifespan():
            raise AssertionError("it has started")
    assert "queue_service" not in app.state
    assert asyncio.all_tasks() == before
