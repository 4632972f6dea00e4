from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from litestar_queues_core import QueueConfig, QueueEventConfig, QueueService, WorkerConfig
from litestar_queues_core.events import InMemoryEventSink
from litestar_queues_core.registry import default_registry
from litestar_queues_core.stores.memory import MemoryBackendConfig


@pytest.fixture(autouse=True)
def _tasks_of_the_test() -> Iterator[None]:
    """Forget after each test the tasks that it has defined."""
    with default_registry.restored():
        yield


@pytest.fixture
def sink() -> InMemoryEventSink:
    return InMemoryEventSink()


@pytest.fixture
async def service(sink: InMemoryEventSink) -> AsyncIterator[QueueService]:
    """A service on an empty memory store, whose events go to ``sink``."""
    config = QueueConfig(
        queue_backend=MemoryBackendConfig(),
        event_config=QueueEventConfig(enabled=True, sink=sink),
        worker=WorkerConfig(lease=3.0, grace=5.0),
    )
    async with QueueService(config) as opened:
        yield opened
