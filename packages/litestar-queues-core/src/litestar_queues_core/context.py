"""What a running task knows of itself, and can say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Generator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from litestar_queues_core.control import Snooze
from litestar_queues_core.errors import NotInTaskError, TransactionError
from litestar_queues_core.model import Event, Job, Progress

if TYPE_CHECKING:
    from litestar_queues_core.completion import Completion
    from litestar_queues_core.service import QueueService
    from litestar_queues_core.task import Task

_current: ContextVar[TaskExecutionContext] = ContextVar("task_execution_context")
_shared: dict[asyncio.Task[Any], TaskExecutionContext] = {}


class Reporter(Protocol):
    """Carries what a running task says to the store and the sinks."""

    @property
    def enabled(self) -> bool:
        """Whether anybody wants to hear of events."""
        ...

    def now_ms(self) -> int:
        """Return the time that events carry."""
        ...

    def progress(self, context: TaskExecutionContext, value: bytes) -> None:
        """Let the store have the latest progress soon."""
        ...

    async def publish(self, context: TaskExecutionContext, event: Event) -> None:
        """Publish *event*."""
        ...

    def transaction(self, context: TaskExecutionContext) -> AbstractAsyncContextManager[Any]:
        """Open a transaction in which the attempt completes itself."""
        ...


def get_current_task_context() -> TaskExecutionContext:
    """Return the context of the task that is running here, however deep in its call stack.

    Raises:
        NotInTaskError: No task is running here.
    """
    context = _find_context()
    if context is None:
        raise NotInTaskError("no task is running here; this works inside a task only")
    return context


def in_own_transaction() -> bool:
    """Return whether this is inside of the block of ``ctx.transaction()``."""
    context = _find_context()
    return context is not None and context.completion is not None and context.completion.open


def _find_context() -> TaskExecutionContext | None:
    if _shared and (task := _running_task()) is not None and task in _shared:
        return _shared[task]
    return _current.get(None)


def _running_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


@contextmanager
def run_shared(context: TaskExecutionContext) -> Generator[None]:
    """Let the running asyncio task find *context*, though it shares its context variables."""
    task = asyncio.current_task()
    if task is None:
        raise NotInTaskError("no asyncio task is running here")
    _shared[task] = context
    try:
        yield
    finally:
        del _shared[task]


class TaskExecutionContext:
    """One attempt of one job, seen from its code.

    Attributes:
        job: The job as it was claimed.
        worker: Name of the worker.
        service: The queue service, for enqueueing more.
        state: What ``WorkerConfig.lifespan`` has opened.
        definition: The task that is run.
        completion: The latest transaction of its own.
        stopping: Whether the attempt was told to stop.
        noticed: Whether its code has looked at ``is_cancelled`` since, and so knows.
    """

    __slots__ = (
        "_reporter",
        "_sequence",
        "completion",
        "definition",
        "job",
        "noticed",
        "service",
        "state",
        "stopping",
        "worker",
    )

    def __init__(  # noqa: PLR0917  (built once per job: keywords cost three times as much)
        self,
        job: Job,
        definition: Task[..., Any],
        worker: str,
        service: QueueService,
        reporter: Reporter,
        state: Any = None,
    ) -> None:
        self.job: Job = job
        self.definition: Task[..., Any] = definition
        self.worker: str = worker
        self.service: QueueService = service
        self.state: Any = state
        self._reporter = reporter
        self._sequence = 0
        self.completion: Completion | None = None
        self.stopping: bool = False
        self.noticed: bool = False

    def __repr__(self) -> str:
        return f"<{self.task} {self.id}, attempt {self.attempt}, delivery {self.delivery}>"

    @property
    def id(self) -> str:
        """The job's id."""
        return self.job.id

    @property
    def task(self) -> str:
        """Name of the task."""
        return self.job.task

    @property
    def queue(self) -> str:
        """Name of the queue."""
        return self.job.queue

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1; only failures and timeouts count."""
        return self.job.attempt + 1

    @property
    def delivery(self) -> int:
        """How often the job has been handed out.

        With the id it fences what this delivery writes to data of your own; towards others
        the id alone is the idempotency key, because it stays the same.
        """
        return self.job.delivery

    @property
    def headers(self) -> Mapping[str, str]:
        """What the producer sent along."""
        return self.job.headers

    @property
    def is_cancelled(self) -> bool:
        """Whether this attempt should stop: cancelled, timed out, shut down or lost.

        Async tasks are interrupted besides; a thread must look at this.  Code that has seen it
        true and then returns counts as stopped, not as completed.
        """
        self.noticed = self.stopping
        return self.stopping

    def stop(self) -> None:
        """Let ``is_cancelled`` be true from now on."""
        self.stopping = True

    @property
    def sync(self) -> SyncContext:
        """The same for sync tasks: each call returns when it is done."""
        return SyncContext(self)

    async def progress(
        self,
        current: float | None = None,
        total: float | None = None,
        message: str | None = None,
        payload: Mapping[str, object] | None = None,
    ) -> None:
        """Say how far the job has come; kept on its record and published."""
        progress = Progress(current=current, total=total, message=message)
        self._reporter.progress(self, encode_progress(progress))
        await self._publish("task.progress", message=message, progress=progress, payload=payload)

    async def log(
        self, message: str, level: str = "info", payload: Mapping[str, object] | None = None
    ) -> None:
        """Publish a line about this attempt."""
        await self._publish("task.log", level=level, message=message, payload=payload)

    async def event(
        self,
        type: str,  # noqa: A002  (the field's name in the event contract)
        message: str | None = None,
        payload: Mapping[str, object] | None = None,
    ) -> None:
        """Publish an event of the task's own."""
        await self._publish(type, message=message, payload=payload)

    def snooze(self, seconds: float | timedelta) -> NoReturn:
        """Stop here and run the job later; no attempt is consumed."""
        raise Snooze(seconds)

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        """Make the task's own writes and the job's completion one transaction, once per attempt.

        ``async with ctx.transaction() as session:`` gives a session of the store's database.  If
        the block ends without an error the job is completed and the transaction committed: both
        or neither, and only while this delivery still holds the job.  What the code does then
        changes nothing about the job: a returned value is ignored, an exception is logged.  If
        the block raises, all is rolled back, and the attempt goes on as any other.

        Raises:
            MissingAbilityError: The store does not share a database with the application.
            TransactionError: The task is not async, its job is completed already, or sessions of
                the store block.
            LeaseLost: The job belongs to another worker by now; all was rolled back.
        """
        if not self.definition.is_async:
            raise TransactionError(
                f"ctx.transaction() works in async tasks only: make {self.task!r} an `async def`"
            )
        return self._reporter.transaction(self)

    def set_result(self, value: object) -> None:
        """Let *value* be the job's result, inside the block of :meth:`transaction`.

        Raises:
            TransactionError: No such block is open; elsewhere a task returns its result.
            PayloadError: The value cannot be encoded.
        """
        if self.completion is None or not self.completion.open:
            raise TransactionError(
                "ctx.set_result() works inside a block of ctx.transaction() only; elsewhere, "
                "return the result"
            )
        self.completion.set_result(value)

    async def _publish(self, type: str, **fields: Any) -> None:  # noqa: A002
        if self._reporter.enabled:
            await self._reporter.publish(self, self.make_event(type, **fields))

    def make_event(self, type: str, **fields: Any) -> Event:  # noqa: A002
        """Return an event of this attempt, with the next sequence number."""
        self._sequence += 1
        return Event(
            job_id=self.job.id,
            type=type,
            task=self.task,
            queue=self.queue,
            occurred_ms=self._reporter.now_ms(),
            worker=self.worker,
            attempt=self.attempt,
            delivery=self.delivery,
            sequence=self._sequence,
            **fields,
        )

    def enter(self) -> None:
        """Be the current context of this execution context from now on."""
        _current.set(self)


class SyncContext:
    """The blocking form of a context, for tasks that run in a thread."""

    __slots__ = ("_context",)

    def __init__(self, context: TaskExecutionContext) -> None:
        self._context = context

    def progress(self, *args: Any, **kwargs: Any) -> None:
        """Say how far the job has come; arguments as in the async form."""
        self._context.service.sync.run(self._context.progress(*args, **kwargs))

    def log(self, *args: Any, **kwargs: Any) -> None:
        """Publish a line about this attempt; arguments as in the async form."""
        self._context.service.sync.run(self._context.log(*args, **kwargs))

    def event(self, *args: Any, **kwargs: Any) -> None:
        """Publish an event of the task's own; arguments as in the async form."""
        self._context.service.sync.run(self._context.event(*args, **kwargs))


def encode_progress(progress: Progress) -> bytes:
    """Return *progress* as the bytes that stores keep."""
    fields = {"current": progress.current, "total": progress.total, "message": progress.message}
    return json.dumps({name: value for name, value in fields.items() if value is not None}).encode()


def decode_progress(data: bytes | None) -> Progress | None:
    """Return the progress that a store has kept."""
    return Progress(**json.loads(data)) if data else None
