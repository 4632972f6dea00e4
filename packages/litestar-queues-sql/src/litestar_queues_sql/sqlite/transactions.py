"""What is particular to SQLite about transactions of the application: one at a time writes."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from litestar_queues_core.errors import SessionError, StoreUnavailable
from litestar_queues_core.ids import JobId
from litestar_queues_sql.driver import Connection
from litestar_queues_sql.drivers.sqlite import FileConnection
from litestar_queues_sql.script import Sql
from litestar_queues_sql.sessions import Sessions
from litestar_queues_sql.sqlite.connection import MARK, Clock
from litestar_queues_sql.sqlite.database import SQLiteDatabase
from litestar_queues_sql.sqlite.errors import translated
from litestar_queues_sql.transactions import Block, Transactions

ORIGIN = "transaction"
"""Who raises in a transaction of the application: somebody else, to every store."""
PATIENCE = 20.0
"""A block waits so long for its turn; its connection may wait for less at a time."""

_FILES = "PRAGMA database_list"
_LOCK = Sql("DELETE FROM $signal WHERE topic = ''")
"""Writes nothing.  A transaction that writes before it reads waits for others; one that has read
does not."""

_BEGIN = (
    "begin with BEGIN IMMEDIATE what reads before it writes (SQLSpec: driver.begin('IMMEDIATE'), "
    "or driver_features={'default_transaction_mode': 'IMMEDIATE'}; SQLAlchemy: where an event "
    "listener of yours sends BEGIN)"
)


class SQLiteTransactions(Transactions):
    """Enqueues and settles where somebody else commits.

    Args:
        database: The database.
        sessions: How the adapter reaches sessions.
    """

    def __init__(self, database: SQLiteDatabase, sessions: Sessions) -> None:
        super().__init__(database.texts, HostClock(database.clock), sessions)
        self._database = database
        self._turn = asyncio.Lock()

    def code_of(self, error: BaseException) -> str | None:
        """Return the primary code of SQLite."""
        return str(_code(error) & 0xFF) if isinstance(error, sqlite3.Error) else None

    def can_go_on(self, connection: Connection, error: BaseException) -> bool:
        """Return whether SQLite has left the transaction open."""
        return not connection.closed and cast(FileConnection, connection).in_transaction

    def meaning(self, error: Exception) -> Exception:
        """Return what an error means to somebody in a transaction."""
        path = self._database.path
        if _code(error) == sqlite3.SQLITE_BUSY_SNAPSHOT:
            return StoreUnavailable(
                f"SQLite file {path}: others have written since this transaction has read, so it "
                f"can write no more: roll it back, and {_BEGIN}"
            )
        if _is_busy(error):
            return StoreUnavailable(
                f"SQLite file {path}: {error}; somebody else writes for longer than this "
                "connection waits (its timeout), and one that has read before in this transaction "
                f"does not wait at all: roll it back, and {_BEGIN}"
            )
        return translated(error, path)

    async def prepare(self, connection: Connection) -> None:
        """Begin if need be, in the right file, and wait until nobody else writes.

        Raises:
            SessionError: It is another file.
        """
        ours, file = self._database.path, await _file_of(connection)
        if not _is_same(ours, file):
            raise SessionError(
                f"the session is one of the database {file or ':memory:'}, and the jobs are in "
                f"{ours}: give a session of that file, or keep the jobs in yours"
            )
        if not cast(FileConnection, connection).in_transaction:
            await connection.run("BEGIN IMMEDIATE")
        await connection.fetch(self.texts[_LOCK], ())

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Any]:
        """Open a transaction, once it is its turn in this process.

        Between two blocks the queue has its turn, whose patience would seldom meet such a moment.
        """
        async with self._turn:
            await self._database.written()
            async with super().open() as session:
                self._database.holder = asyncio.current_task()
                try:
                    yield session
                finally:
                    self._database.holder = None

    async def _begin(self, session: Any) -> Block:
        until = self._loop.time() + PATIENCE
        while True:
            try:
                return await super()._begin(session)
            except StoreUnavailable as error:
                if not _is_busy(error.__cause__) or self._loop.time() > until:
                    raise

    def raise_(self, topics: Collection[str]) -> None:
        """Raise topics here; other processes see what has been marked, and the ends of jobs."""
        self._database.signals.raise_(topics)

    async def wake(
        self, session: Any, connection: Connection, jobs: Sequence[JobId], topics: Collection[str]
    ) -> None:
        """Mark topics in the transaction; whoever waits looks at what has been committed."""
        raised = time.time_ns()
        rows = [(topic, ORIGIN, raised) for topic in topics if not topic.startswith("job:")]
        await connection.run_many(self.texts[MARK], rows)


class HostClock:
    """The clock of a file, for scripts on connections of the application.

    Args:
        clock: The store's.
    """

    __slots__ = ("_clock",)

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def now_ms(self, connection: Connection) -> int:
        """Return milliseconds since 1970."""
        return self._clock.now_ms()


async def _file_of(connection: Connection) -> str:
    """Return the file of a connection, an empty text if it is in memory."""
    rows = await connection.fetch(_FILES, ())
    return next((str(file or "") for _, name, file in rows if name == "main"), "")


def _is_same(path: Path, file: str) -> bool:
    return bool(file) and path.samefile(file)


def _code(error: BaseException | None) -> int:
    code: int = getattr(error, "sqlite_errorcode", None) or sqlite3.SQLITE_ERROR
    return code


def _is_busy(error: BaseException | None) -> bool:
    return _code(error) & 0xFF == sqlite3.SQLITE_BUSY
