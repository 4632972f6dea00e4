"""The client side of a queue: a service that is opened, enqueues, and looks after its jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Any, Self, TypeVar, overload

from litestar_queues_core.abilities import check_abilities, require
from litestar_queues_core.asking import Enqueuer, ask
from litestar_queues_core.choices import backend_of, executor_name
from litestar_queues_core.coalescer import Coalescer
from litestar_queues_core.config import QueueConfig
from litestar_queues_core.context import in_own_transaction
from litestar_queues_core.current import service_closed, service_opened
from litestar_queues_core.dependencies import DependencyProvider
from litestar_queues_core.discovery import import_task_modules
from litestar_queues_core.errors import EnqueueManyError, NoServiceError, UnknownTaskError
from litestar_queues_core.ids import JobId, new_job_id, new_job_ids
from litestar_queues_core.immediate import is_immediate, run_immediately
from litestar_queues_core.joining import in_time, joined, session_of, session_of_all
from litestar_queues_core.management import Management
from litestar_queues_core.model import Job, NewJob
from litestar_queues_core.protocols import Serializer, SupportsKeys
from litestar_queues_core.publishing import Announcements, Publisher, enqueued, publishers_of
from litestar_queues_core.registry import Registry, default_registry
from litestar_queues_core.requests import RequestSettings, decode_result, new_job, split_options
from litestar_queues_core.results import TaskResult
from litestar_queues_core.serializer import JsonSerializer
from litestar_queues_core.settlements import Enqueued
from litestar_queues_core.sync import SyncService
from litestar_queues_core.task import Task, TaskCall

R = TypeVar("R")

BATCH = 1000


class QueueService(Management):
    """A queue, opened: ``async with QueueService(config) as service``.

    It belongs to the event loop that opened it; other threads use :attr:`sync`.

    Args:
        config: What to open.
        dependencies: Provides parameters of tasks at run time.
        registry: Where tasks are looked up by name.

    Attributes:
        store: The store, while the service is open.
        loop: The event loop it belongs to, while it is open.
        publisher: Where events go.
        announcements: Where events go that no settlement carries.
        settings: How requests are made into jobs.

    Raises:
        TypeError: *config* is no :class:`QueueConfig`.
    """

    publisher: Publisher

    def __init__(
        self,
        config: QueueConfig,
        *,
        dependencies: DependencyProvider | None = None,
        registry: Registry = default_registry,
    ) -> None:
        if not isinstance(config, QueueConfig):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"QueueService() takes a QueueConfig(...), not {config!r}")
        super().__init__()
        self.config: QueueConfig = config
        self.dependencies: DependencyProvider | None = dependencies
        self.registry: Registry = registry
        self.sync: SyncService = SyncService(self)
        self.serializer: Serializer = config.serializer or JsonSerializer()
        self.settings: RequestSettings = RequestSettings(
            serializer=self.serializer,
            max_payload=config.max_payload,
            default_timeout=config.default_timeout,
            default_execution_backend=executor_name(config.execution_backend),
            injected_for=dependencies.names if dependencies else None,
        )
        self._resources = AsyncExitStack()

    async def __aenter__(self) -> Self:
        if self.loop is not None:
            raise NoServiceError("this queue service is open already; make another one")
        import_task_modules(self.config.task_modules)
        backend = backend_of(self.config)
        self.loop = asyncio.get_running_loop()
        try:
            self.store = await self._resources.enter_async_context(backend.open())
            check_abilities(self.store, self.config, self.registry)
            self.publisher, history = publishers_of(self.config.event_config, self.store)
        except BaseException:
            self.loop = None
            await self._resources.aclose()
            raise
        self._enqueuer = Enqueuer(self.store)
        self._coalescer = Coalescer(self._enqueuer.enqueue)
        self.announcements = Announcements(self.publisher, history)
        service_opened(self)
        return self

    async def __aexit__(self, *exc: object) -> None:
        service_closed(self)
        try:
            await self._coalescer.drain()
            await self.announcements.drain()
        finally:
            await self._resources.aclose()
            self.loop = None

    @overload
    async def enqueue(self, task: Task[..., R], /, *args: Any, **kwargs: Any) -> TaskResult[R]: ...
    @overload
    async def enqueue(self, task: str, /, *args: Any, **kwargs: Any) -> TaskResult[Any]: ...
    async def enqueue(
        self, task: Task[..., Any] | str, /, *args: Any, session: Any = None, **kwargs: Any
    ) -> TaskResult[Any]:
        """Persist a request to run *task* with these arguments.

        Keywords that are options (``key``, ``priority``, ``queue``, ``run_at``, ``run_after``,
        ``expires_in``, ``expires_at``, ``retries``, ``timeout``, ``quiet_success``,
        ``execution_backend``, ``execution_profile``, ``description``, ``log_level``, ``headers``,
        ``session``) are taken as such unless the task has a parameter of that name; then use
        :meth:`Task.using`. A cancelled call may have enqueued the job all the same.

        Returns:
            A handle; ``created`` is false if the job of an earlier call holds the key.

        Raises:
            TypeError: It is no task, or the arguments do not fit it.
            PayloadError: An argument cannot be encoded.
            UnknownTaskError: No task has that name.
            KeyConflictError: A job of another task holds the key.
            EnqueueUnknown: The store did not say within 30 seconds whether it took the job.
            SessionError: The session cannot be written through; the message names the fix.
        """
        self.check_loop()
        definition = self.task(task)
        session = session_of(definition, kwargs, session)
        job = self._request(definition, args, kwargs)
        if session is not None:
            (answer,) = await in_time(joined(self.store, session).enqueue_in(session, [job]))
        elif self.config.coalesce and not in_own_transaction():  # SQLite has to see who asks
            answer = await self._coalescer.enqueue(job)
        else:
            (answer,) = await self._enqueuer.enqueue([job])
        if answer.error is None and session is None:
            await self._created([job], [answer])
        return self._taken(answer)

    async def enqueue_many(
        self, calls: Iterable[TaskCall[Any]], *, session: Any = None
    ) -> list[TaskResult[Any]]:
        """Enqueue a batch of ``task.call(...)``, in as few round trips as possible.

        Nothing is enqueued if the arguments of any call are wrong.

        Raises:
            TypeError: One is no call, or its arguments do not fit.
            EnqueueManyError: Some were not taken; it says which, and has the handles of the rest.
            SessionError: The session cannot be written through; the message names the fix.
        """
        self.check_loop()
        calls, session = session_of_all(calls, session)
        jobs = self._requests(calls)
        answers: list[Enqueued] = []
        for batch in _batches(jobs):
            if session is not None:
                answers += await in_time(joined(self.store, session).enqueue_in(session, batch))
            else:
                answers += await self._enqueuer.enqueue(batch)
        if session is None:
            await self._created(jobs, answers)
        return self._all_taken(answers)

    def enqueue_here(
        self, task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], session: Any
    ) -> TaskResult[Any]:
        """Enqueue through a blocking session in the calling thread, for :attr:`sync`."""
        self._check_open()
        job = self._request(task, args, kwargs)
        (answer,) = joined(self.store, session).enqueue_in_sync(session, [job])
        return self._taken(answer)

    def enqueue_many_here(
        self, calls: Sequence[TaskCall[Any]], session: Any
    ) -> list[TaskResult[Any]]:
        """Enqueue a batch through a blocking session in the calling thread."""
        self._check_open()
        jobs = self._requests(calls)
        store = joined(self.store, session)
        return self._all_taken(
            [one for batch in _batches(jobs) for one in store.enqueue_in_sync(session, batch)]
        )

    def _taken(self, answer: Enqueued) -> TaskResult[Any]:
        if answer.error is not None:
            raise answer.error
        return TaskResult(self, answer.id, status=answer.status, created=answer.created)

    def _all_taken(self, answers: Sequence[Enqueued]) -> list[TaskResult[Any]]:
        results: list[TaskResult[Any]] = [
            TaskResult(self, one.id, one.status, one.created) for one in answers
        ]
        errors = {place: one.error for place, one in enumerate(answers) if one.error}
        if errors:
            raise EnqueueManyError(errors, results)
        return results

    async def get(self, job_id: str) -> TaskResult[Any] | None:
        """Return the job of that id, finished or not; ``None`` if it is not known (any more)."""
        self.check_loop()
        (job,) = await ask(self.store.get([JobId(job_id)]))
        return self._result(job) if job else None

    async def revive(self, job_id: str) -> TaskResult[Any]:
        """Make a finished job wait again, with all its attempts.

        Raises:
            QueueError: It is not finished, or not known.
        """
        (answer,) = await self.revive_many([job_id])
        return self._taken(answer)

    def task(self, task: Task[..., Any] | str) -> Task[..., Any]:
        """Return the task, which may be named.

        Raises:
            TypeError: It is neither a task nor a name.
            UnknownTaskError: No task has that name.
        """
        if isinstance(task, Task):
            return task
        if not isinstance(task, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"{task!r} is not a task; decorate it with @task")
        return self.registry.get(task)

    def decode_result(self, job: Job) -> object:
        """Return what the task of *job* returned, as it is annotated."""
        try:
            definition: Task[..., Any] | None = self.registry.get(job.task)
        except UnknownTaskError:
            definition = None
        return decode_result(definition, job.details.result, self.serializer)

    def _request(
        self, task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> NewJob:
        options, kwargs = split_options(task, kwargs)
        job = new_job(task, args, kwargs, options, job_id=new_job_id(), settings=self.settings)
        self._check_key(job)
        return job

    def _requests(self, calls: Sequence[TaskCall[Any]]) -> list[NewJob]:
        settings = self.settings
        ids = new_job_ids(len(calls))
        jobs = [
            new_job(call.task, call.args, call.kwargs, None, job_id=job_id, settings=settings)
            for call, job_id in zip(calls, ids, strict=True)
        ]
        if not isinstance(self.store, SupportsKeys):
            for job in jobs:
                self._check_key(job)
        return jobs

    def _check_key(self, job: NewJob) -> None:
        if job.key is not None:
            require(self.store, SupportsKeys, "key= or unique_by=")

    def payload(self, task: Task[..., Any], *args: Any, **kwargs: Any) -> bytes:
        """Return the encoded arguments that a job of *task* would have."""
        return self._request(task, args, kwargs).payload

    def _check_open(self) -> None:
        if self.loop is None:
            raise NoServiceError("the queue service is not open")

    async def _created(self, jobs: Sequence[NewJob], answers: Sequence[Enqueued]) -> None:
        """Do what follows once jobs are there for all to see."""
        if self.announcements.enabled:
            self.announcements.emit(enqueued(jobs, answers))
        for queue in {job.spec.queue for job in jobs if is_immediate(job)}:
            await run_immediately(self, queue)

    def _result(self, job: Job) -> TaskResult[Any]:
        return TaskResult(self, job.id, status=job.status, created=False, job=job)


def _batches(jobs: Sequence[NewJob]) -> Iterator[Sequence[NewJob]]:
    for start in range(0, len(jobs), BATCH):
        yield jobs[start : start + BATCH]
