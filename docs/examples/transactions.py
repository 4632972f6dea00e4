"""An order and its job in one transaction; the parcel and the end of the job in another."""

from __future__ import annotations

import asyncio
import os

from sqlspec.adapters.asyncpg import AsyncpgConfig

from litestar_queues_core import (
    QueueConfig,
    QueueService,
    TaskExecutionContext,
    Worker,
    task,
)
from litestar_queues_sqlspec import SQLSpecBackendConfig

database = AsyncpgConfig(connection_config={"dsn": os.environ["DATABASE_URL"]})
config = QueueConfig(queue_backend=SQLSpecBackendConfig(config=database, create_schema=True))


@task(retries=3)
async def pack(order: int, *, _task_context: TaskExecutionContext) -> None:
    async with _task_context.transaction() as session:
        await session.execute("INSERT INTO parcels (of_order) VALUES ($1)", order)
        await session.execute("UPDATE stock SET items = items - 1")
        _task_context.set_result("packed")


async def place_order(service: QueueService, number: int) -> str:
    async with database.provide_session() as session, session.transaction():
        await session.execute("INSERT INTO orders (number) VALUES ($1)", number)
        result = await service.enqueue(pack, number, session=session)
        if number > 2:
            raise ValueError("we do not take that many")  # no order, and no job
    return result.id


async def main() -> None:
    async with database.provide_session() as session:
        await session.execute_script(
            "CREATE TABLE orders (number int); CREATE TABLE parcels (of_order int);"
            "CREATE TABLE stock (items int); INSERT INTO stock VALUES (10)"
        )
    async with QueueService(config) as service, Worker(service):
        jobs = [await place_order(service, number) for number in (1, 2)]
        try:
            await place_order(service, 3)
        except ValueError as error:
            print(error)
        for job in jobs:
            result = await service.get(job)
            assert result is not None
            print(await result.value(timeout=30))
        counts = await service.count()
    async with database.provide_session() as session:
        items = await session.select_value("SELECT items FROM stock")
    await database.close_pool()

    assert items == 8
    assert sum(count.value for count in counts.counts) == 2


asyncio.run(main())
