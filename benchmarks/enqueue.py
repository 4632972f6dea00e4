"""Enqueue one by one from 50 concurrent coroutines, on SQLite, with coalescing and without."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from measuring import Figure, arguments, repeat, report

from litestar_queues_core import QueueConfig, QueueService, task
from litestar_queues_sql.sqlite import SQLiteBackendConfig

PRODUCERS = 50


@task("bench.noop")
async def noop(number: int) -> None:
    """Do nothing."""


async def enqueue(jobs: int, *, coalesce: bool) -> float:
    """Return jobs per second."""
    with tempfile.TemporaryDirectory() as directory:
        backend = SQLiteBackendConfig(path=Path(directory, "queue.db"))
        config = QueueConfig(queue_backend=backend, coalesce=coalesce)
        async with QueueService(config) as service:

            async def produce() -> None:
                for number in range(jobs // PRODUCERS):
                    await service.enqueue(noop, number)

            began = time.perf_counter()
            await asyncio.gather(*(produce() for _ in range(PRODUCERS)))
            return jobs / (time.perf_counter() - began)


async def batched(jobs: int) -> float:
    """Return jobs per second through ``enqueue_many``."""
    with tempfile.TemporaryDirectory() as directory:
        backend = SQLiteBackendConfig(path=Path(directory, "queue.db"))
        async with QueueService(QueueConfig(queue_backend=backend)) as service:
            began = time.perf_counter()
            await service.enqueue_many([noop.call(number) for number in range(jobs)])
            return jobs / (time.perf_counter() - began)


def main() -> None:
    """Measure and print."""
    given = arguments(__doc__, jobs=10_000, repeat=5)
    together, alone, many = repeat(
        given.repeat,
        lambda: asyncio.run(enqueue(given.jobs, coalesce=True)),
        lambda: asyncio.run(enqueue(given.jobs, coalesce=False)),
        lambda: asyncio.run(batched(given.jobs)),
    )
    report(
        f"enqueue: one by one from {PRODUCERS} coroutines, SQLite",
        [
            Figure(what="with coalescing", value=together, unit="jobs/s"),
            Figure(what="without", value=alone, unit="jobs/s"),
            Figure(what="gain", value=together / alone, unit="x", target=">= 3"),
            Figure(what="enqueue_many, for comparison", value=many, unit="jobs/s"),
        ],
        given.json,
    )


if __name__ == "__main__":
    main()
