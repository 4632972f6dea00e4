"""The shop: enqueues jobs, which workers in other processes run, and waits for what they return."""

from __future__ import annotations

import asyncio

from tasks import call_courier, config, pack

from litestar_queues_core import QueueService


async def main() -> None:
    """Let three orders be packed and a courier be called."""
    async with QueueService(config) as service:
        orders = await service.enqueue_many([pack.call(number) for number in (1, 2, 3)])
        courier = await service.enqueue(call_courier, "Mill Lane")
        again = await service.enqueue(call_courier, "Mill Lane")
        print("enqueued; a second courier" if again.created else "enqueued; one courier is enough")
        for result in (*orders, courier):
            print(await result.value(timeout=60))


if __name__ == "__main__":
    asyncio.run(main())
