"""Writing in transactions that the application has opened, or that it shares."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, TypeVar

from litestar_queues_core.errors import QueueError, SessionError, StoreError
from litestar_queues_core.ids import LeaseId
from litestar_queues_core.model import NewJob
from litestar_queues_core.settlements import Enqueued, Settlement
from litestar_queues_sql.completing import settle_last
from litestar_queues_sql.driver import Connection
from litestar_queues_sql.enqueue import enqueue
from litestar_queues_sql.postgres.database import PostgresDatabase
from litestar_queues_sql.postgres.enqueue import busy
from litestar_queues_sql.postgres.errors import state_of, translated
from litestar_queues_sql.postgres.notifier import TELL, Notifier, payloads
from litestar_queues_sql.running import run, without_waiting
from litestar_queues_sql.script import Factory
from litestar_queues_sql.sessions import Sessions

T = TypeVar("T")

NOBODY = "no session: this adapter knows none"
ORIGIN = "transaction"

_NAME = "litestar_queues"
_SAVE = f"SAVEPOINT {_NAME}"
_RELEASE = f"RELEASE SAVEPOINT {_NAME}"
_UNDO = f"ROLLBACK TO SAVEPOINT {_NAME}; {_RELEASE}"
_LOCK_TIMEOUT = "SELECT current_setting('lock_timeout')"
_SET_LOCK_TIMEOUT = "SELECT set_config('lock_timeout', $1, true)"
LONGEST_WAIT = "5s"
_LAST = """
    SET LOCAL lock_timeout = '5s';
    SET LOCAL idle_in_transaction_session_timeout = '10s'
"""
"""From here to the commit the lease is locked, so a client that falls silent is cut off."""

_SERIALIZATION, _ABORTED = "40001", "25P02"
_IN_VAIN = {"55P03", "40P01"}


class Transactions:
    """Enqueues and settles where somebody else commits.

    Args:
        database: The database.
        sessions: How the adapter reaches sessions; without, none is accepted.
        notifier: Wakes workers.
    """

    def __init__(
        self, database: PostgresDatabase, sessions: Sessions | None, notifier: Notifier
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._notifier = notifier
        self._loop = asyncio.get_running_loop()
        self._topics: dict[int, set[str]] = {}

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
        connection = await self.sessions.connection(session)
        keyed = [job for job in jobs if job.key is not None]
        plain = [job for job in jobs if job.key is None]
        with self._explained():
            answers, topics = await self._take_keyed(connection, keyed)
            if plain:
                taken, lanes = await self._run(connection, partial(enqueue, plain))
                answers, topics = [*answers, *taken], topics | lanes
            await self._wake(session, connection, topics)
        by_request = dict(zip([job.id for job in (*keyed, *plain)], answers, strict=True))
        return [by_request[job.id] for job in jobs]

    async def _take_keyed(
        self, connection: Connection, jobs: Sequence[NewJob]
    ) -> tuple[list[Enqueued], set[str]]:
        """Take jobs behind a savepoint, since a key may be waited for in vain."""
        if not jobs:
            return [], set()
        try:
            return await self._behind_savepoint(connection, partial(enqueue, jobs))
        except Exception as error:
            if state_of(error) not in _IN_VAIN:
                raise
            if len(jobs) == 1:
                return [busy(jobs[0], error)], set()
        each = [await self._take_keyed(connection, [job]) for job in jobs]
        return [one for some, _ in each for one in some], {one for _, some in each for one in some}

    async def _behind_savepoint(
        self, connection: Connection, script: Factory[T]
    ) -> tuple[T, set[str]]:
        """Run a script such that an error undoes no more; waits have an end, if they had none."""
        ((theirs,),) = await connection.fetch(_LOCK_TIMEOUT, ())
        await connection.run(_SAVE)
        try:
            await connection.fetch(_SET_LOCK_TIMEOUT, [LONGEST_WAIT if theirs == "0" else theirs])
            done = await self._run(connection, script)
            await connection.fetch(_SET_LOCK_TIMEOUT, [theirs])
        except Exception as error:
            if state_of(error) is not None:
                await connection.run(_UNDO)
            raise
        await connection.run(_RELEASE)
        return done

    async def _run(self, connection: Connection, script: Factory[T]) -> tuple[T, set[str]]:
        return await run(script(), connection, self._database.texts, self._database.clock)

    @contextmanager
    def _explained(self) -> Generator[None]:
        """Say what errors mean; but one to serialize is the caller's, who may know how to go on."""
        try:
            yield
        except QueueError:
            raise
        except Exception as error:
            if state_of(error) == _SERIALIZATION:
                raise
            if state_of(error) == _ABORTED:
                raise StoreError(
                    "a statement has failed in this transaction before, so it can only be rolled "
                    "back: let that error leave the block"
                ) from error
            raise translated(error, self._database.connections.refusals) from error

    async def _wake(self, session: Any, connection: Connection, topics: Collection[str]) -> None:
        """Wake workers once the caller has committed."""
        if topics and not self.sessions.after_commit(session, self._call(topics)):
            await self._tell_in(connection, topics)

    def _call(self, topics: Collection[str]) -> Callable[[], None]:
        def call() -> None:
            try:
                self._loop.call_soon_threadsafe(self._notifier.raise_, topics)
            except RuntimeError:  # the loop has been closed; workers elsewhere look by themselves
                return

        return call

    async def _tell_in(self, connection: Connection, topics: Collection[str]) -> None:
        """Notify in the transaction: the server tells after the commit, this process too."""
        if self._notifier.tells:
            told = [self._notifier.channel, list(payloads(ORIGIN, topics))]
            await connection.fetch(TELL, told)

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Any]:
        """Open a transaction that commits at the end, and then raises what it has caused."""
        async with self.sessions.begin() as session:
            self._topics[id(session)] = set()
            try:
                yield session
            finally:
                topics = self._topics.pop(id(session))
        if topics:
            self._notifier.raise_(topics)

    async def settle(self, session: Any, lease: LeaseId, settlement: Settlement) -> None:
        """Apply *settlement* in a transaction of :meth:`open`."""
        connection = await self.sessions.connection(session)
        with self._explained():
            await connection.run(_LAST)
            script = partial(settle_last, lease, settlement)
            _, topics = await self._run(connection, script)
        self._topics[id(session)] |= topics
