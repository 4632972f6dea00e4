"""From an application to its queue, without serving it."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager

from litestar import Litestar

from litestar_queues.lifespan import started_channels
from litestar_queues.plugin import QueuePlugin
from litestar_queues_core.choices import backend_of
from litestar_queues_core.config import QueueConfig
from litestar_queues_core.errors import ConfigError
from litestar_queues_core.protocols import BackendConfig
from litestar_queues_core.service import QueueService
from litestar_queues_core.stores.memory import MemoryBackendConfig


def settings_of(app: Litestar) -> QueueConfig:
    """Return the settings of the application's queue.

    Raises:
        ConfigError: Jobs are kept in memory, where a command cannot see them.
    """
    plugin = next(one for one in app.plugins if isinstance(one, QueuePlugin))
    config = plugin.settings()
    if isinstance(backend_of(config), MemoryBackendConfig):
        reason = "QueuePlugin(testing=True)" if plugin.testing else "QueueConfig.queue_backend"
        raise ConfigError(
            f"this application keeps its jobs in memory ({reason}), where no other process sees "
            f"them; use a queue backend that processes share, for example SQLite, the default"
        )
    return config


@asynccontextmanager
async def opened(app: Litestar) -> AsyncGenerator[QueueService]:
    """Open the application's queue, and nothing else of the application."""
    config = settings_of(app)
    with hushed():
        async with started_channels(config.event_config), QueueService(config) as service:
            yield service


@contextmanager
def hushed() -> Generator[None]:
    """Log warnings only: what a queue says as it opens is for those who run it."""
    logger = logging.getLogger("litestar_queues")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def describe(backend: BackendConfig) -> str:
    """Return what people call *backend*, and where it is."""
    name = type(backend).__name__.removesuffix("BackendConfig")
    resolve: Callable[[], object] | None = getattr(backend, "resolve", None)
    return f"{name} at {resolve()}" if resolve else name
