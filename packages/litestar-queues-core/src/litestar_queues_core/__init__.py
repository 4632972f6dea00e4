"""Queue core: protocols, model, service and worker, on the standard library alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litestar_queues_core._version import __version__
from litestar_queues_core.task import Task, TaskCall, task

if TYPE_CHECKING:
    from litestar_queues_core.config import (
        EventHistoryConfig,
        QueueConfig,
        QueueEventConfig,
        WorkerConfig,
    )
    from litestar_queues_core.context import TaskExecutionContext, get_current_task_context
    from litestar_queues_core.control import Cancel, Discard, Retry, Snooze
    from litestar_queues_core.discovery import discover_tasks
    from litestar_queues_core.errors import (
        ConfigError,
        DuplicateTaskError,
        EnqueueManyError,
        EnqueueUnknown,
        JobCancelledError,
        JobError,
        JobFailedError,
        KeyBusyError,
        KeyConflictError,
        LeaseLost,
        MissingAbilityError,
        MissingAdapterError,
        NonRetryableError,
        NoServiceError,
        NotInTaskError,
        PayloadError,
        PayloadTooLargeError,
        QueueError,
        ResultExpired,
        SchemaError,
        SessionError,
        StoreError,
        StoreUnavailable,
        TaskModuleError,
        TransactionError,
        TransactionRolledBack,
        UnknownBackendError,
        UnknownTaskError,
        WrongLoopError,
    )
    from litestar_queues_core.model import Event, Job, Progress, Retention, Status
    from litestar_queues_core.outcome import Outcome
    from litestar_queues_core.results import TaskResult
    from litestar_queues_core.retry import RetryPolicy
    from litestar_queues_core.service import QueueService
    from litestar_queues_core.settlements import CancelOutcome, JobQuery, Page, QueueCounts
    from litestar_queues_core.worker import Worker

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
    "QueueService",
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
    "TransactionRolledBack",
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

_MODULES = {
    "config": "EventHistoryConfig QueueConfig QueueEventConfig WorkerConfig",
    "context": "TaskExecutionContext get_current_task_context",
    "control": "Cancel Discard Retry Snooze",
    "discovery": "discover_tasks",
    "errors": (
        "ConfigError DuplicateTaskError EnqueueManyError EnqueueUnknown "
        "JobCancelledError JobError JobFailedError KeyBusyError KeyConflictError "
        "LeaseLost MissingAbilityError MissingAdapterError NonRetryableError "
        "NoServiceError NotInTaskError PayloadError PayloadTooLargeError QueueError "
        "ResultExpired SchemaError SessionError StoreError StoreUnavailable TaskModuleError "
        "TransactionError TransactionRolledBack UnknownBackendError UnknownTaskError WrongLoopError"
    ),
    "model": "Event Job Progress Retention Status",
    "outcome": "Outcome",
    "results": "TaskResult",
    "retry": "RetryPolicy",
    "service": "QueueService",
    "settlements": "CancelOutcome JobQuery Page QueueCounts",
    "worker": "Worker",
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for: a module of tasks needs no worker."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415  (only here)

    value: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
