"""From what a user chose in the settings, by name or by object, to what does it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, cast

from litestar_queues_core.config import QueueConfig, WorkerConfig
from litestar_queues_core.discovery import BACKENDS, installed, load_backend, load_executor
from litestar_queues_core.errors import ConfigError
from litestar_queues_core.executors.local import LocalExecutor
from litestar_queues_core.immediate import IMMEDIATE
from litestar_queues_core.lanes import LOCAL
from litestar_queues_core.protocols import BackendConfig, ExecutionConfig, Executor

if TYPE_CHECKING:
    from litestar_queues_core.service import QueueService


def backend_of(config: QueueConfig) -> BackendConfig:
    """Return the queue backend that *config* names or holds.

    Raises:
        ConfigError: It names none, or one that needs settings.
        UnknownBackendError: Nothing of that name is installed.
        MissingAdapterError: It is one of ours, and is not installed.
    """
    backend = config.queue_backend
    if backend is None:
        raise ConfigError(
            "QueueConfig.queue_backend must be given: 'memory', "
            f"or one of those installed here: {', '.join(installed(BACKENDS))}"
        )
    if isinstance(backend, str):
        return _by_name(backend)
    return backend


def _by_name(name: str) -> BackendConfig:
    make = load_backend(name)
    try:
        return cast(BackendConfig, make())
    except TypeError as error:
        raise ConfigError(
            f"the queue backend {name!r} cannot be had by its name alone ({error}); "
            f"write queue_backend={make.__name__}(...)"
        ) from error


def executor_name(choice: str | ExecutionConfig) -> str:
    """Return the name under which tasks find an executor."""
    return choice if isinstance(choice, str) else choice.name


def _configured(config: QueueConfig) -> list[ExecutionConfig]:
    choices, default = [*config.execution_backends], config.execution_backend
    if not any(default in (one, executor_name(one)) for one in choices):
        choices.append(default)
    return [
        cast(ExecutionConfig, load_executor(choice)() if isinstance(choice, str) else choice)
        for choice in choices
        if choice not in (LOCAL, IMMEDIATE)
    ]


async def open_executors(
    service: QueueService, config: WorkerConfig, resources: AsyncExitStack
) -> dict[str, Executor]:
    """Open every executor that a worker of *service* has; *resources* closes them.

    Raises:
        ConfigError: Two have one name.
    """
    local = LocalExecutor(
        serializer=service.serializer,
        dependencies=service.dependencies,
        threads=config.sync_threads or config.concurrency,
    )
    resources.callback(local.close)
    executors: dict[str, Executor] = {LOCAL: local, IMMEDIATE: local}
    for choice in _configured(service.config):
        if choice.name in executors:
            raise ConfigError(
                f"two executors are called {choice.name!r}; each of "
                "QueueConfig.execution_backends needs a name of its own"
            )
        executor = await resources.enter_async_context(choice.open())
        executors[choice.name] = cast(Executor, executor)
    return executors
