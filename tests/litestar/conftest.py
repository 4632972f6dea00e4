from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from litestar import Litestar

from litestar_queues import QueueConfig, QueuePlugin, WorkerConfig
from litestar_queues_core.registry import default_registry
from litestar_queues_core.stores.memory import MemoryBackendConfig

MakeApp = Callable[..., Litestar]


@pytest.fixture(autouse=True)
def _tasks_of_the_test() -> Iterator[None]:
    """Forget after each test the tasks that it has defined."""
    with default_registry.restored():
        yield


@pytest.fixture
def make_app() -> MakeApp:
    """Make applications whose jobs are kept in memory, each with a worker of its own."""

    def make(*handlers: Any, config: QueueConfig | None = None, **options: Any) -> Litestar:
        config = config or QueueConfig(
            queue_backend=MemoryBackendConfig(), worker=WorkerConfig(lease=3.0, grace=5.0)
        )
        options = {"plugins": [QueuePlugin(config)], "logging_config": None, **options}
        return Litestar([*handlers], **options)

    return make
