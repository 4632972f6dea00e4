"""What a worker does with jobs, told through the public API."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.core.faulty import FaultyBackend, FaultyStore

from litestar_queues_core import (
    Cancel,
    Discard,
    JobCancelledError,
    JobFailedError,
    NonRetryableError,
    QueueConfig,
    QueueService,
    Retry,
    RetryPolicy,
    Snooze,
    Status,
    TaskExecutionContext,
    Worker,
    get_current_task_context,
    task,
)
from litestar_queues_core.events import (
    InMemoryEventSink,
    publish_task_event,
    publish_task_log,
    publish_task_progress,
)
from litestar_queues_core.stores.memory import MemoryBackendConfig
from litestar_queues_core.worker.runner import TURN

SOON = 5.0
AT_ONCE = RetryPolicy(first=0, jitter=0)


async def test_a_job_runs_and_its_value_comes_back(service: QueueService) -> None:
    @task
    async def add(a: int, b: int) -> int:
        return a + b

    result = await service.enqueue(add, 1, 2)
    assert result.status == "pending"
    async with Worker(service, concurrency=10):
        await result.wait(timeout=SOON)

        assert result.status == "completed"
        assert result.result == 3
        assert await result.value(timeout=SOON) == 3


async def test_a_failing_task_is_retried_and_sees_which_attempt_it_is(
    service: QueueService,
) -> None:
    attempts: list[int] = []

    @task(retries=2, retry_policy=AT_ONCE)
    async def flaky(_task_context: TaskExecutionContext) -> str:
        attempts.append(_task_context.attempt)
        if len(attempts) < 3:
            raise ValueError("not yet")
        return "done"

    async with Worker(service):
        result = await (await service.enqueue(flaky)).wait(SOON)

    assert result.result == "done"
    assert attempts == [1, 2, 3]
    assert [one.message for one in result.errors] == ["not yet", "not yet"]
    assert result.error is None


async def test_a_job_without_attempts_left_fails_with_its_error(service: QueueService) -> None:
    @task(retries=1, retry_policy=AT_ONCE)
    async def broken() -> None:
        raise ValueError("for ever")

    async with Worker(service):
        result = await service.enqueue(broken)
        with pytest.raises(JobFailedError, match="ValueError: for ever"):
            await result.value(SOON)

    assert result.status is Status.FAILED
    assert len(result.errors) == 2
    assert "raise ValueError" in result.errors[-1].traceback


async def test_a_non_retryable_error_fails_at_once(service: QueueService) -> None:
    @task(retries=5, retry_policy=AT_ONCE)
    async def hopeless() -> None:
        raise NonRetryableError("never")

    async with Worker(service):
        result = await (await service.enqueue(hopeless)).wait(SOON)

    assert result.status is Status.FAILED
    assert len(result.errors) == 1


async def test_control_signals_end_attempts_as_they_say(service: QueueService) -> None:
    runs: dict[str, int] = {}

    @task("signals", retries=1)
    async def signals(kind: str) -> str:
        runs[kind] = runs.get(kind, 0) + 1
        if runs[kind] > 1:
            return "second run"
        if kind == "retry":
            raise Retry(after=0)
        if kind == "snooze":
            raise Snooze(0.01)
        if kind == "discard":
            raise Discard("not needed")
        raise Cancel

    async with Worker(service):
        kinds = ("retry", "snooze", "discard", "cancel")
        results = {kind: await service.enqueue(signals, kind) for kind in kinds}
        for result in results.values():
            await result.wait(SOON)

    assert results["retry"].result == "second run"
    assert results["retry"].record.attempt == 1  # type: ignore[union-attr]
    assert results["snooze"].result == "second run"
    assert results["snooze"].record.attempt == 0  # type: ignore[union-attr]
    assert results["snooze"].record.snoozes == 1  # type: ignore[union-attr]
    assert results["discard"].status is Status.FAILED
    assert results["discard"].error == "not needed"
    assert results["cancel"].status is Status.CANCELLED


async def test_an_attempt_past_its_timeout_fails_and_says_so(
    service: QueueService,
) -> None:
    @task(timeout=0.1)
    async def slow() -> None:
        await asyncio.Event().wait()

    async with Worker(service):
        result = await (await service.enqueue(slow)).wait(SOON)

    assert result.status is Status.FAILED
    assert result.error == "TimeoutError: the attempt exceeded its timeout of 0.1 s"


async def test_a_timed_out_thread_settles_when_its_code_has_stopped(
    service: QueueService,
) -> None:
    told = threading.Event()
    go_on = threading.Event()

    @task(timeout=0.1)
    def stubborn() -> str:
        context = get_current_task_context()
        while not context.is_cancelled:
            go_on.wait(0.01)
        told.set()
        go_on.wait(SOON)
        return "too late"

    async with Worker(service):
        result = await service.enqueue(stubborn)
        assert await asyncio.to_thread(told.wait, SOON)
        await result.refresh()
        assert result.status is Status.RUNNING
        go_on.set()
        await result.wait(SOON)

    assert result.status is Status.FAILED
    assert "exceeded its timeout" in (result.error or "")


async def test_a_running_job_is_cancelled(service: QueueService) -> None:
    started = asyncio.Event()
    stopped = asyncio.Event()

    @task
    async def endless() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async with Worker(service):
        result = await service.enqueue(endless)
        await asyncio.wait_for(started.wait(), SOON)
        assert await service.cancel(result.id) == "requested"
        with pytest.raises(JobCancelledError):
            await result.value(SOON)

    assert stopped.is_set()


async def test_a_thread_that_notices_and_returns_is_cancelled(
    service: QueueService,
) -> None:
    started = threading.Event()

    @task
    def polite() -> None:
        context = get_current_task_context()
        started.set()
        while not context.is_cancelled:
            threading.Event().wait(0.01)

    async with Worker(service):
        result = await service.enqueue(polite)
        assert await asyncio.to_thread(started.wait, SOON)
        await service.cancel(result.id)
        await result.wait(SOON)

    assert result.status is Status.CANCELLED


async def test_stopping_gives_running_jobs_back_unharmed(service: QueueService) -> None:
    started = asyncio.Event()

    @task
    async def endless() -> None:
        started.set()
        await asyncio.Event().wait()

    result = await service.enqueue(endless)
    async with Worker(service, grace=0):
        await asyncio.wait_for(started.wait(), SOON)

    record = (await result.refresh()).record
    assert record is not None
    assert (record.status, record.attempt, record.rescues) == (Status.PENDING, 0, 0)


async def test_stopping_lets_running_jobs_finish_within_their_grace(service: QueueService) -> None:
    started, finish = asyncio.Event(), asyncio.Event()

    @task
    async def waits() -> str:
        started.set()
        await finish.wait()
        return "finished"

    result = await service.enqueue(waits)
    async with Worker(service, grace=SOON):
        await asyncio.wait_for(started.wait(), SOON)
        asyncio.get_running_loop().call_later(0.05, finish.set)

    assert (await result.refresh()).result == "finished"


variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="clean")


async def test_context_variables_do_not_leak_from_job_to_job(service: QueueService) -> None:
    @task
    async def leaky(value: str) -> str:
        before = variable.get()
        variable.set(value)
        return before

    async with Worker(service, concurrency=1):
        results = [await service.enqueue(leaky, str(number)) for number in range(3)]
        values = [await result.value(SOON) for result in results]

    assert values == ["clean"] * 3


async def test_shared_isolation_shares_variables_and_finds_its_context(
    service: QueueService,
) -> None:
    @task(isolation="shared")
    async def leaky(value: str) -> tuple[str, str]:
        before = variable.get()
        variable.set(value)
        await asyncio.sleep(0)
        return before, get_current_task_context().id

    async with Worker(service, concurrency=1):
        results = [await service.enqueue(leaky, str(number)) for number in range(2)]
        values = [await result.value(SOON) for result in results]

    assert [value[0] for value in values] == ["clean", "0"]
    assert [value[1] for value in values] == [result.id for result in results]


async def test_higher_priority_runs_first(service: QueueService) -> None:
    order: list[int] = []

    @task
    async def note(priority: int) -> None:
        order.append(priority)

    for priority in (0, 5, -3, 9):
        await service.enqueue(note.using(priority=priority), priority)
    await Worker(service, burst=True, concurrency=1).run()

    assert order == [9, 5, 0, -3]


async def test_a_worker_takes_only_its_queues(service: QueueService) -> None:
    @task
    async def nothing() -> None: ...

    here = await service.enqueue(nothing.using(queue="here"))
    there = await service.enqueue(nothing.using(queue="there"))
    await Worker(service, burst=True, queues=["here"]).run()

    assert (await here.refresh()).status is Status.COMPLETED
    assert (await there.refresh()).status is Status.PENDING


async def test_a_queue_limit_is_never_exceeded(service: QueueService) -> None:
    running, most = 0, 0

    @task(queue="email")
    async def send() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1

    await service.enqueue_many([send.call() for _ in range(30)])
    await Worker(service, burst=True, concurrency=10, queue_concurrency={"email": 2}).run()

    assert most == 2


async def test_hooks_and_lifespan_surround_the_attempts(service: QueueService) -> None:
    said: list[str] = []

    @asynccontextmanager
    async def lifespan(_: QueueService) -> AsyncIterator[str]:
        said.append("open")
        yield "pool"
        said.append("closed")

    async def before(context: TaskExecutionContext) -> None:
        said.append(f"before {context.state}")

    def after(_: TaskExecutionContext, outcome: object) -> None:
        said.append(f"after {getattr(outcome, 'ending', None)}")

    def on_failure(_: TaskExecutionContext, outcome: object) -> None:
        said.append(f"failed with {getattr(outcome, 'error', None)}")

    @task
    async def works() -> None:
        said.append(f"runs with {get_current_task_context().state}")

    @task
    async def fails() -> None:
        raise ValueError("no")

    await service.enqueue(works)
    await service.enqueue(fails)
    await Worker(
        service,
        burst=True,
        concurrency=1,
        lifespan=lifespan,
        before_job=before,
        after_job=after,
        on_failure=on_failure,
    ).run()

    assert said == [
        "open",
        "before pool",
        "runs with pool",
        "after returned",
        "before pool",
        "after raised",
        "failed with no",
        "closed",
    ]


async def test_events_tell_the_story_of_a_job(
    service: QueueService, sink: InMemoryEventSink
) -> None:
    @task(retries=1, retry_policy=AT_ONCE)
    async def story(_task_context: TaskExecutionContext) -> None:
        await publish_task_progress(current=1, total=2, message="half")
        await publish_task_log("a line", payload={"x": 1})
        await publish_task_event("own.event")
        if _task_context.attempt == 1:
            raise ValueError("once")

    async with Worker(service):
        result = await (await service.enqueue(story)).wait(SOON)

    attempt = ["job.started", "task.progress", "task.log", "own.event"]
    assert sink.types(result.id) == [
        "job.enqueued",
        *attempt,
        "job.retrying",
        *attempt,
        "job.completed",
    ]
    sequences = [(event.delivery, event.sequence) for event in sink.events]
    assert len(set(sequences)) == len(sequences)


async def test_progress_is_kept_on_the_record(service: QueueService) -> None:
    @task
    async def half() -> None:
        await publish_task_progress(current=1, total=2, message="half")

    async with Worker(service):
        result = await (await service.enqueue(half)).wait(SOON)

    assert result.progress is not None
    assert (result.progress.current, result.progress.total) == (1, 2)


async def test_an_unknown_task_is_put_back_and_not_failed(service: QueueService) -> None:
    with service.registry.restored():

        @task
        async def known() -> None: ...

        result = await service.enqueue(known)
    await Worker(service, burst=True).run()

    record = (await result.refresh()).record
    assert record is not None
    assert (record.status, record.put_backs, record.attempt) == (Status.SCHEDULED, 1, 0)


async def test_a_result_that_cannot_be_encoded_fails_the_job_at_once(
    service: QueueService,
) -> None:
    @task(retries=3, retry_policy=AT_ONCE)
    async def odd() -> object:
        return object()

    async with Worker(service):
        result = await (await service.enqueue(odd)).wait(SOON)

    assert result.status is Status.FAILED
    assert len(result.errors) == 1
    assert "PayloadError" in (result.error or "")


async def test_a_task_that_exits_fails_and_leaves_its_worker_alive(service: QueueService) -> None:
    @task
    async def leaves() -> None:
        sys.exit(3)

    @task
    async def stays() -> str:
        return "here"

    async with Worker(service):
        gone = await (await service.enqueue(leaves)).wait(SOON)
        assert await (await service.enqueue(stays)).value(SOON) == "here"

    assert gone.status is Status.FAILED
    assert gone.error == "SystemExit: 3"


async def test_tasks_enqueue_through_the_service_that_runs_them(service: QueueService) -> None:
    @task
    async def child(number: int) -> int:
        return number + 1

    @task
    async def parent() -> str:
        return (await child.enqueue(1)).id

    @task
    def sync_parent() -> str:
        return child.enqueue_sync(2).id

    async with Worker(service):
        for task_, expected in ((parent, 2), (sync_parent, 3)):
            child_id = await (await service.enqueue(task_)).value(SOON)
            found = await service.get(child_id)
            assert found is not None
            assert await found.value(SOON) == expected


async def test_scheduled_work_starts_when_it_is_due(service: QueueService) -> None:
    @task
    async def later() -> str:
        return "ran"

    async with Worker(service):
        result = await service.enqueue(later, run_after=0.2)
        assert result.status is Status.SCHEDULED
        assert await result.value(SOON) == "ran"


async def test_a_job_cancelled_before_a_slot_is_free_never_runs(service: QueueService) -> None:
    started, finish = asyncio.Event(), asyncio.Event()
    ran: list[str] = []

    @task
    async def quick() -> None: ...

    @task
    async def blocks() -> None:
        started.set()
        await finish.wait()

    @task
    async def doomed() -> None:
        ran.append("doomed")

    async with Worker(service, concurrency=1) as worker:
        await (await service.enqueue(quick)).wait(SOON)  # now it fetches ahead
        await service.enqueue(blocks)
        await asyncio.wait_for(started.wait(), SOON)
        result = await service.enqueue(doomed)
        async with asyncio.timeout(SOON):
            while not worker.holdings.buffer:
                await asyncio.sleep(0)
        assert await service.cancel(result.id) == "requested"
        async with asyncio.timeout(SOON):
            while worker.holdings.held[result.id].stopped is None:
                await asyncio.sleep(0.01)
        finish.set()
        await result.wait(SOON)

    assert result.status is Status.CANCELLED
    assert ran == []


async def test_a_sync_job_cancelled_before_a_thread_is_free_never_runs(
    service: QueueService,
) -> None:
    started, finish = threading.Event(), threading.Event()
    ran: list[str] = []

    @task
    def blocks() -> None:
        started.set()
        finish.wait(SOON)

    @task
    def doomed() -> None:
        ran.append("doomed")

    async with Worker(service, concurrency=2, sync_threads=1):
        first = await service.enqueue(blocks)
        assert await asyncio.to_thread(started.wait, SOON)
        second = await service.enqueue(doomed)
        async with asyncio.timeout(SOON):
            while (await second.refresh()).status is not Status.RUNNING:
                await asyncio.sleep(0.01)
        await service.cancel(second.id)
        await second.wait(SOON)
        finish.set()
        await first.wait(SOON)

    assert second.status is Status.CANCELLED
    assert ran == []


async def test_a_hook_that_raises_cancelled_error_fails_its_attempt(service: QueueService) -> None:
    def before(_: TaskExecutionContext) -> None:
        raise asyncio.CancelledError

    @task
    async def plain() -> None: ...

    async with Worker(service, before_job=before):
        result = await (await service.enqueue(plain)).wait(SOON)

    assert result.status is Status.FAILED


async def test_short_jobs_leave_the_loop_to_others_between_them(service: QueueService) -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    @task
    async def short() -> int:
        return turns

    @task
    async def long() -> int:
        end = time.perf_counter() + 2 * TURN
        while time.perf_counter() < end:
            pass
        return turns

    background = asyncio.create_task(others())
    try:
        async with Worker(service, concurrency=2):
            shorts = await service.enqueue_many([short.call() for _ in range(20)])
            in_turn = Counter([await result.value(SOON) for result in shorts])
            assert max(in_turn.values()) <= 2
        if sys.version_info >= (3, 12):  # before, each begins in a turn of the loop's own
            async with Worker(service, concurrency=20):
                longs = await service.enqueue_many([long.call() for _ in range(5)])
                in_turn = Counter([await result.value(SOON) for result in longs])
                assert max(in_turn.values()) == 1
    finally:
        background.cancel()


async def test_jobs_run_while_the_store_works_on_an_exchange() -> None:
    ran, met = 0, list[int]()

    class Slow(FaultyStore):
        async def exchange(self, *args: Any, **kwargs: Any) -> Any:
            before = ran
            answer = await self.store.exchange(*args, **kwargs)
            for _ in range(5):
                await asyncio.sleep(0)
            met.append(ran - before)
            return answer

    @task
    async def short() -> None:
        nonlocal ran
        ran += 1

    backend = FaultyBackend(MemoryBackendConfig(), lambda name, number: None, kind=Slow)
    async with QueueService(QueueConfig(queue_backend=backend)) as service:
        await service.enqueue_many([short.call() for _ in range(500)])
        async with Worker(service, burst=True, concurrency=10) as worker:
            await worker.stopped.wait()

    assert ran == 500
    assert len(met) < 500 / 10 + 10
    assert met[3:45].count(0) == 0


def test_a_worker_takes_a_service_only() -> None:
    with pytest.raises(TypeError, match=r"Worker\(\) takes a QueueService, not"):
        Worker("memory")  # type: ignore[arg-type]
