"""The Litestar plugin."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from litestar.plugins import CLIPlugin, InitPlugin

from litestar_queues.channels import ChannelsEventSink
from litestar_queues.dependencies import TaskDependencies
from litestar_queues.lifespan import STATE_KEY, AppWorker, started_channels
from litestar_queues.serializer import MsgspecSerializer
from litestar_queues_core.choices import backend_of
from litestar_queues_core.config import QueueConfig, QueueEventConfig
from litestar_queues_core.errors import ConfigError, NoServiceError
from litestar_queues_core.results import TaskResult
from litestar_queues_core.service import QueueService
from litestar_queues_core.stores.memory import MemoryBackendConfig
from litestar_queues_sql.sqlite import SQLiteBackendConfig

if TYPE_CHECKING:
    from click import Group
    from litestar.config.app import AppConfig


class QueuePlugin(InitPlugin, CLIPlugin):
    """Gives an application a queue: ``Litestar(plugins=[QueuePlugin(config=QueueConfig())])``.

    While the application runs, handlers have the :class:`QueueService` as their dependency
    ``queue_service``, and ``app.state.queue_service`` is the same.  With the placement ``app``
    every web process runs a worker too.  ``litestar queues`` looks after the queue.

    Args:
        config: The settings; jobs are kept in an SQLite file unless they say otherwise.
        testing: Keep jobs in memory and run no worker, whatever the settings say.
    """

    def __init__(self, config: QueueConfig | None = None, *, testing: bool = False) -> None:
        if not isinstance(config, QueueConfig | None):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(f"QueuePlugin(config=...) must be a QueueConfig, not {config!r}")
        self.config: QueueConfig = QueueConfig() if config is None else config
        self.testing = testing

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Register the service and the worker; nothing is opened before the application starts.

        Once is enough: of a further call on the same settings nothing comes.

        Raises:
            ConfigError: The application has a queue already, or a dependency of the service's name.
            UnknownBackendError: Nothing of the queue backend's name is installed.
            MissingAdapterError: The queue backend is one of ours, and is not installed.
        """
        lifespan = cast("list[object]", app_config.lifespan)  # pyright: ignore[reportUnknownMemberType]
        if self._lifespan in lifespan:
            return app_config
        self._check(app_config)
        backend_of(self.settings())
        app_config.dependencies[self.config.dependency_key] = Provide(
            provide_queue_service, sync_to_thread=False
        )
        for kind in (QueueService, TaskResult):
            app_config.signature_namespace.setdefault(kind.__name__, kind)
        lifespan.append(self._lifespan)
        app_config.plugins.append(AppWorker())
        return app_config

    def on_cli_init(self, cli: Group) -> None:
        """Register ``litestar queues``."""
        from litestar_queues.cli import queues  # noqa: PLC0415  (servers do without)

        cli.add_command(queues)

    def settings(self) -> QueueConfig:
        """Return the settings as they apply, with every default filled in."""
        config, backend, worker = self.config, self.config.queue_backend, self.config.worker
        if self.testing:
            backend, worker = MemoryBackendConfig(), replace(worker, placement="external")
        return replace(
            config,
            queue_backend=SQLiteBackendConfig() if backend is None else backend,
            worker=worker,
            serializer=config.serializer or MsgspecSerializer(),
            event_config=_with_channels(config.event_config),
        )

    def _check(self, app_config: AppConfig) -> None:
        if sum(isinstance(plugin, QueuePlugin) for plugin in app_config.plugins) > 1:
            raise ConfigError(
                "this application has two QueuePlugins; keep one: it serves any number of queues, "
                "as @task(queue=...) names them"
            )
        key = self.config.dependency_key
        if key in app_config.dependencies:
            raise ConfigError(
                f"this application has a dependency {key!r} already; "
                f"choose another name: QueueConfig(dependency_key=...)"
            )

    @asynccontextmanager
    async def _lifespan(self, app: Litestar) -> AsyncGenerator[None]:
        dependencies = TaskDependencies(app)
        service = QueueService(self.settings(), dependencies=dependencies)
        async with started_channels(service.config.event_config, app), service:
            dependencies.warn(service.registry)
            app.state[STATE_KEY] = service
            try:
                yield
            finally:
                del app.state[STATE_KEY]


def provide_queue_service(state: State) -> QueueService:
    """Return the service of the running application.

    Raises:
        NoServiceError: The application has not been started.
    """
    service: QueueService | None = state.get(STATE_KEY)
    if service is None:
        raise NoServiceError(
            "the queue service is not open, because the application has not been started: serve "
            "it, use a test client as a context manager, or 'async with app.lifespan():'"
        )
    return service


def _with_channels(config: QueueEventConfig | None) -> QueueEventConfig | None:
    if config is None or config.channels_backend is None:
        return config
    sink = ChannelsEventSink(config.channels_backend, config)
    return replace(config, sink=(*config.sinks, sink))
