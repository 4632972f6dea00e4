"""One job at a time for the same thing."""

from __future__ import annotations

import asyncio

from litestar_queues_core import QueueConfig, QueueService, Worker, task


@task(unique_by="arguments")
async def rebuild_index(shop: str, full: bool = False) -> None:
    print("indexing", shop, full)


@task(unique_until="forever")
async def send_invoice(number: int) -> None:
    print("sending", number)


async def main() -> None:
    async with QueueService(QueueConfig(queue_backend="memory")) as service:
        first = await service.enqueue(rebuild_index, "books")
        again = await service.enqueue(rebuild_index, shop="books", full=False)
        other = await service.enqueue(rebuild_index, "books", full=True)
        assert (again.id, again.created) == (first.id, False)
        assert other.created

        async with Worker(service):
            await first.wait(timeout=10)
            later = await service.enqueue(rebuild_index, "books")
            assert later.created  # the first has finished, so its key is free

            invoice = await service.enqueue(send_invoice, 7, key="invoice:7")
            await invoice.wait(timeout=10)
            once = await service.enqueue(send_invoice, 7, key="invoice:7")
            assert (once.id, once.created) == (invoice.id, False)
            assert await service.release_key("invoice:7")


asyncio.run(main())
