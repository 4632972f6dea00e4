"""Enqueueing in transactions that the application has opened, and commits."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Collection,
    Generator,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, ClassVar, TypeVar

from litestar_queues_core.errors import QueueError, SessionError, TransactionRolledBack
from litestar_queues_core.ids import JobId
from litestar_queues_core.model import NewJob
from litestar_queues_core.settlements import Enqueued
from litestar_queues_sql import running
from litestar_queues_sql.database import Texts
from litestar_queues_sql.driver import Connection
from litestar_queues_sql.enqueue import busy, enqueue
from litestar_queues_sql.running import Clock, without_waiting
from litestar_queues_sql.script import Factory
from litestar_queues_sql.sessions import Sessions

T = TypeVar("T")

Taken = tuple[list[Enqueued], set[str]]
"""Answers, and the topics to raise once they have come true."""

NOBODY = "no session: this adapter knows none"

_NAME = "litestar_queues"
_SAVE = f"SAVEPOINT {_NAME}"
_RELEASE = f"RELEASE SAVEPOINT {_NAME}"
_UNDO = f"ROLLBACK TO SAVEPOINT {_NAME}; {_RELEASE}"


class Joining(ABC):
    """Enqueues where somebody else commits: what all systems share.

    Args:
        texts: The statements.
        clock: The clock of the store.
        sessions: How the adapter reaches sessions; without, none is accepted.

    Attributes:
        aborts: Whether an error leaves the caller nothing but a rollback.  Where it does not,
            whatever we write is behind a savepoint, so that nothing is left by halves.
        in_vain: Codes of errors that mean that a key was waited for in vain.
    """

    aborts: ClassVar[bool] = False
    in_vain: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, texts: Texts, clock: Clock, sessions: Sessions | None) -> None:
        self.texts = texts
        self._clock = clock
        self._sessions = sessions
        self._loop = asyncio.get_running_loop()

    @abstractmethod
    def code_of(self, error: BaseException) -> str | None:
        """Return the code of an error after which the connection is as good as before."""
        ...

    @abstractmethod
    def meaning(self, error: Exception) -> Exception:
        """Return what *error* means to the caller; itself if it is the caller's."""
        ...

    @abstractmethod
    def raise_(self, topics: Collection[str]) -> None:
        """Raise topics of what has been committed, on the event loop."""
        ...

    @abstractmethod
    async def wake(
        self, session: Any, connection: Connection, jobs: Sequence[JobId], topics: Collection[str]
    ) -> None:
        """See to it that *topics* are raised once *jobs* have been committed, and only then."""
        ...

    @asynccontextmanager
    async def patience(self, connection: Connection) -> AsyncGenerator[None]:
        """Let waiting for locks have an end in this block, if it had none."""
        yield

    async def prepare(self, connection: Connection) -> None:  # noqa: B027  (some need nothing)
        """Do what comes before all else in a transaction of the caller."""

    @property
    def kinds(self) -> str:
        """What is accepted, in words."""
        return NOBODY if self._sessions is None else self._sessions.kinds

    @property
    def sessions(self) -> Sessions:
        """How the adapter reaches sessions."""
        if self._sessions is None:
            raise SessionError(f"this store takes {NOBODY}")
        return self._sessions

    def accepts(self, session: object) -> bool:
        """Return whether *session* is of a kind that can be written through."""
        return self._sessions is not None and self._sessions.accepts(session)

    async def enqueue(self, session: Any, jobs: Sequence[NewJob]) -> Sequence[Enqueued]:
        """Take *jobs* in the transaction of *session*."""
        if self.sessions.blocks(session):
            raise SessionError(
                f"a blocking session ({type(session).__name__}) would block the event loop: use "
                "service.sync.enqueue(..., session=...) in the thread that the session belongs to"
            )
        return await self._enqueue(session, jobs)

    def enqueue_here(self, session: Any, jobs: Sequence[NewJob]) -> Sequence[Enqueued]:
        """Take *jobs* in the transaction of a blocking *session*, in this thread."""
        if not self.sessions.blocks(session):
            raise SessionError(
                f"service.sync takes blocking sessions, and {type(session).__name__} is used with "
                "await: use `await service.enqueue(..., session=...)` on its event loop"
            )
        return without_waiting(self._enqueue(session, jobs))

    async def _enqueue(self, session: Any, jobs: Sequence[NewJob]) -> Sequence[Enqueued]:
        keyed = [job for job in jobs if job.key is not None]
        plain = [job for job in jobs if job.key is None]
        connection = await self.sessions.connection(session)
        with self.explained():
            await self.prepare(connection)
            answers, topics = await self._take_keyed(connection, keyed)
            if plain:
                taken, lanes = await self._take(connection, partial(enqueue, plain))
                answers, topics = [*answers, *taken], topics | lanes
            if topics:
                created = [one.id for one in answers if one.created]
                await self.wake(session, connection, created, topics)
        by_request = dict(zip([job.id for job in (*keyed, *plain)], answers, strict=True))
        return [by_request[job.id] for job in jobs]

    async def _take(self, connection: Connection, script: Factory[T]) -> tuple[T, set[str]]:
        if self.aborts:
            return await self.run(connection, script)
        return await self._behind_savepoint(connection, partial(self.run, connection, script))

    async def _take_keyed(self, connection: Connection, jobs: Sequence[NewJob]) -> Taken:
        """Take jobs behind a savepoint, since a key may be waited for in vain."""
        if not jobs:
            return [], set()

        async def take() -> Taken:
            async with self.patience(connection):
                return await self.run(connection, partial(enqueue, jobs))

        try:
            return await self._behind_savepoint(connection, take)
        except Exception as error:
            if self.code_of(error) not in self.in_vain:
                raise
            if len(jobs) == 1:
                return [busy(jobs[0], error)], set()
        each = [await self._take_keyed(connection, [job]) for job in jobs]
        return [one for some, _ in each for one in some], {one for _, some in each for one in some}

    async def _behind_savepoint(
        self, connection: Connection, operation: Callable[[], Awaitable[T]]
    ) -> T:
        """Do something such that an error undoes all of it, and no more."""
        await connection.run(_SAVE)
        try:
            done = await operation()
        except Exception as error:
            if self.can_go_on(connection, error):
                await self._undo(connection, error)
            raise
        await connection.run(_RELEASE)
        return done

    async def _undo(self, connection: Connection, cause: Exception) -> None:
        try:
            await connection.run(_UNDO)
        except Exception as error:
            if self.code_of(error) is None:
                raise
            raise TransactionRolledBack(str(cause)) from cause  # servers can be told to

    def can_go_on(self, connection: Connection, error: BaseException) -> bool:
        """Return whether the transaction, and what was written before *error*, still stands."""
        return isinstance(error, QueueError) or self.code_of(error) is not None

    async def run(self, connection: Connection, script: Factory[T]) -> tuple[T, set[str]]:
        """Run a script; return its result, and the topics to raise once that is committed."""
        return await running.run(script(), connection, self.texts, self._clock)

    @contextmanager
    def explained(self) -> Generator[None]:
        """Say what errors of the database mean."""
        try:
            yield
        except QueueError:
            raise
        except Exception as error:
            meant = self.meaning(error)
            if meant is error:
                raise
            raise meant from error

    def later(self, topics: Collection[str]) -> Callable[[], None]:
        """Return what raises *topics*, called in any thread."""

        def call() -> None:
            try:
                self._loop.call_soon_threadsafe(self.raise_, topics)
            except RuntimeError:  # the loop has been closed; workers elsewhere look by themselves
                return

        return call
