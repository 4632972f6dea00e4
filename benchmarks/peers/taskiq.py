"""Taskiq, with the broker and the result backend of taskiq-redis that its first example uses."""

from __future__ import annotations

from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

from peers.counting import URL, done, one_by_one

broker = RedisStreamBroker(URL).with_result_backend(RedisAsyncResultBackend(URL))


@broker.task("noop")
async def noop(number: int) -> None:
    """Do nothing."""
    done(number)


async def enqueue(jobs: int) -> None:
    """Enqueue one by one; there is no other way."""
    await broker.startup()
    await one_by_one(jobs, noop.kiq)
    await broker.shutdown()
