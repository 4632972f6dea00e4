"""Abilities that tasks ask for, and that the store lacks."""

from __future__ import annotations

from typing import Any

import pytest

from litestar_queues_core import MissingAbilityError, QueueConfig, QueueService, task
from litestar_queues_core.abilities import check_abilities
from litestar_queues_core.protocols import SupportsSchedules
from litestar_queues_core.registry import Registry
from litestar_queues_core.stores.memory import MemoryStore

LACKS = "needs a store with the ability SupportsSchedules, which MemoryStore lacks"


class SchedulingStore(MemoryStore, SupportsSchedules):
    """A memory store that says it keeps schedules."""


@pytest.mark.parametrize(
    ("options", "option"),
    [({"cron": "0 2 * * *"}, "cron="), ({"interval": 5}, "interval=")],
    ids=["cron", "interval"],
)
async def test_a_schedule_that_no_store_would_keep_stops_the_start(
    options: dict[str, Any], option: str
) -> None:
    @task("cleanup", **options)
    async def cleanup() -> None: ...

    service = QueueService(QueueConfig(queue_backend="memory"))
    with pytest.raises(MissingAbilityError, match=f"^{option} of task 'cleanup' {LACKS}"):
        await service.__aenter__()
    assert service.loop is None


async def test_only_tasks_that_the_service_knows_count() -> None:
    @task("cleanup", interval=60)
    async def cleanup() -> None: ...

    config = QueueConfig(queue_backend="memory")
    async with QueueService(config, registry=Registry()) as service:
        assert service.loop is not None


async def test_schedules_that_are_not_to_be_brought_to_the_store_are_no_matter() -> None:
    @task("cleanup", cron="0 2 * * *")
    async def cleanup() -> int:
        return 3

    config = QueueConfig(queue_backend="memory", initialize_schedules=False)
    async with QueueService(config) as service:
        assert (await service.enqueue(cleanup)).created


def test_only_a_schedule_needs_a_store_that_keeps_schedules() -> None:
    @task("now-and-then", interval=60)
    async def scheduled() -> None: ...

    registry, config = Registry(), QueueConfig(queue_backend="memory")
    check_abilities(MemoryStore(), config, registry)
    registry.add(scheduled)

    check_abilities(SchedulingStore(), config, registry)  # type: ignore[abstract]
    with pytest.raises(MissingAbilityError, match="interval= of task"):
        check_abilities(MemoryStore(), config, registry)
