"""Background jobs for Litestar: everything of the core, and the plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litestar_queues_core import (
    Cancel,
    CancelOutcome,
    ConfigError,
    Discard,
    DuplicateTaskError,
    EnqueueManyError,
    EnqueueUnknown,
    Event,
    EventHistoryConfig,
    Job,
    JobCancelledError,
    JobError,
    JobFailedError,
    JobQuery,
    KeyBusyError,
    KeyConflictError,
    LeaseLost,
    MissingAbilityError,
    MissingAdapterError,
    NonRetryableError,
    NoServiceError,
    NotInTaskError,
    Outcome,
    Page,
    PayloadError,
    PayloadTooLargeError,
    Progress,
    QueueConfig,
    QueueCounts,
    QueueError,
    QueueEventConfig,
    QueueService,
    ResultExpired,
    Retention,
    Retry,
    RetryPolicy,
    SchemaError,
    SessionError,
    Snooze,
    Status,
    StoreError,
    StoreUnavailable,
    Task,
    TaskCall,
    TaskExecutionContext,
    TaskModuleError,
    TaskResult,
    TransactionError,
    UnknownBackendError,
    UnknownTaskError,
    Worker,
    WorkerConfig,
    WrongLoopError,
    __version__,
    discover_tasks,
    get_current_task_context,
    task,
)

if TYPE_CHECKING:
    from litestar_queues.background import QueuedBackgroundTask
    from litestar_queues.plugin import QueuePlugin

__all__ = [
    "Cancel",
    "CancelOutcome",
    "ConfigError",
    "Discard",
    "DuplicateTaskError",
    "EnqueueManyError",
    "EnqueueUnknown",
    "Event",
    "EventHistoryConfig",
    "Job",
    "JobCancelledError",
    "JobError",
    "JobFailedError",
    "JobQuery",
    "KeyBusyError",
    "KeyConflictError",
    "LeaseLost",
    "MissingAbilityError",
    "MissingAdapterError",
    "NoServiceError",
    "NonRetryableError",
    "NotInTaskError",
    "Outcome",
    "Page",
    "PayloadError",
    "PayloadTooLargeError",
    "Progress",
    "QueueConfig",
    "QueueCounts",
    "QueueError",
    "QueueEventConfig",
    "QueuePlugin",
    "QueueService",
    "QueuedBackgroundTask",
    "ResultExpired",
    "Retention",
    "Retry",
    "RetryPolicy",
    "SchemaError",
    "SessionError",
    "Snooze",
    "Status",
    "StoreError",
    "StoreUnavailable",
    "Task",
    "TaskCall",
    "TaskExecutionContext",
    "TaskModuleError",
    "TaskResult",
    "TransactionError",
    "UnknownBackendError",
    "UnknownTaskError",
    "Worker",
    "WorkerConfig",
    "WrongLoopError",
    "__version__",
    "discover_tasks",
    "get_current_task_context",
    "task",
]


def __getattr__(name: str) -> object:
    """Import Litestar only when something is asked for that needs it."""
    if name == "QueuePlugin":
        from litestar_queues.plugin import QueuePlugin  # noqa: PLC0415

        return QueuePlugin
    if name == "QueuedBackgroundTask":
        from litestar_queues.background import QueuedBackgroundTask  # noqa: PLC0415

        return QueuedBackgroundTask
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
