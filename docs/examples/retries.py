"""Which failures are retried, and when."""

from __future__ import annotations

import asyncio

from litestar_queues_core import (
    NonRetryableError,
    QueueConfig,
    QueueService,
    Retry,
    RetryPolicy,
    Worker,
    task,
)

POLICY = RetryPolicy(first=0.01, factor=2, ceiling=60, give_up_on=ValueError)
calls = {"flaky": 0, "busy": 0, "hopeless": 0, "wrong": 0}


@task(retries=3, retry_policy=POLICY)
async def flaky() -> str:
    calls["flaky"] += 1
    if calls["flaky"] < 3:
        raise ConnectionError("not yet")
    return "done"


@task(retries=3)
async def busy() -> str:
    calls["busy"] += 1
    if calls["busy"] == 1:
        raise Retry("the other side asked us to wait", after=0.01)
    return "done"


@task(retries=3)
async def hopeless() -> None:
    calls["hopeless"] += 1
    raise NonRetryableError("no such customer")


@task(retries=3, retry_policy=POLICY)
async def wrong() -> None:
    calls["wrong"] += 1
    raise ValueError("a bug is not cured by waiting")


async def main() -> None:
    config = QueueConfig(queue_backend="memory")
    async with QueueService(config) as service, Worker(service):
        results = [await service.enqueue(one) for one in (flaky, busy, hopeless, wrong)]
        for result in results:
            await result.wait(timeout=10)

    ends = [result.status for result in results]
    assert ends == ["completed", "completed", "failed", "failed"]
    assert calls == {"flaky": 3, "busy": 2, "hopeless": 1, "wrong": 1}
    assert [one.message for one in results[0].errors] == ["not yet", "not yet"]
    assert results[3].error == "ValueError: a bug is not cured by waiting"


asyncio.run(main())
