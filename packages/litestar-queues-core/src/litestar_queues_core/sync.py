"""The blocking form of a service, for sync tasks, sync handlers and scripts with a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, overload

from litestar_queues_core.errors import NoServiceError, WrongLoopError
from litestar_queues_core.joining import session_of, session_of_all
from litestar_queues_core.settlements import (
    CancelOutcome,
    Enqueued,
    JobQuery,
    Page,
    QueueCounts,
)

if TYPE_CHECKING:
    from litestar_queues_core.results import TaskResult
    from litestar_queues_core.service import QueueService
    from litestar_queues_core.task import Task, TaskCall

T = TypeVar("T")


class SyncService:
    """Each method does what the service's method of that name does, and blocks until it is done.

    The work is done by the service's own event loop, which must be running in another thread.
    """

    __slots__ = ("_service",)

    def __init__(self, service: QueueService) -> None:
        self._service = service

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run *work* on the service's loop and return what it returns.

        Raises:
            NoServiceError: The service is not open.
            WrongLoopError: This is the thread of the loop, which would wait for itself.
        """
        loop = self._service.loop
        if loop is None or loop.is_closed():
            work.close()
            raise NoServiceError("the queue service is not open")
        if asyncio._get_running_loop() is loop:
            work.close()
            raise WrongLoopError(
                "the sync form was called on the service's own event loop and would block it; "
                "use the async form here, or call this from a thread"
            )
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    @overload
    def enqueue(self, task: Task[..., T], /, *args: Any, **kwargs: Any) -> TaskResult[T]: ...
    @overload
    def enqueue(self, task: str, /, *args: Any, **kwargs: Any) -> TaskResult[Any]: ...
    def enqueue(
        self, task: Task[..., Any] | str, /, *args: Any, session: Any = None, **kwargs: Any
    ) -> TaskResult[Any]:
        """Enqueue a job; through a blocking *session* in this very thread, in its transaction."""
        definition = self._service.task(task)
        session = session_of(definition, kwargs, session)
        if session is not None:
            return self._service.enqueue_here(definition, args, kwargs, session)
        return self.run(self._service.enqueue(definition, *args, **kwargs))

    def enqueue_many(
        self, calls: Iterable[TaskCall[Any]], *, session: Any = None
    ) -> list[TaskResult[Any]]:
        """Enqueue a batch; with *session* as :meth:`enqueue` does."""
        calls, session = session_of_all(calls, session)
        if session is not None:
            return self._service.enqueue_many_here(calls, session)
        return self.run(self._service.enqueue_many(calls))

    def get(self, job_id: str) -> TaskResult[Any] | None:
        """Return the job of that id."""
        return self.run(self._service.get(job_id))

    def find(self, query: JobQuery | None = None, **filters: Any) -> Page:
        """Return jobs, newest first."""
        return self.run(self._service.find(query, **filters))

    def count(self) -> QueueCounts:
        """Return how many jobs stand where."""
        return self.run(self._service.count())

    def cancel(self, job_id: str, *, running: bool = True) -> CancelOutcome:
        """Cancel one job."""
        return self.run(self._service.cancel(job_id, running=running))

    def cancel_all(
        self, query: JobQuery | None = None, *, running: bool = True, **filters: Any
    ) -> dict[str, CancelOutcome]:
        """Cancel every job that matches."""
        return self.run(self._service.cancel_all(query, running=running, **filters))

    def revive(self, job_id: str) -> TaskResult[Any]:
        """Make a finished job wait again."""
        return self.run(self._service.revive(job_id))

    def revive_all(self, query: JobQuery | None = None, **filters: Any) -> dict[str, Enqueued]:
        """Make every job that matches wait again."""
        return self.run(self._service.revive_all(query, **filters))

    def release_key(self, key: str) -> bool:
        """Free a uniqueness key."""
        return self.run(self._service.release_key(key))

    def wait(
        self, result: TaskResult[T], timeout: float | timedelta | None = None
    ) -> TaskResult[T]:
        """Wait until the job has ended."""
        return self.run(result.wait(timeout))

    def value(self, result: TaskResult[T], timeout: float | timedelta | None = None) -> T:
        """Wait for the job and return what its task returned."""
        return self.run(result.value(timeout))
