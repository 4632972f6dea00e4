"""The worker of a web process, and how it is placed in an application's life."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, cast

from litestar.channels import ChannelsBackend, ChannelsPlugin
from litestar.plugins import InitPlugin

from litestar_queues_core.config import QueueEventConfig
from litestar_queues_core.service import QueueService
from litestar_queues_core.worker import Worker

if TYPE_CHECKING:
    from litestar import Litestar
    from litestar.config.app import AppConfig

STATE_KEY = "queue_service"

_suppressed: ContextVar[bool] = ContextVar("in_app_worker_suppressed", default=False)


@contextmanager
def without_app_worker() -> Generator[None]:
    """Let applications that are started in this block run no worker of their own."""
    token = _suppressed.set(True)
    try:
        yield
    finally:
        _suppressed.reset(token)


class AppWorker(InitPlugin):
    """Runs a worker inside one application: the last thing to start, the first to stop.

    So nothing that a task may use is closed while tasks run, wherever the queue plugin stands
    among the plugins, and no task runs before the application's own start-up hooks have.
    """

    def __init__(self) -> None:
        self._running = AsyncExitStack()

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Register the worker, and do so again once every plugin behind has had its turn."""
        lifespan = cast("list[object]", app_config.lifespan)  # pyright: ignore[reportUnknownMemberType]
        for entries, entry in ((lifespan, self._lifespan), (app_config.on_startup, self._start)):
            if entry in entries:
                entries.remove(entry)
            entries.append(entry)
        if app_config.plugins[-1] is not self:
            app_config.plugins.append(self)
        return app_config

    @asynccontextmanager
    async def _lifespan(self, app: Litestar) -> AsyncGenerator[None]:
        async with self._running:
            yield

    async def _start(self, app: Litestar) -> None:
        service: QueueService = app.state[STATE_KEY]
        if service.config.worker.placement == "app" and not _suppressed.get():
            # Replacing a process is for worker processes; this one serves requests.
            worker = Worker(service, max_jobs=None, max_memory=None)
            await self._running.enter_async_context(worker)


@asynccontextmanager
async def started_channels(
    config: QueueEventConfig | None, app: Litestar | None = None
) -> AsyncGenerator[None]:
    """Start the channels backend of *config* and stop it, unless a plugin of *app* does that."""
    backend = config.channels_backend if config and config.enabled else None
    plugins = [] if app is None else [one for one in app.plugins if isinstance(one, ChannelsPlugin)]
    owned = any(getattr(plugin, "_backend", None) is backend for plugin in plugins)
    if owned or not isinstance(backend, ChannelsBackend):
        yield
        return
    await backend.on_startup()
    try:
        yield
    finally:
        await backend.on_shutdown()
