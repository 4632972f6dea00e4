"""A task that may run twice and has its effect once."""

from __future__ import annotations

import asyncio

from litestar_queues_core import (
    QueueConfig,
    QueueService,
    Worker,
    get_current_task_context,
    task,
)

# These stand for a payment service that knows idempotency keys, and for a table.
charged: dict[str, int] = {}
balances: dict[str, tuple[int, int]] = {}  # account: (delivery, cents)


async def pay(cents: int, idempotency_key: str) -> None:
    charged.setdefault(idempotency_key, cents)


@task(retries=1, retry_policy=0)
async def charge(account: str, cents: int) -> None:
    context = get_current_task_context()
    await pay(cents, idempotency_key=context.id)

    delivery, _ = balances.get(account, (0, 0))
    if context.delivery >= delivery:  # in SQL: UPDATE ... WHERE delivery <= :delivery
        balances[account] = (context.delivery, cents)

    if context.attempt == 1:
        raise ConnectionError("the answer was lost")


async def main() -> None:
    config = QueueConfig(queue_backend="memory")
    async with QueueService(config) as service, Worker(service):
        result = await service.enqueue(charge, "ann", 990)
        await result.wait(timeout=10)

    assert result.status == "completed"
    assert charged == {result.id: 990}
    assert balances == {"ann": (2, 990)}


asyncio.run(main())
