"""What a type checker concludes about a user's code; checked, never run.

``warn_unused_ignores`` makes each ``type: ignore`` an expectation: without its error it fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, assert_type

from litestar_queues_core import QueueConfig, QueueEventConfig, QueueService, Worker, task
from litestar_queues_core.events import InMemoryEventSink
from litestar_queues_core.executors.process import ProcessExecutionConfig
from litestar_queues_core.model import Job
from litestar_queues_core.results import TaskResult
from litestar_queues_core.settlements import CancelOutcome, Enqueued, JobQuery, Page, QueueCounts
from litestar_queues_core.stores.memory import MemoryBackendConfig
from litestar_queues_core.task import AsyncTask, SyncTask, Task, TaskCall


@task
async def add(a: int, b: int) -> int:
    return a + b


@task()
async def greet(name: str, *, loud: bool = False) -> str:
    return name.upper() if loud else name


@task("math.half", queue="math", retries=3, timeout=timedelta(minutes=1), unique_until="started")
def half(number: int) -> float:
    return number / 2


async def a_task_is_still_its_function() -> None:
    assert_type(await add(1, 2), int)
    assert_type(await greet("x", loud=True), str)
    assert_type(half(3), float)

    await add(1)  # type: ignore[call-arg]
    await add("1", 2)  # type: ignore[arg-type]
    half(number="3")  # type: ignore[arg-type]


async def a_task_has_options() -> None:
    changed = add.using(priority=10, key="sum", run_after=5, expires_in=timedelta(hours=1))

    assert_type(await changed(1, 2), int)
    assert_type(half.using(retries=0).call(3), TaskCall[float])

    add.using(priority="high")  # type: ignore[arg-type]
    add.using(prioritty=10)  # type: ignore[call-arg]
    add.using(isolation="shared")  # type: ignore[call-arg]


def a_misspelt_option_is_seen() -> None:
    task("math.third", retry=3)  # type: ignore[call-overload]
    task("math.third", unique_by="name")  # type: ignore[call-overload]


async def an_enqueue_knows_what_the_task_returns(service: QueueService) -> None:
    result = await service.enqueue(add, 1, 2, priority=5)

    assert_type(result, TaskResult[int])
    assert_type(result.id, str)
    assert_type(result.created, bool)
    assert_type(result.result, int | None)
    assert_type(result.error, str | None)
    assert_type(await result.refresh(), TaskResult[int])
    assert_type(await result.wait(timeout=5), TaskResult[int])
    assert_type(await result.value(timeout=timedelta(seconds=5)), int)
    assert_type(await service.enqueue("math.half", 3), TaskResult[Any])
    assert_type(await service.enqueue(add.using(priority=1), 1, 2), TaskResult[int])
    assert_type(await greet.enqueue("x", loud=True), TaskResult[str])
    assert_type(half.enqueue_sync(3), TaskResult[float])

    await greet.enqueue("x", quiet=True)  # type: ignore[call-arg]
    half.call("3")  # type: ignore[arg-type]


def the_sync_form_knows_it_too(service: QueueService) -> None:
    result = service.sync.enqueue(add, 1, 2, priority=5)

    assert_type(result, TaskResult[int])
    assert_type(service.sync.wait(result, timeout=5), TaskResult[int])
    assert_type(service.sync.value(result), int)
    assert_type(service.sync.enqueue(half.using(priority=1), 3), TaskResult[float])
    assert_type(service.sync.enqueue("math.half", 3), TaskResult[Any])
    assert_type(service.sync.enqueue_many([add.call(1, 2)]), list[TaskResult[Any]])

    service.sync.enqueue(3)  # type: ignore[call-overload]
    service.sync.enqueue_many([add])  # type: ignore[list-item]


async def a_batch_is_made_of_calls(service: QueueService) -> None:
    calls: Sequence[TaskCall[Any]] = [add.call(1, 2), greet.call("x"), half.call(3)]

    assert_type(await service.enqueue_many(calls), list[TaskResult[Any]])


async def a_service_is_looked_through(service: QueueService) -> None:
    assert_type(await service.get("id"), TaskResult[Any] | None)
    assert_type(await service.cancel("id", running=False), CancelOutcome)
    assert_type(await service.revive("id"), TaskResult[Any])
    assert_type(await service.count(), QueueCounts)
    assert_type(await service.cancel_all(queue="math"), dict[str, CancelOutcome])
    assert_type(await service.revive_all(JobQuery(queue="math")), dict[str, Enqueued])
    page = await service.find(status="failed", queue="math")
    assert_type(page, Page)
    assert_type(page.jobs, Sequence[Job])


async def a_core_user_opens_a_service_and_a_worker() -> None:
    async with QueueService(QueueConfig(queue_backend=MemoryBackendConfig())) as service:
        assert_type(service, QueueService)
        async with Worker(service, concurrency=10, lease=timedelta(seconds=30)) as worker:
            assert_type(worker, Worker)


def tasks_and_events_go_where_the_settings_name_or_configure() -> None:
    process, sink = ProcessExecutionConfig(), InMemoryEventSink()

    QueueConfig(execution_backend=process, execution_backends=["gpu", process])
    QueueConfig(execution_backend=5)  # type: ignore[arg-type]
    QueueEventConfig(sink=["broker", sink])
    QueueEventConfig(sink=5)  # type: ignore[arg-type]


def a_task_can_be_kept_and_passed_on() -> None:
    asynchronous: AsyncTask[..., int] = add
    synchronous: SyncTask[[int], float] = half
    either: Sequence[Task[..., Any]] = [asynchronous, synchronous, greet]

    assert_type([one.name for one in either], list[str])
