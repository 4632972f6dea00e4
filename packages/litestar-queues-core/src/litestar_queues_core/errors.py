"""Errors a caller may want to catch."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager


class QueueError(Exception):
    """Base of every error raised by litestar-queues."""


class ConfigError(QueueError, ValueError):
    """A setting has a value that cannot work; the message names it and the fix."""


_DISTRIBUTIONS = {
    "advanced_alchemy": "litestar-queues-advanced-alchemy",
    "redis": "litestar-queues-redis",
    "sqlite": "litestar-queues-sql",
    "sqlspec": "litestar-queues-sqlspec",
    "valkey": "litestar-queues-valkey",
}
"""The adapters of this project that there are already, and what has them."""


class MissingAdapterError(QueueError, ImportError):
    """An adapter is not installed, or not in this version."""

    def __init__(self, adapter: str) -> None:
        distribution = _DISTRIBUTIONS.get(adapter)
        why = (
            f"not installed; run: pip install {distribution}"
            if distribution
            else "not in this version of litestar-queues; choose another"
        )
        super().__init__(f"the {adapter.replace('_', '-')!r} adapter is {why}")


class UnknownBackendError(QueueError, LookupError):
    """No installed distribution registers anything of that name."""

    def __init__(self, name: str, *, known: Iterable[str], kind: str = "queue backend") -> None:
        choices = ", ".join(sorted(known)) or "none"
        super().__init__(f"no {kind} is called {name!r}; installed: {choices}")
        self.name = name


class MissingAbilityError(QueueError, TypeError):
    """An option needs an ability which the store lacks."""

    def __init__(self, option: str, *, ability: str, store: str) -> None:
        super().__init__(
            f"{option} needs a store with the ability {ability}, which {store} lacks; "
            f"drop the option or choose another queue backend"
        )


class TaskError(QueueError):
    """Base of errors about tasks."""


class UnknownTaskError(TaskError, LookupError):
    """No task of that name is registered in this process."""

    def __init__(self, name: str, *, known: Iterable[str] = ()) -> None:
        from difflib import get_close_matches  # noqa: PLC0415  (costs 5 ms, and only here)

        near = get_close_matches(name, list(known), n=3)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        super().__init__(
            f"no task is called {name!r}{hint} (import the module that defines it, "
            f"or name it in QueueConfig.task_modules)"
        )
        self.name = name


class DuplicateTaskError(TaskError, ValueError):
    """Two functions want one task name."""

    def __init__(self, name: str, *, first: str, second: str) -> None:
        super().__init__(
            f"two tasks are called {name!r}: {first} and {second}; "
            f"give one of them a name of its own: @task('...')"
        )


class TaskModuleError(TaskError, ImportError):
    """A module of tasks cannot be imported."""

    def __init__(self, module: str, error: BaseException) -> None:
        super().__init__(
            f"cannot import the task module {module!r}: {type(error).__name__}: {error}"
        )
        self.module = module


class PayloadError(QueueError, TypeError):
    """A value cannot be encoded, or stored bytes cannot be decoded."""


class PayloadTooLargeError(PayloadError, ValueError):
    """An encoded value is larger than the queue allows."""

    def __init__(self, what: str, *, size: int, limit: int) -> None:
        super().__init__(
            f"{what} takes {size} bytes, the limit is {limit}; "
            f"store the data elsewhere and pass a reference to it"
        )


class NonRetryableError(QueueError):
    """Raise it, or a subclass, in a task to fail at once whatever attempts are left."""


class NoServiceError(QueueError, RuntimeError):
    """Nothing is open that could do what was asked."""


class NotInTaskError(QueueError, RuntimeError):
    """Something that only a running task can do was asked for outside of one."""


class SessionError(QueueError, TypeError):
    """A database session cannot be written through: of another kind, closed, no transaction."""


class TransactionError(QueueError, RuntimeError):
    """``ctx.transaction()`` or ``ctx.set_result()`` was used where it cannot work."""


class WrongLoopError(QueueError, RuntimeError):
    """A service was used from an event loop that is not its own."""


class KeyConflictError(QueueError, ValueError):
    """A uniqueness key is held by a job of another task."""

    def __init__(self, key: str, *, task: str, holder: str) -> None:
        super().__init__(
            f"the key {key!r} for a job of task {task!r} is held by a job of task {holder!r}; "
            f"explicit keys are shared by all tasks: choose another, or use unique_by"
        )
        self.key: str = key
        self.task: str = task
        self.holder: str = holder


class KeyBusyError(QueueError, TimeoutError):
    """A uniqueness key is locked by somebody's open transaction; try again."""


class EnqueueManyError(QueueError):
    """Some jobs of a batch were not taken.

    Attributes:
        errors: The error of each that was not, by its place in the batch.
        results: The handles of the whole batch; those of jobs that were not taken are void.
    """

    def __init__(self, errors: Mapping[int, QueueError], results: Sequence[object]) -> None:
        first = next(iter(errors.values()))
        super().__init__(f"{len(errors)} of {len(results)} jobs were not enqueued; first: {first}")
        self.errors: Mapping[int, QueueError] = errors
        self.results: Sequence[object] = results


class EnqueueUnknown(QueueError, TimeoutError):
    """The store did not say whether it took a job; ``id`` can be asked about later."""

    def __init__(self, job_id: str, error: BaseException | None = None) -> None:
        cause = f" ({type(error).__name__}: {error})" if error else ""
        super().__init__(f"it is unknown whether job {job_id} was enqueued{cause}; ask get()")
        self.id = job_id


class JobError(QueueError):
    """Base of errors about how a job ended."""

    def __init__(self, job_id: str, message: str) -> None:
        super().__init__(message)
        self.id = job_id


class JobFailedError(JobError):
    """The job whose value was asked for has failed or expired."""


class JobCancelledError(JobError):
    """The job whose value was asked for was cancelled."""


class ResultExpired(JobError, LookupError):
    """The job is no longer known: it was pruned, or never existed."""

    def __init__(self, job_id: str) -> None:
        super().__init__(job_id, f"job {job_id} is not known any more; see QueueConfig.retention")


class StoreError(QueueError):
    """Base of what a store may answer."""


class StoreUnavailable(StoreError, ConnectionError):
    """The store cannot be reached or did not answer; what was asked may have happened."""


class TransactionRolledBack(StoreError):
    """The database has rolled back the caller's transaction as a whole; nothing of it is left."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"{reason}; the whole transaction was rolled back, and nothing of it is left: let this "
            "error leave its block, and begin again from its start"
        )


class LeaseLost(StoreError):
    """The lease is dead: its jobs have been given to others, or will be.

    Attributes:
        lease: The lease.
        job: The job that it does not hold any more, if only one was asked about.
    """

    def __init__(self, lease: str, *, job: str | None = None) -> None:
        what = "is dead; its jobs belong" if job is None else f"holds job {job} no more; it belongs"
        super().__init__(f"lease {lease} {what} to others now")
        self.lease = lease
        self.job = job


class StaleExchange(StoreError):
    """An exchange came with a number older than the last one applied."""

    def __init__(self, lease: str, seq: int, last: int) -> None:
        super().__init__(f"exchange {seq} of lease {lease} is older than the last one, {last}")


class SettlementRefused(StoreError):
    """The store cannot hold a settlement's data; nothing of the exchange was applied.

    Attributes:
        ids: The jobs whose settlements are at fault, or ``None`` if the store cannot tell.
    """

    def __init__(self, ids: Sequence[str] | None, reason: str) -> None:
        super().__init__(f"settlement refused: {reason}")
        self.ids: Sequence[str] | None = ids
        self.reason: str = reason


class SchemaError(StoreError):
    """The store's schema is missing, too old, or too new for this library."""


@contextmanager
def adapter(name: str) -> Generator[None]:
    """Say that an adapter is missing when its module is.

    A missing driver *of* an installed adapter passes through unchanged.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != f"litestar_queues_{name}":
            raise
        raise MissingAdapterError(name) from error
