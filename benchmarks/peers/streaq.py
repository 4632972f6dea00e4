"""StreaQ."""

from __future__ import annotations

from streaq import Worker

from peers.counting import CONCURRENCY, URL, done

worker = Worker(redis_url=URL, concurrency=CONCURRENCY)


@worker.task(name="noop")
async def noop(number: int) -> None:
    """Do nothing."""
    done(number)


async def enqueue(jobs: int) -> None:
    """Enqueue in bulk."""
    async with worker:
        await worker.enqueue_many([noop.enqueue(number) for number in range(jobs)])
