"""A program that enqueues; its worker is another process."""

from __future__ import annotations

import asyncio

from litestar_queues_core import QueueConfig, QueueService, task
from litestar_queues_sql.sqlite import SQLiteBackendConfig

config = QueueConfig(queue_backend=SQLiteBackendConfig(path="shop.db"))


@task("shop.pack")
async def pack(order: int) -> str:
    return f"order {order} is packed"


async def main() -> None:
    async with QueueService(config) as service:
        result = await service.enqueue(pack, 7)
        print(await result.value(timeout=60))


if __name__ == "__main__":
    asyncio.run(main())
