"""What stops the code of an attempt, and what does not."""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from litestar_queues_core import (
    ConfigError,
    JobFailedError,
    Outcome,
    QueueService,
    Retry,
    Snooze,
    Status,
    TaskExecutionContext,
    Worker,
    task,
)
from litestar_queues_core.worker.run import Run, Stop

SOON = 5.0


async def test_a_job_cancelled_before_its_first_step_is_settled_and_its_slot_is_free(
    service: QueueService, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []

    @task("interrupted.before_its_first_step")
    async def work(name: str) -> str:
        ran.append(name)
        return name

    stopped_at_once = _stopping_the_first_run(monkeypatch)
    async with Worker(service, concurrency=1, poll_interval=0.01) as worker:
        first = await service.enqueue(work, "first")
        await first.wait(SOON)
        second = await service.enqueue(work, "second")

        assert first.status is Status.CANCELLED
        assert await second.value(SOON) == "second"
        assert stopped_at_once == [first.id]
        assert ran == ["second"]
        assert not worker.holdings.running


def _stopping_the_first_run(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let a cancel arrive between the start of the first run and its first step."""
    from litestar_queues_core.worker.holdings import Holdings

    stopped: list[str] = []
    begin = Holdings.begin

    def begin_and_stop(self: Holdings, run: Run, moment: float) -> None:
        begin(self, run, moment)
        if not stopped:
            stopped.append(run.job.id)
            run.stop(Stop.CANCEL)

    monkeypatch.setattr(Holdings, "begin", begin_and_stop)
    return stopped


async def test_code_that_has_ignored_its_timeout_is_interrupted_again_by_a_cancel(
    service: QueueService,
) -> None:
    ignored = asyncio.Event()

    @task("interrupted.stubborn", timeout=0.05)
    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ignored.set()
        await asyncio.Event().wait()

    async with Worker(service, poll_interval=0.01):
        result = await service.enqueue(stubborn)
        await asyncio.wait_for(ignored.wait(), SOON)
        await service.cancel(result.id)
        await result.wait(SOON)

    assert result.status is Status.FAILED
    assert "exceeded its timeout" in str(result.error)


async def test_code_that_has_ignored_its_cancel_is_interrupted_again_at_shutdown(
    service: QueueService,
) -> None:
    started, ignored = asyncio.Event(), asyncio.Event()

    @task("interrupted.twice")
    async def stubborn() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ignored.set()
        await asyncio.Event().wait()

    async with Worker(service, grace=0.01, poll_interval=0.01):
        result = await service.enqueue(stubborn)
        await asyncio.wait_for(started.wait(), SOON)
        await service.cancel(result.id)
        await asyncio.wait_for(ignored.wait(), SOON)

    assert (await result.refresh()).status is Status.CANCELLED


async def test_a_cancel_during_a_hook_does_not_undo_what_the_code_came_to(
    service: QueueService,
) -> None:
    in_hook, go_on = asyncio.Event(), asyncio.Event()

    @task("interrupted.in_its_hook")
    async def work() -> int:
        return 7

    async def after(context: TaskExecutionContext, outcome: Outcome) -> None:
        in_hook.set()
        await go_on.wait()

    async with Worker(service, after_job=after, poll_interval=0.01) as worker:
        result = await service.enqueue(work)
        await asyncio.wait_for(in_hook.wait(), SOON)
        (run,) = worker.holdings.running
        run.stop(Stop.CANCEL)
        go_on.set()

        assert await result.value(SOON) == 7


async def test_a_hook_that_hangs_is_interrupted_at_shutdown_and_the_result_stands(
    service: QueueService,
) -> None:
    in_hook = asyncio.Event()

    @task("interrupted.hanging_hook")
    async def work() -> int:
        return 7

    async def after(context: TaskExecutionContext, outcome: Outcome) -> None:
        in_hook.set()
        await asyncio.Event().wait()

    async with Worker(service, after_job=after, grace=0.01):
        result = await service.enqueue(work)
        await asyncio.wait_for(in_hook.wait(), SOON)

    assert await result.value(SOON) == 7


@pytest.mark.parametrize("raised", [SystemExit(3), GeneratorExit(), Retry("from a hook")])
async def test_whatever_an_after_hook_raises_the_outcome_stands(
    service: QueueService, raised: BaseException
) -> None:
    @task("interrupted.raising_hook")
    async def work() -> int:
        return 7

    async def after(context: TaskExecutionContext, outcome: Outcome) -> None:
        raise raised

    async with Worker(service, after_job=after):
        result = await service.enqueue(work)
        assert await result.value(SOON) == 7


async def test_a_before_hook_that_exits_fails_the_attempt_only(service: QueueService) -> None:
    @task("interrupted.exiting_before")
    async def work() -> int:
        return 7

    async def before(context: TaskExecutionContext) -> None:
        raise SystemExit(3)

    async with Worker(service, before_job=before):
        result = await service.enqueue(work)
        with pytest.raises(JobFailedError, match="SystemExit: 3"):
            await result.value(SOON)


@pytest.mark.parametrize("length", [math.nan, math.inf, 1e12])
async def test_a_senseless_wait_fails_the_attempt_and_says_why(
    service: QueueService, length: float
) -> None:
    @task("interrupted.senseless")
    async def work(kind: str) -> None:
        raise (Snooze(length) if kind == "snooze" else Retry(after=length))

    async with Worker(service):
        for kind in ("snooze", "retry"):
            result = await service.enqueue(work, kind)
            with pytest.raises(JobFailedError, match="must be seconds or a timedelta"):
                await result.value(SOON)


def test_a_wait_that_is_over_already_is_none() -> None:
    assert Snooze(-0.5).seconds == 0
    assert Retry(after=-3).after == 0
    with pytest.raises(ConfigError, match="Snooze"):
        Snooze("soon")  # type: ignore[arg-type]


async def test_a_retry_policy_that_fails_lets_the_job_be_retried(service: QueueService) -> None:
    class Broken(Exception): ...

    def judge(error: BaseException) -> bool:
        raise RuntimeError("no opinion")

    from litestar_queues_core import RetryPolicy

    @task("interrupted.broken_policy", retries=1, retry_policy=_policy(RetryPolicy, judge))
    async def work() -> None:
        raise Broken("each time")

    async with Worker(service):
        result = await service.enqueue(work)
        await result.wait(SOON)

    assert result.status is Status.FAILED
    assert [one.outcome for one in result.errors] == ["failed", "failed"]


def _policy(base: type, judge: object) -> object:
    class Policy(base):  # type: ignore[misc]
        def is_retryable(self, error: BaseException) -> bool:
            return judge(error)  # type: ignore[operator, no-any-return]

    return Policy(first=0, jitter=0)


async def test_jobs_see_the_context_variables_that_the_lifespan_has_set(
    service: QueueService,
) -> None:
    tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")

    @asynccontextmanager
    async def lifespan(_: QueueService) -> AsyncIterator[None]:
        tenant.set("acme")
        yield

    @task("interrupted.tenant")
    async def who() -> str:
        return tenant.get()

    async with Worker(service, lifespan=lifespan):
        assert await (await service.enqueue(who)).value(SOON) == "acme"


async def test_what_code_says_after_its_end_changes_nothing(service: QueueService) -> None:
    contexts: list[TaskExecutionContext] = []
    in_hook, go_on = asyncio.Event(), asyncio.Event()

    @task("interrupted.talkative")
    async def work(_task_context: TaskExecutionContext) -> None:
        contexts.append(_task_context)

    async def after(context: TaskExecutionContext, outcome: Outcome) -> None:
        in_hook.set()
        await go_on.wait()

    async with Worker(service, after_job=after) as worker:
        result = await service.enqueue(work)
        await asyncio.wait_for(in_hook.wait(), SOON)
        await contexts[0].progress(1, 2, "too late")

        assert not worker.holdings.progress
        go_on.set()
        await result.wait(SOON)

    assert result.progress is None


async def test_a_stop_that_is_cut_short_leaves_no_code_running(service: QueueService) -> None:
    started, stopped = asyncio.Event(), asyncio.Event()

    @task("interrupted.cut_short")
    async def work() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    worker = Worker(service, grace=60)
    async with asyncio.timeout(SOON):
        await worker.__aenter__()
        await service.enqueue(work)
        await started.wait()
        stop = asyncio.create_task(worker.stop())
        await worker.stopped.wait()
        stop.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stop

    assert stopped.is_set()
