"""The client side of a queue: enqueue, look, cancel, revive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, Self, TypeVar, overload

from litestar_queues_core.abilities import check_abilities, require
from litestar_queues_core.asking import Enqueuer, ask
from litestar_queues_core.choices import backend_of, executor_name
from litestar_queues_core.coalescer import Coalescer
from litestar_queues_core.config import QueueConfig
from litestar_queues_core.current import service_closed, service_opened
from litestar_queues_core.dependencies import DependencyProvider
from litestar_queues_core.discovery import import_task_modules
from litestar_queues_core.errors import (
    EnqueueManyError,
    NoServiceError,
    UnknownTaskError,
    WrongLoopError,
)
from litestar_queues_core.ids import JobId, new_job_id, new_job_ids
from litestar_queues_core.immediate import is_immediate, run_immediately
from litestar_queues_core.model import Event, Job, NewJob
from litestar_queues_core.protocols import (
    Serializer,
    Store,
    SupportsBrowse,
    SupportsEventLog,
    SupportsKeys,
    SupportsTransactions,
)
from litestar_queues_core.publishing import (
    Announcements,
    Publisher,
    cancelled,
    enqueued,
    publishers_of,
)
from litestar_queues_core.registry import Registry, default_registry
from litestar_queues_core.requests import RequestSettings, decode_result, new_job, split_options
from litestar_queues_core.results import TaskResult
from litestar_queues_core.serializer import JsonSerializer
from litestar_queues_core.settlements import (
    CancelOutcome,
    Enqueued,
    JobQuery,
    Page,
    QueueCounts,
)
from litestar_queues_core.sync import SyncService
from litestar_queues_core.task import Task, TaskCall

R = TypeVar("R")

BATCH = 1000


class QueueService:
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
    """

    store: Store
    publisher: Publisher
    announcements: Announcements

    def __init__(
        self,
        config: QueueConfig,
        *,
        dependencies: DependencyProvider | None = None,
        registry: Registry = default_registry,
    ) -> None:
        self.config = config
        self.dependencies = dependencies
        self.registry = registry
        self.loop: asyncio.AbstractEventLoop | None = None
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
            check_abilities(self.store, self.config)
        except BaseException:
            self.loop = None
            await self._resources.aclose()
            raise
        self._enqueuer = Enqueuer(self.store)
        self._coalescer = Coalescer(self._enqueuer.enqueue)
        self.publisher, history = publishers_of(self.config.event_config, self.store)
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

    def check_loop(self) -> None:
        """Check that the caller may use this service here.

        Raises:
            NoServiceError: It is not open.
            WrongLoopError: It belongs to another event loop.
        """
        if self.loop is asyncio._get_running_loop() is not None:
            return
        if self.loop is None:
            raise NoServiceError(
                "the queue service is not open; use it inside 'async with service:'"
            )
        raise WrongLoopError(
            "the queue service belongs to another event loop; "
            "use service.sync from other threads, or open a service of this loop's own"
        )

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
            TypeError: The arguments do not fit the task.
            PayloadError: An argument cannot be encoded.
            UnknownTaskError: No task has that name.
            KeyConflictError: A job of another task holds the key.
            EnqueueUnknown: The store did not say within 30 seconds whether it took the job.
        """
        self.check_loop()
        definition = self.task(task)
        if session is not None and definition.has_parameter("session"):
            kwargs["session"], session = session, None
        job = self._request(definition, args, kwargs)
        if session is not None:
            (answer,) = await self._transactions(session).enqueue_in(session, [job])
        elif self.config.coalesce:
            answer = await self._coalescer.enqueue(job)
        else:
            (answer,) = await self._enqueuer.enqueue([job])
        if answer.error is not None:
            raise answer.error
        self._announce([job], [answer])
        if is_immediate(job) and session is None:
            await run_immediately(self, job.spec.queue)
        return TaskResult(self, answer.id, status=answer.status, created=answer.created)

    async def enqueue_many(
        self, calls: Iterable[TaskCall[Any]], *, session: Any = None
    ) -> list[TaskResult[Any]]:
        """Enqueue a batch of ``task.call(...)``, in as few round trips as possible.

        Nothing is enqueued if the arguments of any call are wrong.

        Raises:
            EnqueueManyError: Some were not taken; it says which, and has the handles of the rest.
        """
        self.check_loop()
        jobs = self._requests(list(calls))
        answers: list[Enqueued] = []
        for start in range(0, len(jobs), BATCH):
            batch = jobs[start : start + BATCH]
            if session is not None:
                answers += await self._transactions(session).enqueue_in(session, batch)
            else:
                answers += await self._enqueuer.enqueue(batch)
        self._announce(jobs, answers)
        results: list[TaskResult[Any]] = [
            TaskResult(self, one.id, one.status, one.created) for one in answers
        ]
        if session is None:
            for queue in {job.spec.queue for job in jobs if is_immediate(job)}:
                await run_immediately(self, queue)
        errors = {place: one.error for place, one in enumerate(answers) if one.error}
        if errors:
            raise EnqueueManyError(errors, results)
        return results

    async def get(self, job_id: str) -> TaskResult[Any] | None:
        """Return the job of that id, finished or not; ``None`` if it is not known (any more)."""
        self.check_loop()
        (job,) = await ask(self.store.get([JobId(job_id)]))
        return self._result(job) if job else None

    async def find(self, query: JobQuery | None = None, **filters: Any) -> Page:
        """Return jobs, newest first.

        Args:
            **filters: The fields of a query, instead of one.
            query: What to find; or give its fields by name: ``status``, ``queue``, ``task``,
                ``key``, ``text``, ``limit``, ``cursor``.
        """
        self.check_loop()
        return await ask(
            require(self.store, SupportsBrowse, "find()").find(query or JobQuery(**filters))
        )

    async def find_all(self, query: JobQuery) -> AsyncGenerator[Job]:
        """Yield every job that matches, page by page."""
        cursor = query.cursor
        while True:
            page = await self.find(replace(query, cursor=cursor))
            for job in page.jobs:
                yield job
            if (cursor := page.cursor) is None:
                return

    async def count(self) -> QueueCounts:
        """Return how many jobs stand where, and which workers live."""
        self.check_loop()
        return await ask(require(self.store, SupportsBrowse, "count()").count())

    async def cancel(self, job_id: str, *, running: bool = True) -> CancelOutcome:
        """Cancel one job.

        Args:
            job_id: The job.
            running: Whether a running job is asked to stop too.
        """
        (outcome,) = await self.cancel_many([job_id], running=running)
        return outcome

    async def cancel_many(
        self, job_ids: Sequence[str], *, running: bool = True
    ) -> Sequence[CancelOutcome]:
        """Cancel jobs; one outcome each, in order."""
        self.check_loop()
        ids = [JobId(one) for one in job_ids]
        before = await ask(self.store.get(ids)) if self.announcements.enabled else ()
        outcomes = await ask(self.store.cancel(ids, running=running))
        if self.announcements.enabled:
            self.announcements.emit(cancelled(before, outcomes))
        return outcomes

    async def revive(self, job_id: str) -> TaskResult[Any]:
        """Make a finished job wait again, with all its attempts.

        Raises:
            QueueError: It is not finished, or not known.
        """
        (answer,) = await self.revive_many([job_id])
        if answer.error is not None:
            raise answer.error
        return TaskResult(self, answer.id, status=answer.status, created=answer.created)

    async def revive_many(self, job_ids: Sequence[str]) -> Sequence[Enqueued]:
        """Revive jobs; one answer each, in order."""
        self.check_loop()
        store = require(self.store, SupportsBrowse, "revive()")
        return await ask(store.revive([JobId(one) for one in job_ids]))

    async def release_key(self, key: str) -> bool:
        """Free a uniqueness key, whatever its rule; whether it was held."""
        self.check_loop()
        store = require(self.store, SupportsKeys, "release_key()")
        (held,) = await ask(store.release_keys([key]))
        return held

    async def iter_events(self, job_id: str | None = None, **filters: str) -> AsyncGenerator[Event]:
        """Yield the stored events of one job, or those that match, oldest first."""
        self.check_loop()
        store = require(self.store, SupportsEventLog, "iter_events()")
        wanted = filters | ({"job": job_id} if job_id else {})
        cursor: str | None = None
        while True:
            events, cursor = await ask(store.read_events(wanted, after=cursor, limit=500))
            for event in events:
                yield event
            if not events or cursor is None:
                return

    def task(self, task: Task[..., Any] | str) -> Task[..., Any]:
        """Return the task, which may be named.

        Raises:
            UnknownTaskError: No task has that name.
        """
        return task if isinstance(task, Task) else self.registry.get(task)

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

    def _transactions(self, session: object) -> SupportsTransactions:
        store = require(self.store, SupportsTransactions, "session=")
        if not store.accepts(session):
            raise TypeError(f"{type(self.store).__name__} cannot write through {session!r}")
        return store

    def _announce(self, jobs: Sequence[NewJob], answers: Sequence[Enqueued]) -> None:
        if self.announcements.enabled:
            self.announcements.emit(enqueued(jobs, answers))

    def _result(self, job: Job) -> TaskResult[Any]:
        return TaskResult(self, job.id, status=job.status, created=False, job=job)
