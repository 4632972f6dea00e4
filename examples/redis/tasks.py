"""The tasks, and the server that keeps their jobs: imported by the shop and by its workers."""

from __future__ import annotations

import os

from litestar_queues_core import QueueConfig, TaskExecutionContext, task
from litestar_queues_redis import RedisBackendConfig

SERVER = os.environ.get("SHOP_SERVER", "redis://localhost:6379/0")

config = QueueConfig(queue_backend=RedisBackendConfig(url=SERVER, prefix="shop"))


@task("shop.pack")
async def pack(order: int) -> str:
    """Pack an order."""
    return f"order {order} is packed"


@task("shop.call_courier", retries=3, retry_policy=0.5, unique_by="arguments")
async def call_courier(street: str, *, _task_context: TaskExecutionContext) -> str:
    """Call the courier, whose line is always busy at first."""
    if _task_context.attempt == 1:
        raise ConnectionError("the line is busy")
    return f"a courier comes to {street}, called {_task_context.attempt} times"
