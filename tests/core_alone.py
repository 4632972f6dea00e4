"""What the core must do with nothing else installed; run by ``nox -s core_alone``."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
import sys
from importlib.metadata import distributions

import litestar_queues_core
from litestar_queues_core import QueueConfig, QueueService, Worker, task


@task
async def add(a: int, b: int) -> int:
    return a + b


def import_everything() -> int:
    found = pkgutil.walk_packages(litestar_queues_core.__path__, "litestar_queues_core.")
    names = [module.name for module in found if not module.name.endswith(".__main__")]
    for name in names:
        importlib.import_module(name)
    return len(names)


async def quickstart() -> None:
    async with QueueService(QueueConfig(queue_backend="memory")) as service:
        result = await service.enqueue(add, 1, 2)
        async with Worker(service, concurrency=10):
            await result.wait(timeout=5)
            assert result.status == "completed"
            assert result.result == 3
            assert await result.value(timeout=5) == 3


if __name__ == "__main__":
    others = {d.name for d in distributions()} - {"litestar-queues-core"}
    assert not others, f"not alone: {others}"
    asyncio.run(quickstart())
    print(f"{import_everything()} modules imported, one job done, Python {sys.version.split()[0]}")
