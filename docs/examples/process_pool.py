"""CPU-bound work in processes, where a timeout ends it."""

from __future__ import annotations

import asyncio

from litestar_queues_core import QueueConfig, QueueService, Worker, task
from litestar_queues_core.executors.process import ProcessExecutionConfig


@task(execution_backend="process", timeout=60)
def count_primes(limit: int) -> int:
    return sum(all(n % d for d in range(2, n)) for n in range(2, limit))


@task(execution_backend="process", timeout=0.5)
def hang() -> None:
    while True:
        pass


async def main() -> None:
    pool = ProcessExecutionConfig(processes=2)
    config = QueueConfig(queue_backend="memory", execution_backends=[pool])
    async with QueueService(config) as service, Worker(service):
        primes = await service.enqueue(count_primes, 1000)
        stuck = await service.enqueue(hang)

        assert await primes.value(timeout=30) == 168
        await stuck.wait(timeout=30)
        assert "exceeded its timeout of 0.5 s" in (stuck.error or "")


if __name__ == "__main__":
    asyncio.run(main())
