"""The kit for the tests of applications."""

from __future__ import annotations

import pytest

from litestar_queues_core import (
    PayloadError,
    QueueService,
    Retry,
    Snooze,
    Status,
    get_current_task_context,
    task,
)
from litestar_queues_core.testing import assert_enqueued, drain, perform_job


async def test_drain_runs_what_is_due_and_what_that_enqueues(service: QueueService) -> None:
    done: list[int] = []

    @task
    async def chain(left: int) -> None:
        done.append(left)
        if left:
            await chain.enqueue(left - 1)

    @task
    async def later() -> None: ...

    await service.enqueue(chain, 3)
    await service.enqueue(later, run_after=60)
    counts = await drain(service)

    assert done == [3, 2, 1, 0]
    assert counts[Status.COMPLETED] == 4
    assert counts[Status.SCHEDULED] == 1


async def test_the_log_counts_jobs_in_plain_words(
    service: QueueService, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="litestar_queues.worker")

    @task
    async def quick() -> None: ...

    for number in (1, 2):
        await service.enqueue_many([quick.call()] * number)
        await drain(service)

    stops = [line for line in caplog.messages if "stopped" in line]
    assert [line.partition("; ")[2] for line in stops] == ["it ran 1 job", "it ran 2 jobs"]


async def test_assert_enqueued_finds_the_job_with_those_arguments(service: QueueService) -> None:
    @task("mail.send")
    async def send(to: str, subject: str = "hello") -> None: ...

    result = await service.enqueue(send, "ann", subject="hi")
    await service.enqueue(send, "bob")

    assert (await assert_enqueued(service, send, "ann", subject="hi")).id == result.id
    assert (await assert_enqueued(service, send, to="ann", subject="hi")).id == result.id
    with pytest.raises(
        AssertionError, match=r"'mail.send' with \('carl',\).*is waiting; there: .*ann"
    ):
        await assert_enqueued(service, send, "carl")


async def test_perform_job_runs_one_attempt_and_returns_its_value() -> None:
    @task
    async def show(x: int) -> tuple[int, int]:
        return x, get_current_task_context().attempt

    @task
    def in_a_thread() -> str:
        return get_current_task_context().id

    assert await perform_job(show, 5, attempt=2) == (5, 2)
    assert len(await perform_job(in_a_thread)) == 36


@pytest.mark.parametrize("signal", [Retry("again"), Snooze(5), ValueError("broken")])
async def test_perform_job_raises_what_the_task_raises(signal: BaseException) -> None:
    @task
    async def raises() -> None:
        raise signal

    with pytest.raises(type(signal)):
        await perform_job(raises)


async def test_perform_job_refuses_what_could_not_be_stored() -> None:
    @task
    async def odd() -> object:
        return object()

    with pytest.raises(PayloadError):
        await perform_job(odd)
