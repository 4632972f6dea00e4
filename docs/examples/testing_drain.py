"""All that waits, with all it enqueues."""

from __future__ import annotations

import asyncio

from litestar_queues_core import QueueConfig, QueueService, Status, task
from litestar_queues_core.testing import drain

sent: list[str] = []


@task("letters.all")
async def send_all(names: list[str]) -> None:
    for name in names:
        await send_one.enqueue(name)


@task("letters.one")
async def send_one(name: str) -> None:
    sent.append(name)


async def test_every_letter_is_sent() -> None:
    async with QueueService(QueueConfig(queue_backend="memory")) as service:
        await service.enqueue(send_all, ["ann", "bob"])

        counts = await drain(service)

        assert sorted(sent) == ["ann", "bob"]
        assert counts[Status.COMPLETED] == 3


asyncio.run(test_every_letter_is_sent())
