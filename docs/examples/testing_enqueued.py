"""What a piece of code enqueues."""

from __future__ import annotations

import asyncio

from litestar_queues_core import QueueConfig, QueueService, task
from litestar_queues_core.testing import assert_enqueued


@task("mail.welcome", queue="mail")
async def welcome(user: int, language: str = "en") -> None:
    print("welcome", user, language)


async def sign_up(user: int) -> None:
    await welcome.enqueue(user, language="de")


async def test_a_new_user_is_welcomed() -> None:
    async with QueueService(QueueConfig(queue_backend="memory")) as service:
        await sign_up(7)

        job = await assert_enqueued(service, welcome, user=7, language="de")
        assert job.queue == "mail"


asyncio.run(test_a_new_user_is_welcomed())
