"""Settings of a queue.  Every object checks itself when it is made."""

from __future__ import annotations

import re
from collections.abc import (
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    Sequence,
    Set as AbstractSet,
)
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, cast

from litestar_queues_core.errors import ConfigError
from litestar_queues_core.model import Retention

if TYPE_CHECKING:
    from litestar_queues_core.context import TaskExecutionContext
    from litestar_queues_core.outcome import Outcome
    from litestar_queues_core.protocols import BackendConfig, EventSink, ExecutionConfig, Serializer

NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,100}")

Seconds = float | timedelta
Placement = Literal["app", "external"]
BeforeJob = Callable[["TaskExecutionContext"], Awaitable[None] | None]
AfterJob = Callable[["TaskExecutionContext", "Outcome"], Awaitable[None] | None]


def seconds(value: object, setting: str, *, least: float = 0.0) -> float:
    """Return a duration in seconds.

    Raises:
        ConfigError: It is no duration, or shorter than *least*.
    """
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < 1e10:
        raise ConfigError(
            f"{setting} must be seconds or a timedelta of at least {least:g} s, not {value!r}"
        )
    return float(value)


def name(value: object, setting: str) -> str:
    """Return the name of a task, queue, executor or profile.

    Raises:
        ConfigError: It contains something else than letters, digits and ``_ . : / -``.
    """
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise ConfigError(
            f"{setting} must be 1 to 100 letters, digits or any of _ . : / - , not {value!r}"
        )
    return value


def whole(value: object, setting: str, *, least: int, most: int) -> int:
    """Return a whole number within its range.

    Raises:
        ConfigError: It is not one.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ConfigError(f"{setting} must be a whole number from {least} to {most}, not {value!r}")
    return value


def choice(value: object, setting: str, choices: Sequence[object]) -> None:
    """Check that *value* is one of *choices*.

    Raises:
        ConfigError: It is not.
    """
    if value not in choices:
        raise ConfigError(
            f"{setting} must be one of {', '.join(map(repr, choices))}, not {value!r}"
        )


def instance(value: object, setting: str, kind: type[Any], *, optional: bool = False) -> None:
    """Check that *value* is a *kind*, or ``None`` if it is *optional*.

    Raises:
        ConfigError: It is not.
    """
    if not (isinstance(value, kind) or (optional and value is None)):
        wanted = f"{kind.__name__} or None" if optional else kind.__name__
        raise ConfigError(f"{setting} must be of type {wanted}, not {value!r}")


def several(value: object, setting: str, what: str) -> tuple[Any, ...]:
    """Return the items of a list, tuple or set; *what* says in the plural what they are.

    Raises:
        ConfigError: It is none of them; nor is a text.
    """
    if isinstance(value, str):
        raise ConfigError(f"{setting} must be a list of {what}: [{value!r}]")
    if not isinstance(value, Sequence | AbstractSet):
        raise ConfigError(f"{setting} must be a list of {what}, not {value!r}")
    return tuple(cast(Iterable[Any], value))


def offers(value: object, *methods: str) -> bool:
    """Return whether *value* is an object that has these methods; a class is none yet."""
    return not isinstance(value, type) and all(
        callable(getattr(value, method, None)) for method in methods
    )


@dataclass(kw_only=True, slots=True)
class WorkerConfig:
    """How a worker process runs jobs.

    Attributes:
        placement: ``app`` runs a worker inside every web process; ``external`` leaves it to
            ``litestar queues worker``.
        queues: Names of the queues to work on; empty means all.
        concurrency: Jobs that run at the same time in one process.
        queue_concurrency: Lower limits for single queues, per process.
        processes: Worker processes started by the command.
        lease: Seconds without a sign of life after which a process counts as dead.
        grace: Seconds that running jobs get to finish at shutdown.
        sync_threads: Threads for sync tasks; by default as many as ``concurrency``.
        poll_interval: Longest rest in seconds between two looks for work, if the store cannot
            wake the worker; by default chosen for the store.
        max_jobs: A worker process ends after so many attempts; a supervisor
            (``processes`` of 2 or more) starts another.
        max_memory: A worker process ends once it holds so many MiB, likewise.
        stall_limit: Seconds after which a silent event loop is given up.
        lifespan: Called once with the service; the value of the context it returns is
            ``ctx.state`` in every task.
        before_job: Called before each attempt; raising fails the attempt.
        after_job: Called with the outcome of each attempt; an error in it is logged.
        on_failure: Like ``after_job``, for attempts that did not succeed.
    """

    placement: Placement = "app"
    queues: Sequence[str] = ()
    concurrency: int = 10
    queue_concurrency: Mapping[str, int] = field(default_factory=dict[str, int])
    processes: int = 1
    lease: Seconds = 30.0
    grace: Seconds = 30.0
    sync_threads: int | None = None
    poll_interval: Seconds | None = None
    max_jobs: int | None = None
    max_memory: int | None = None
    stall_limit: Seconds = 600.0
    lifespan: Callable[[Any], AbstractAsyncContextManager[Any]] | None = None
    before_job: BeforeJob | None = None
    after_job: AfterJob | None = None
    on_failure: AfterJob | None = None

    def __post_init__(self) -> None:
        choice(self.placement, "WorkerConfig.placement", ("app", "external"))
        instance(self.queue_concurrency, "WorkerConfig.queue_concurrency", Mapping)
        queues = several(self.queues, "WorkerConfig.queues", "names")
        for queue in (*queues, *self.queue_concurrency):
            name(queue, "a queue of WorkerConfig")
        whole(self.concurrency, "WorkerConfig.concurrency", least=1, most=10_000)
        whole(self.processes, "WorkerConfig.processes", least=1, most=1000)
        for queue, limit in self.queue_concurrency.items():
            whole(limit, f"WorkerConfig.queue_concurrency[{queue!r}]", least=1, most=10_000)
        for setting in ("sync_threads", "max_jobs", "max_memory"):
            if getattr(self, setting) is not None:
                whole(getattr(self, setting), f"WorkerConfig.{setting}", least=1, most=2**40)
        self.lease = seconds(self.lease, "WorkerConfig.lease", least=0.5)
        self.grace = seconds(self.grace, "WorkerConfig.grace")
        self.stall_limit = seconds(self.stall_limit, "WorkerConfig.stall_limit", least=1)
        if self.poll_interval is not None:
            self.poll_interval = seconds(
                self.poll_interval, "WorkerConfig.poll_interval", least=0.001
            )
        for setting in ("lifespan", "before_job", "after_job", "on_failure"):
            value = getattr(self, setting)
            if value is not None and not callable(value):
                raise ConfigError(f"WorkerConfig.{setting} must be a function, not {value!r}")


@dataclass(kw_only=True, slots=True)
class EventHistoryConfig:
    """Keep events in the store of the jobs.

    Attributes:
        max_age: Events older than so many seconds are pruned.
    """

    max_age: Seconds = 7 * 86_400.0

    def __post_init__(self) -> None:
        self.max_age = seconds(self.max_age, "EventHistoryConfig.max_age", least=1)


@dataclass(kw_only=True, slots=True)
class QueueEventConfig:
    """Which events are published, and where.

    Attributes:
        enabled: Whether anything is published at all.
        sink: An :class:`EventSink`, or the name of an installed one, or several of them.
        channels_backend: A Litestar channels backend (Litestar distribution only).
        strict: What an attempt has published must be delivered before it may complete.
        publish_task_channel: Publish on ``queues:job:<id>``.
        publish_queue_channel: Publish on ``queues:queue:<name>``.
        publish_global_lifecycle: Publish lifecycle events on ``queues:global`` too.
        history: Keep events in the store.
        stream: Routes for browsers (Litestar distribution only).
    """

    enabled: bool = False
    sink: EventSink | str | Sequence[EventSink | str] | None = None
    channels_backend: Any = None
    strict: bool = False
    publish_task_channel: bool = True
    publish_queue_channel: bool = True
    publish_global_lifecycle: bool = False
    history: EventHistoryConfig | None = None
    stream: Any = None

    def __post_init__(self) -> None:
        for setting in (
            "enabled",
            "strict",
            "publish_task_channel",
            "publish_queue_channel",
            "publish_global_lifecycle",
        ):
            instance(getattr(self, setting), f"QueueEventConfig.{setting}", bool)
        instance(self.history, "QueueEventConfig.history", EventHistoryConfig, optional=True)
        for sink in self.sinks:
            if not (isinstance(sink, str) or offers(sink, "publish")):
                raise ConfigError(
                    f"QueueEventConfig.sink must be the name of an event sink, or an object with "
                    f"'async def publish(events)', or several of them, not {sink!r}"
                )

    @property
    def sinks(self) -> tuple[EventSink | str, ...]:
        """All sinks; some may be named."""
        if self.sink is None:
            return ()
        if isinstance(self.sink, Sequence) and not isinstance(self.sink, str):
            return tuple(self.sink)
        return (self.sink,)


@dataclass(kw_only=True, slots=True)
class QueueConfig:
    """All settings of one queue.

    Attributes:
        queue_backend: Where jobs are kept: a backend configuration, or the name of an installed
            one for its defaults.
        execution_backend: Where tasks run that name no execution backend: a name, or a
            configuration.
        execution_backends: Further executors, found by their ``name``: configurations, or names
            of installed ones for their defaults.
        task_modules: Modules to import, because they define tasks.
        worker: How workers run.
        event_config: What is published about jobs.
        initialize_schedules: Whether start-up brings stored schedules into line with the code.
        app_name: Owner of this application's schedules.
        app_version: Rises with deployments that change schedules.
        retention: How long finished jobs are kept.
        serializer: Encodes plain JSON values; ``None`` for the standard library's.
        dependency_key: Name of the service among Litestar's dependencies.
        default_timeout: Timeout in seconds of tasks that name none.
        max_payload: Largest encoded arguments, and largest encoded result, in bytes.
        coalesce: Whether concurrent calls of ``enqueue`` share a round trip.
    """

    queue_backend: BackendConfig | str | None = None
    execution_backend: str | ExecutionConfig = "local"
    execution_backends: Sequence[str | ExecutionConfig] = ()
    task_modules: Sequence[str] = ()
    worker: WorkerConfig = field(default_factory=WorkerConfig)
    event_config: QueueEventConfig | None = None
    initialize_schedules: bool = True
    app_name: str = "default"
    app_version: int = 0
    retention: Retention = field(default_factory=Retention)
    serializer: Serializer | None = None
    dependency_key: str = "queue_service"
    default_timeout: Seconds | None = None
    max_payload: int = 1_048_576
    coalesce: bool = True

    def __post_init__(self) -> None:
        self._check_backends()
        for module in several(self.task_modules, "QueueConfig.task_modules", "names"):
            instance(module, "a module of QueueConfig.task_modules", str)
        instance(self.worker, "QueueConfig.worker", WorkerConfig)
        instance(self.event_config, "QueueConfig.event_config", QueueEventConfig, optional=True)
        name(self.app_name, "QueueConfig.app_name")
        whole(self.app_version, "QueueConfig.app_version", least=0, most=2**31 - 1)
        whole(self.max_payload, "QueueConfig.max_payload", least=1, most=2**30)
        for setting in ("initialize_schedules", "coalesce"):
            instance(getattr(self, setting), f"QueueConfig.{setting}", bool)
        instance(self.dependency_key, "QueueConfig.dependency_key", str)
        if not self.dependency_key.isidentifier():
            raise ConfigError(
                f"QueueConfig.dependency_key must be a Python name, not {self.dependency_key!r}"
            )
        if self.default_timeout is not None:
            self.default_timeout = seconds(
                self.default_timeout, "QueueConfig.default_timeout", least=0.001
            )
        if self.serializer is not None and not offers(self.serializer, "dumps", "loads"):
            raise ConfigError(
                f"QueueConfig.serializer must be an object with 'dumps' and 'loads', "
                f"not {self.serializer!r}"
            )
        self._check_retention()

    def _check_backends(self) -> None:
        backend = self.queue_backend
        if not (backend is None or isinstance(backend, str) or offers(backend, "open")):
            raise ConfigError(
                f"QueueConfig.queue_backend must be the name of a backend or its configuration, "
                f"for example MemoryBackendConfig(), not {backend!r}"
            )
        several(self.execution_backends, "QueueConfig.execution_backends", "executors")
        for executor in (self.execution_backend, *self.execution_backends):
            if not (isinstance(executor, str) or offers(executor, "open")):
                raise ConfigError(
                    f"QueueConfig.execution_backend, and each of execution_backends, must be the "
                    f"name of an executor or its configuration, for example "
                    f"ProcessExecutionConfig(), not {executor!r}"
                )
            called = executor if isinstance(executor, str) else getattr(executor, "name", None)
            name(called, "the name of an executor")

    def _check_retention(self) -> None:
        if not isinstance(self.retention, Retention):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(
                f"QueueConfig.retention must be a Retention(...), not {self.retention!r}; "
                f"Retention(completed=0, failed=0) keeps finished jobs for a minute only"
            )
        for moment in ("completed", "failed"):
            seconds(getattr(self.retention, moment), f"Retention.{moment}")
        whole(self.retention.max_finished, "Retention.max_finished", least=0, most=2**40)
