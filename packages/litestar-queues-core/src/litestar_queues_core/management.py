"""Looking at the jobs that are there, and changing where they stand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from litestar_queues_core.abilities import require
from litestar_queues_core.asking import ask
from litestar_queues_core.errors import NoServiceError, WrongLoopError
from litestar_queues_core.ids import JobId
from litestar_queues_core.model import Event, Job
from litestar_queues_core.protocols import Store, SupportsBrowse, SupportsEventLog, SupportsKeys
from litestar_queues_core.publishing import Announcements, cancelled
from litestar_queues_core.queries import cancellable, checked_query, revivable
from litestar_queues_core.settlements import CancelOutcome, Enqueued, JobQuery, Page, QueueCounts

T = TypeVar("T")

Progress = Callable[[int], object]


class Management:
    """What a queue service does with jobs, besides enqueueing them.

    Attributes:
        store: The store, while the service is open.
        loop: The event loop it belongs to, while it is open.
        announcements: Where events go that no settlement carries.
    """

    store: Store
    announcements: Announcements

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None

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

    async def find(self, query: JobQuery | None = None, **filters: Any) -> Page:
        """Return jobs, newest first.

        Args:
            **filters: The fields of a query, instead of one.
            query: What to find; or give its fields by name: ``status`` (one or several),
                ``queue``, ``task``, ``key``, ``text``, ``limit``, ``cursor``.

        Raises:
            ConfigError: A field has a value that cannot be looked for.
        """
        self.check_loop()
        store = require(self.store, SupportsBrowse, "find()")
        return await ask(store.find(checked_query(query, filters)))

    async def find_all(self, query: JobQuery | None = None, **filters: Any) -> AsyncGenerator[Job]:
        """Yield every job that matches, page by page; ``limit`` is the size of a page."""
        async for jobs in self._pages(checked_query(query, filters)):
            for job in jobs:
                yield job

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

    async def cancel_all(
        self,
        query: JobQuery | None = None,
        *,
        running: bool = True,
        progress: Progress | None = None,
        **filters: Any,
    ) -> dict[str, CancelOutcome]:
        """Cancel every job that matches, page by page, and return what it did with each, by id.

        Args:
            query: Which jobs; if it names no status, all that have not ended.
            running: Whether running jobs are asked to stop too.
            progress: Called after each page with the number of its jobs.
            **filters: The fields of a query, instead of one.
        """

        async def act(ids: Sequence[str]) -> Sequence[CancelOutcome]:
            return await self.cancel_many(ids, running=running)

        return await self._change(cancellable(checked_query(query, filters)), act, progress)

    async def revive_many(self, job_ids: Sequence[str]) -> Sequence[Enqueued]:
        """Revive jobs; one answer each, in order."""
        self.check_loop()
        store = require(self.store, SupportsBrowse, "revive()")
        return await ask(store.revive([JobId(one) for one in job_ids]))

    async def revive_all(
        self, query: JobQuery | None = None, *, progress: Progress | None = None, **filters: Any
    ) -> dict[str, Enqueued]:
        """Revive every job that matches, page by page, and return the answers by id.

        Args:
            query: Which jobs; if it names no status, all that have failed.
            progress: Called after each page with the number of its jobs.
            **filters: The fields of a query, instead of one.
        """
        found = revivable(checked_query(query, filters))
        return await self._change(found, self.revive_many, progress)

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

    async def _pages(self, query: JobQuery) -> AsyncGenerator[Sequence[Job]]:
        cursor = query.cursor
        while True:
            page = await self.find(replace(query, cursor=cursor))
            if page.jobs:
                yield page.jobs
            if (cursor := page.cursor) is None:
                return

    async def _change(
        self,
        query: JobQuery,
        act: Callable[[Sequence[str]], Awaitable[Sequence[T]]],
        progress: Progress | None,
    ) -> dict[str, T]:
        done: dict[str, T] = {}
        async for jobs in self._pages(query):
            ids = [job.id for job in jobs]
            done.update(zip(ids, await act(ids), strict=True))
            if progress is not None:
                progress(len(ids))
        return done
