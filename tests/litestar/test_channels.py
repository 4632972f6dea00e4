from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from litestar import Litestar
from litestar.channels import ChannelsPlugin
from litestar.channels.backends.memory import MemoryChannelsBackend

from litestar_queues import (
    QueueConfig,
    QueueEventConfig,
    QueuePlugin,
    Task,
    WorkerConfig,
    task,
)
from litestar_queues.events import (
    ChannelsEventSink,
    InMemoryEventSink,
    publish_task_log,
    publish_task_progress,
)
from litestar_queues_core.stores.memory import MemoryBackendConfig

MakeApp = Callable[..., Litestar]


def queue_plugin(**options: Any) -> QueuePlugin:
    config = QueueConfig(
        queue_backend=MemoryBackendConfig(),
        event_config=QueueEventConfig(enabled=True, **options),
        worker=WorkerConfig(grace=5.0),
    )
    return QueuePlugin(config)


@pytest.fixture
def chatty() -> Task[..., Any]:
    @task("chatty", queue="talk")
    async def chatty() -> None:
        await publish_task_progress(1, 2, "half")
        await publish_task_log("nearly there")

    return chatty


@pytest.mark.parametrize("place", [0, 1])
async def test_what_happens_to_a_job_is_told_on_its_channels_in_order(
    make_app: MakeApp, chatty: Task[..., Any], place: int
) -> None:
    backend = MemoryChannelsBackend()
    channels = ChannelsPlugin(backend, arbitrary_channels_allowed=True)
    plugins: list[Any] = [channels]
    plugins.insert(place, queue_plugin(channels_backend=backend))
    said = []
    app = make_app(plugins=plugins)
    async with app.lifespan(), channels.start_subscription(["queues:queue:talk"]) as subscription:
        result = await app.state.queue_service.enqueue(chatty)
        async for event in subscription.iter_events():
            said.append(json.loads(event))
            if said[-1]["type"] == "job.completed":
                break

    assert [event["type"] for event in said] == [
        "job.enqueued",
        "job.started",
        "task.progress",
        "task.log",
        "job.completed",
    ]
    assert {event["jobId"] for event in said} == {result.id}


async def test_the_names_of_channels_may_begin_otherwise(
    make_app: MakeApp, chatty: Task[..., Any]
) -> None:
    backend = MemoryChannelsBackend(history=10)
    sink = ChannelsEventSink(backend, prefix="shop")
    await backend.on_startup()
    try:
        async with (app := make_app(plugins=[queue_plugin(sink=sink)])).lifespan():
            result = await app.state.queue_service.enqueue(chatty)
            await result.wait(timeout=5)

        assert await backend.get_history(f"shop:job:{result.id}")
        assert await backend.get_history("shop:queue:talk")
        assert not await backend.get_history(f"queues:job:{result.id}")
    finally:
        await backend.on_shutdown()


async def test_a_backend_without_a_plugin_is_started_and_stopped(
    make_app: MakeApp, chatty: Task[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    backend = MemoryChannelsBackend(history=10)
    app = make_app(plugins=[queue_plugin(channels_backend=backend, publish_queue_channel=False)])
    async with app.lifespan():
        result = await app.state.queue_service.enqueue(chatty)
        await result.wait(timeout=5)

    history = await backend.get_history(f"queues:job:{result.id}")
    assert [json.loads(event)["type"] for event in history][-1] == "job.completed"
    assert await backend.get_history("queues:queue:talk") == []
    assert "were not published" not in caplog.text
    with pytest.raises(RuntimeError, match="not yet initialized"):
        await backend.publish(b"", ["any"])


class Recorder:
    """Stands where a channels backend does, and remembers."""

    def __init__(self) -> None:
        self.published: list[tuple[str, list[str]]] = []

    async def publish(self, data: bytes, channels: Iterable[str]) -> None:
        self.published.append((json.loads(data)["type"], list(channels)))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"job", "queue", "worker"}),
        ({"publish_task_channel": False}, {"queue", "worker"}),
        ({"publish_queue_channel": False}, {"job", "worker"}),
        ({"publish_global_lifecycle": True}, {"job", "queue", "worker", "global"}),
    ],
)
async def test_the_settings_say_which_channels_are_used(
    make_app: MakeApp, chatty: Task[..., Any], options: Any, expected: set[str]
) -> None:
    recorder: Any = Recorder()
    memory = InMemoryEventSink()
    sink = ChannelsEventSink(recorder, QueueEventConfig(**options))
    app = make_app(plugins=[queue_plugin(sink=[memory, sink])])
    async with app.lifespan():
        await (await app.state.queue_service.enqueue(chatty)).wait(timeout=5)

    channels = dict(recorder.published)
    assert [type_ for type_, _ in recorder.published] == memory.types()
    assert {name.split(":")[1] for name in channels["job.started"]} == expected
    assert {name.split(":")[1] for name in channels["task.log"]} == expected - {"global"}
    assert {name.split(":")[1] for name in channels["job.enqueued"]} == expected - {"worker"}
