"""SAQ on PostgreSQL; it makes its tables when it connects."""

from __future__ import annotations

from typing import Any

from saq import Queue

from peers.counting import CONCURRENCY, URL, done, one_by_one

queue = Queue.from_url(URL)


async def noop(ctx: dict[str, Any], *, number: int) -> None:
    """Do nothing."""
    done(number)


settings = {"queue": queue, "functions": [noop], "concurrency": CONCURRENCY}


async def prepare() -> None:
    """Make the tables, with a queue of its own: none connects twice."""
    first = Queue.from_url(URL)
    await first.connect()
    await first.disconnect()


async def enqueue(jobs: int) -> None:
    """Enqueue one by one; there is no other way."""
    await queue.connect()
    await one_by_one(jobs, lambda number: queue.enqueue("noop", number=number))
    await queue.disconnect()
