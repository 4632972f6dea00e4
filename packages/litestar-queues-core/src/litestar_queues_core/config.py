"""Settings of a queue.  Every object checks itself when it is made."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from litestar_queues_core.errors import ConfigError
from litestar_queues_core.model import Retention

if TYPE_CHECKING:
    from litestar_queues_core.context import TaskExecutionContext
    from litestar_queues_core.outcome import Outcome
    from litestar_queues_core.protocols import BackendConfig, EventSink, Serializer

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
        if isinstance(self.queues, str):
            raise ConfigError(f"WorkerConfig.queues must be a list of names: [{self.queues!r}]")
        for queue in (*self.queues, *self.queue_concurrency):
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
        sink: An :class:`EventSink` or several.
        channels_backend: A Litestar channels backend (Litestar distribution only).
        strict: What an attempt has published must be delivered before it may complete.
        publish_task_channel: Publish on ``queues:job:<id>``.
        publish_queue_channel: Publish on ``queues:queue:<name>``.
        publish_global_lifecycle: Publish lifecycle events on ``queues:global`` too.
        history: Keep events in the store.
        stream: Routes for browsers (Litestar distribution only).
    """

    enabled: bool = False
    sink: EventSink | Sequence[EventSink] | None = None
    channels_backend: Any = None
    strict: bool = False
    publish_task_channel: bool = True
    publish_queue_channel: bool = True
    publish_global_lifecycle: bool = False
    history: EventHistoryConfig | None = None
    stream: Any = None

    @property
    def sinks(self) -> tuple[EventSink, ...]:
        """All sinks."""
        if self.sink is None:
            return ()
        return tuple(self.sink) if isinstance(self.sink, Sequence) else (self.sink,)


@dataclass(kw_only=True, slots=True)
class QueueConfig:
    """All settings of one queue.

    Attributes:
        queue_backend: Where jobs are kept: a backend configuration, or the name of an installed
            one for its defaults.
        execution_backend: Where tasks run that name no execution backend.
        execution_backends: Configurations of further executors, found by their ``name``.
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
    execution_backend: str = "local"
    execution_backends: Sequence[Any] = ()
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
        if not (
            self.queue_backend is None
            or isinstance(self.queue_backend, str)
            or callable(getattr(self.queue_backend, "open", None))
        ):
            raise ConfigError(
                f"QueueConfig.queue_backend must be the name of a backend or its configuration, "
                f"for example MemoryBackendConfig(), not {self.queue_backend!r}"
            )
        if isinstance(self.task_modules, str):
            raise ConfigError(
                f"QueueConfig.task_modules must be a list of names: [{self.task_modules!r}]"
            )
        name(self.app_name, "QueueConfig.app_name")
        whole(self.max_payload, "QueueConfig.max_payload", least=1, most=2**30)
        if not self.dependency_key.isidentifier():
            raise ConfigError(
                f"QueueConfig.dependency_key must be a Python name, not {self.dependency_key!r}"
            )
        if self.default_timeout is not None:
            self.default_timeout = seconds(self.default_timeout, "QueueConfig.default_timeout")
        if not isinstance(self.retention, Retention):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(
                f"QueueConfig.retention must be a Retention(...), not {self.retention!r}; "
                f"Retention(completed=0, failed=0) keeps finished jobs for a minute only"
            )
        for moment in ("completed", "failed"):
            seconds(getattr(self.retention, moment), f"Retention.{moment}")
        whole(self.retention.max_finished, "Retention.max_finished", least=0, most=2**40)
