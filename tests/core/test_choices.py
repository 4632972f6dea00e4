"""Which executors the settings name, and that none is named twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from litestar_queues_core import ConfigError, QueueConfig, QueueService, Worker, task
from litestar_queues_core.choices import open_executors
from litestar_queues_core.executors.local import LocalExecutor
from litestar_queues_core.executors.process import ProcessExecutor
from litestar_queues_core.serializer import JsonSerializer
from litestar_queues_core.stores.memory import MemoryBackendConfig


class Elsewhere:
    """A place of any name that runs tasks just like ``local``."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.open_now = 0
        self.opened: list[LocalExecutor] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator[LocalExecutor]:
        executor = LocalExecutor(serializer=JsonSerializer(), dependencies=None, threads=1)
        self.opened.append(executor)
        self.open_now += 1
        try:
            yield executor
        finally:
            self.open_now -= 1
            executor.close()


def service_with(*executors: Any, default: Any = "local") -> QueueService:
    return QueueService(
        QueueConfig(
            queue_backend=MemoryBackendConfig(),
            execution_backends=executors,
            execution_backend=default,
        )
    )


async def test_two_executors_of_one_name_are_refused_by_that_name() -> None:
    first, second = Elsewhere("gpu"), Elsewhere("gpu")

    async with service_with(first, second) as service:
        with pytest.raises(ConfigError, match="two executors are called 'gpu'"):
            await Worker(service).run()

    assert first.open_now == second.open_now == 0


@pytest.mark.parametrize("name", ["local", "immediate"])
async def test_the_names_of_what_is_always_there_are_taken(name: str) -> None:
    async with service_with(Elsewhere(name)) as service:
        with pytest.raises(ConfigError, match=f"two executors are called '{name}'"):
            await Worker(service).run()


@pytest.mark.parametrize("by_name", [True, False])
async def test_the_default_may_be_one_of_those_listed(by_name: bool) -> None:
    @task
    async def where() -> str:
        return "there"

    elsewhere = Elsewhere("gpu")
    async with service_with(elsewhere, default="gpu" if by_name else elsewhere) as service:
        result = await service.enqueue(where)
        await Worker(service, burst=True).run()

        assert await result.value(5) == "there"
    assert len(elsewhere.opened) == 1


async def test_an_executor_named_once_is_loaded_by_its_name() -> None:
    async with service_with(default="process") as service, AsyncExitStack() as resources:
        executors = await open_executors(service, service.config.worker, resources)

        assert isinstance(executors["process"], ProcessExecutor)
