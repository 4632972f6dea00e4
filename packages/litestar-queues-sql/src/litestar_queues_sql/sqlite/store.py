"""The embedded store."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Collection, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from litestar_queues_core.findings import Finding
from litestar_queues_core.ids import LeaseId
from litestar_queues_core.settlements import Maintenance, MaintenancePolicy, Renewal
from litestar_queues_sql import leases
from litestar_queues_sql.database import PREFIX
from litestar_queues_sql.script import Factory, Raise, Script
from litestar_queues_sql.sessions import Sessions
from litestar_queues_sql.sqlite import checks
from litestar_queues_sql.sqlite.connection import Connection
from litestar_queues_sql.sqlite.database import SQLiteDatabase
from litestar_queues_sql.sqlite.transactions import SQLiteTransactions
from litestar_queues_sql.store import SqlStore
from litestar_queues_sql.transactions import TransactionalStore

logger: logging.Logger = logging.getLogger("litestar_queues.sqlite")

T = TypeVar("T")

TIDY_SECONDS = 30.0


class SQLiteStore(SqlStore):
    """Jobs in a SQLite file, which any number of processes on one host may share.

    Attributes:
        path: The file.
    """

    def __init__(self, database: SQLiteDatabase) -> None:
        super().__init__(database)
        self._sqlite = database
        self._tidied = time.monotonic()
        self.path: Path = database.path

    async def wait(self, topics: Collection[str], timeout: float) -> bool:
        """Rest until one of *topics* is raised (true) or the time is over (false)."""
        self._sqlite.check()
        with self._sqlite.watcher.watching(topics):
            return await self._sqlite.signals.wait(topics, timeout)

    async def notify(self, topics: Collection[str]) -> None:
        """Raise *topics*, here and in other processes."""
        await self._sqlite.write(partial(_raise, topics))

    async def check(self) -> Sequence[Finding]:
        """Look at the tables and the file."""
        database = self._sqlite
        return [
            *await database.read(partial(checks.check, database.texts)),
            *await asyncio.to_thread(self._check_file),
        ]

    def _check_file(self) -> Sequence[Finding]:
        connection = self._sqlite.connect()
        try:
            return list(checks.check_file(connection.raw, self.path))
        finally:
            connection.close()

    async def maintain(self, policy: MaintenancePolicy) -> Maintenance:
        """Do a bounded piece of what there is to do."""
        done = await super().maintain(policy)
        if time.monotonic() > self._tidied + TIDY_SECONDS:
            self._tidied = time.monotonic()
            self._sqlite.watcher.tidy()
        return done

    @contextmanager
    def keeper(self) -> Generator[SQLiteKeeper]:
        """Open a connection for the calling thread, on which leases can be kept."""
        connection = self._sqlite.connect()
        try:
            yield SQLiteKeeper(self._sqlite, connection)
        finally:
            connection.close()

    def shift_clock(self, delta_ms: int) -> None:
        """Move the clock of this store, for tests."""
        self._sqlite.clock.offset_ms += delta_ms


class SharedSQLiteStore(TransactionalStore, SQLiteStore):
    """Jobs in a SQLite file beside the data of the application.

    Args:
        database: The database.
        sessions: How sessions of the application are written through.
    """

    def __init__(self, database: SQLiteDatabase, sessions: Sessions) -> None:
        super().__init__(database)
        self.share(SQLiteTransactions(database, sessions))


@asynccontextmanager
async def open_sqlite(
    path: Path,
    *,
    durability: str = "normal",
    prefix: str = PREFIX,
    create_schema: bool = True,
    sessions: Sessions | None = None,
) -> AsyncGenerator[SQLiteStore]:
    """Open a store for as long as the context lasts.

    Args:
        path: The file, as an absolute path.
        durability: ``"full"`` to wait for the disk at each commit.
        prefix: What the names of the tables begin with.
        create_schema: Whether to create and upgrade the tables; if not, they must be there.
        sessions: How sessions of the application are written through, if they can be.
    """
    database = SQLiteDatabase(
        path, durability=durability, prefix=prefix, create_schema=create_schema
    )
    try:
        await database.start()
        logger.info("jobs are kept in %s", path)
        yield SharedSQLiteStore(database, sessions) if sessions else SQLiteStore(database)
    finally:
        await database.stop()


class SQLiteKeeper:
    """Keeps leases on a connection of its own, blocking."""

    def __init__(self, database: SQLiteDatabase, connection: Connection) -> None:
        self._database = database
        self._connection = connection

    def renew(self, lease: LeaseId, *, seconds: float) -> Renewal:
        """Let a lease last from now."""
        return self._run(partial(leases.renew, lease, seconds))

    def close_lease(self, lease: LeaseId) -> None:
        """End a lease and give its jobs back."""
        self._run(partial(leases.close_lease, lease))

    def _run(self, script: Factory[T]) -> T:
        batch = self._connection.write([script])
        (outcome,) = batch.outcomes
        if outcome.error is not None:
            raise outcome.error
        if batch.topics:
            self._database.tell(batch.topics)
        result: T = outcome.result
        return result


def _raise(topics: Collection[str]) -> Script[None]:
    yield Raise(topics)
