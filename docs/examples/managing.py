"""Looking at jobs, cancelling and reviving them."""

from __future__ import annotations

import asyncio

from litestar_queues_core import JobQuery, QueueConfig, QueueService, Status, Worker, task


@task(queue="reports")
async def report(year: int) -> int:
    return year


async def main() -> None:
    config = QueueConfig(queue_backend="memory")
    async with QueueService(config) as service:
        later = await service.enqueue(report, 2025, run_after=3600)
        assert later.status == "scheduled"

        page = await service.find(status=[Status.SCHEDULED], queue="reports")
        assert [job.id for job in page.jobs] == [later.id]

        assert await service.cancel(later.id) == "cancelled"
        assert await service.cancel(later.id) == "already_finished"

        revived = await service.revive(later.id)
        async with Worker(service):
            assert await revived.value(timeout=10) == 2025

        finished = JobQuery(status=[Status.COMPLETED])
        assert [job.id async for job in service.find_all(finished)] == [later.id]


asyncio.run(main())
