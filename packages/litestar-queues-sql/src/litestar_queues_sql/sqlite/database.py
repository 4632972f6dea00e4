"""A SQLite file as a database of scripts: one thread that writes, one that reads."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Collection, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from litestar_queues_core.errors import SchemaError, StoreUnavailable, TransactionError
from litestar_queues_sql.database import PREFIX, Texts
from litestar_queues_sql.schema import MIGRATIONS, Migration, upgrade, verify
from litestar_queues_sql.script import Factory, Script
from litestar_queues_sql.signals import Signals
from litestar_queues_sql.sqlite.connection import Clock, Connection
from litestar_queues_sql.sqlite.dialect import SQLITE
from litestar_queues_sql.sqlite.opening import connect, in_use, prepare
from litestar_queues_sql.sqlite.thread import ConnectionThread
from litestar_queues_sql.sqlite.watcher import Watcher, read_marks

T = TypeVar("T")


class SQLiteDatabase:
    """A file, opened for one event loop.

    Args:
        path: The file; its directory is made if need be.
        durability: ``"full"`` to wait for the disk at each commit.
        prefix: What the names of the tables begin with.
        create_schema: Whether to create and upgrade the tables; if not, they must be there.
        migrations: How the tables are made.

    Attributes:
        path: The file.
        texts: The statements.
        clock: The clock of the store.
        signals: Who waits in this process.
        watcher: Notices what other processes raise.
        holder: Who keeps others from writing by a transaction of their own, and must not wait.
    """

    def __init__(
        self,
        path: Path,
        *,
        durability: str = "normal",
        prefix: str = PREFIX,
        create_schema: bool = True,
        migrations: Sequence[Migration] = MIGRATIONS,
    ) -> None:
        self.path: Path = path
        self.holder: asyncio.Task[Any] | None = None
        self.clock: Clock = Clock()
        self.signals: Signals = Signals()
        self._durability = durability
        self._migrations = migrations
        self._create_schema = create_schema
        self.texts: Texts = Texts(SQLITE, prefix)
        self._origin = uuid4().hex
        self._stack = ExitStack()
        told = self.signals.raise_
        self._writer = ConnectionThread("writer", self._prepare, Connection.write, told)
        self._reader = ConnectionThread("reader", self.connect, Connection.read, told)
        self.watcher: Watcher = Watcher(self._open, self.texts, self._origin, self.tell)

    async def start(self) -> None:
        """Open the file and bring its tables up to date."""
        self._stack.enter_context(in_use(self.path))
        await self._writer.start()
        await self._reader.start()
        self.watcher.start(await self.read(read_marks))

    async def stop(self) -> None:
        """Finish what was begun, and close the file."""
        await asyncio.to_thread(self.watcher.stop)
        await self._reader.stop()
        await self._writer.stop()
        self._stack.close()

    def check(self) -> None:
        """Check that the database can be used here and now."""
        self._reader.check()

    def _check_holder(self) -> None:
        if self.holder is not None and self.holder is asyncio.current_task():
            raise TransactionError(
                "this is in the block of ctx.transaction(), and SQLite lets one transaction write "
                "at a time, so it would wait for itself: give the session of the block along, "
                "enqueue(..., session=session), or do it before or after the block"
            )

    async def write(self, script: Factory[T]) -> T:
        """Run a script in a transaction that it may share with others."""
        self._check_holder()
        return await self._writer.submit(script)

    async def written(self) -> None:
        """Return once what has been asked for so far has been written, or could not be."""
        with suppress(StoreUnavailable):
            await self._writer.submit(_nothing)

    async def read(self, script: Factory[T]) -> T:
        """Run a script that only reads."""
        return await self._reader.submit(script)

    def tell(self, topics: Collection[str]) -> None:
        """Raise topics, from any thread."""
        self.signals.raise_from_thread(topics)

    def connect(self) -> Connection:
        """Open a connection that belongs to the calling thread."""
        return Connection(self._open(), self.path, self.texts, self.clock, self._origin)

    def _open(self) -> sqlite3.Connection:
        return connect(self.path, durability=self._durability)

    def _prepare(self) -> Connection:
        prepare(self.path)
        connection = self.connect()
        if self._create_schema:
            (outcome,) = connection.write([partial(upgrade, self._migrations)]).outcomes
        else:
            (outcome,) = connection.read([partial(verify, self._migrations[-1].version)]).outcomes
        if outcome.error is None:
            return connection
        connection.close()
        if isinstance(outcome.error, SchemaError):
            raise self._schema_error(outcome.error) from outcome.error
        raise outcome.error

    def _schema_error(self, error: SchemaError) -> SchemaError:
        if isinstance(error.__cause__, sqlite3.Error):
            return SchemaError(
                f"{self.path} lacks tables of the queue ({error.__cause__}): let the library make "
                "them (create_schema=True), or run your migrations"
            )
        return SchemaError(f"{self.path}: {error}")


def _nothing() -> Script[None]:
    yield from ()
