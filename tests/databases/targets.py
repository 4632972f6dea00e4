"""Chaos targets: servers that sync each commit, and end a connection of a child every second."""

from __future__ import annotations

import json
import random
import sqlite3
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psycopg
import pymysql
from tests.databases import mariadb
from tests.databases.mariadb import MariaServer
from tests.databases.pgbouncer import Bouncer
from tests.databases.postgres import APP, Database, PostgresServer, binaries
from tests.databases.program import HOST

from litestar_queues_core.protocols import BackendConfig
from litestar_queues_core.testing.chaos import Ledger, SmallDisk
from litestar_queues_core.testing.chaos.ledger import COMPLETED, ORDERED
from litestar_queues_sql.sqlite.chaos import MEBIBYTES
from litestar_queues_sqlspec import SQLSpecBackendConfig

if TYPE_CHECKING:
    from sqlspec.adapters.aiosqlite import AiosqliteConfig
    from sqlspec.adapters.asyncmy import AsyncmyConfig
    from sqlspec.adapters.asyncpg import AsyncpgConfig

TERMINATES = 1.0
SETTLED = 3
NOWHERE = {"port": 1, "database": "none"}
LEDGER = (
    "CREATE TABLE ledger (what varchar(20) NOT NULL, job varchar(40) NOT NULL)",
    "CREATE TABLE counter (value int NOT NULL)",
    "INSERT INTO counter VALUES (0)",
)
"""No constraint: whatever is entered twice is seen."""
CHILD = "child"
"""The name of whoever has not started the server; only the connections of these are ended."""


async def enter(session: Any, entry: str, what: str, job: str) -> None:
    """Enter something with a driver of SQLSpec."""
    await session.execute(entry, what, job)
    if what == COMPLETED:
        await session.execute("UPDATE counter SET value = value + 1")


def read_ledger(ask: Callable[[str], Iterable[tuple[Any, ...]]]) -> Ledger:
    """Return what has been committed."""
    jobs: dict[str, list[str]] = {ORDERED: [], COMPLETED: []}
    for what, job in ask("SELECT what, job FROM ledger"):
        jobs[what].append(job)
    ((counter,),) = ask("SELECT value FROM counter")
    return Ledger(jobs[ORDERED], jobs[COMPLETED], counter)


AnyServer = PostgresServer | MariaServer
AnyDatabase = Database | mariadb.Database


class Target(ABC):
    """Whoever starts the server writes down where it is, for the other processes."""

    def __init__(self, workspace: Path) -> None:
        self._file = workspace / "where"
        self._through: tuple[str, int] | None = None
        self._directory = workspace / "server"
        self._server: AnyServer | None = None
        self._database: AnyDatabase | None = None
        self._over = threading.Event()
        self._terminator = threading.Thread(target=self._terminate)

    @abstractmethod
    def make_server(self, directory: Path) -> AnyServer:
        """Return the server; it is not started."""

    @abstractmethod
    def make_config(self, host: str, port: int, database: str, prefix: str) -> BackendConfig:
        """Return the configuration of a store."""

    @abstractmethod
    def connections(self) -> list[int]:
        """Return the numbers of the connections that children have."""

    @property
    def child(self) -> bool:
        """Whether this process is one that has not started the server."""
        return self._server is None

    def address(self) -> tuple[str, int]:
        return HOST, int(self._where()["port"])

    def through(self, host: str, port: int) -> Self:
        self._through = (host, port)
        return self

    def config(self, data: str) -> BackendConfig:
        host, port = self._through or self.address()
        return self.make_config(host, port, str(self._where()["database"]), f"{data}_")

    def start(self) -> None:
        self._server = self.make_server(self._directory)
        self._server.start()
        self._database = self._server.create_database()
        self._write(self._server.port)
        self._terminator.start()

    def stop(self) -> None:
        self._over.set()
        if self._terminator.ident is not None:
            self._terminator.join()
        if self._server is not None:
            self._server.stop()

    def kill(self) -> None:
        assert self._server is not None
        self._server.kill()

    def restart(self) -> None:
        assert self._server is not None
        self._server.restart()

    def _write(self, port: int) -> None:
        assert self._database is not None
        self._file.write_text(json.dumps({"port": port, "database": self._database.name}))

    def _where(self) -> dict[str, object]:
        return json.loads(self._file.read_text()) if self._file.exists() else NOWHERE

    def _terminate(self) -> None:
        """End one connection after the other: one at work, a listener's, a keeper's.

        Those of a process that just starts are left alone, else none would get far.
        """
        assert self._database is not None
        seen: Counter[int] = Counter()
        while not self._over.wait(TERMINATES):
            with suppress(psycopg.Error, pymysql.Error):  # it is down, or recovers
                seen = Counter({one: seen[one] + 1 for one in self.connections()})
                settled = [one for one, times in seen.items() if times > SETTLED]
                if settled:
                    self._database.end(random.choice(settled))  # noqa: S311


class LedgerTarget(Target):
    """One whose application has a ledger, by the drivers of SQLSpec.

    Attributes:
        entry: Enters something.
    """

    entry = "INSERT INTO ledger VALUES (?, ?)"

    @abstractmethod
    def make_sqlspec(self, host: str, port: int, database: str) -> Any:
        """Return the configuration of SQLSpec."""

    def make_ledger(self) -> None:
        assert self._database is not None
        for statement in LEDGER:
            self._database.ask(statement)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Any]:
        """Open a session on a connection of its own: it may fail in any way."""
        host, port = self._through or self.address()
        config = self.make_sqlspec(host, port, str(self._where()["database"]))
        raw = await config.create_connection()
        try:
            driver = config.driver_type(raw, config.statement_config, config.driver_features)
            await driver.begin()
            yield driver
            await driver.commit()
        finally:
            self.cut(raw)  # rolled back by the server, which a silent network keeps from us

    @abstractmethod
    def cut(self, raw: Any) -> None:
        """Cut a connection of the driver."""

    async def enter(self, session: Any, what: str, job: str) -> None:
        await enter(session, self.entry, what, job)

    def read_ledger(self) -> Ledger:
        assert self._database is not None
        return read_ledger(self._database.ask)


class PostgresTarget(LedgerTarget):
    """The newest, by asyncpg."""

    entry = "INSERT INTO ledger VALUES ($1, $2)"
    version: Callable[[Sequence[int]], int] = max
    relaxed = False
    pooled = False

    def make_server(self, directory: Path) -> PostgresServer:
        version = type(self).version([int(one) for one in binaries()])
        return PostgresServer(binaries()[str(version)], directory)

    def make_config(self, host: str, port: int, database: str, prefix: str) -> BackendConfig:
        return SQLSpecBackendConfig(
            config=self.make_sqlspec(host, port, database),
            prefix=prefix,
            relaxed_commit=self.relaxed,
            notify=not self.pooled,
            create_schema=True,
        )

    def make_sqlspec(self, host: str, port: int, database: str) -> AsyncpgConfig:
        from sqlspec.adapters.asyncpg import AsyncpgConfig

        dsn = f"postgresql://{APP}@{host}:{port}/{database}"
        # The network may swallow a client that has locked the counter for all others.
        server = {"idle_in_transaction_session_timeout": "3s"}
        if self.child:
            server["application_name"] = CHILD
        settings: dict[str, object] = {"dsn": dsn, "server_settings": server}
        if self.pooled:
            settings["statement_cache_size"] = 0
        return AsyncpgConfig(connection_config=settings)

    def make_ledger(self) -> None:
        super().make_ledger()
        assert self._database is not None
        for table in ("ledger", "counter"):
            self._database.ask(f"ALTER TABLE {table} OWNER TO {APP}")

    def cut(self, raw: Any) -> None:
        raw.terminate()

    def connections(self) -> list[int]:
        assert isinstance(self._server, PostgresServer)
        found = "SELECT pid FROM pg_stat_activity WHERE application_name = %s"
        return [pid for (pid,) in self._server.ask(found, CHILD)]


class RelaxedTarget(PostgresTarget):
    """Claims and settlements of the server's last moments are undone when it is killed.

    So jobs run again that were told to have ended; the report counts what that comes to.
    """

    relaxed = True


class PooledTarget(PostgresTarget):
    """Behind pgbouncer in transaction mode, which outlives the server; nobody listens."""

    pooled = True
    _bouncer: Bouncer | None = None

    def start(self) -> None:
        super().start()
        assert isinstance(self._server, PostgresServer)
        self._bouncer = Bouncer(self._server, self._directory / "bouncer")
        self._bouncer.start()
        self._write(self._bouncer.port)

    def stop(self) -> None:
        if self._bouncer is not None:
            self._bouncer.stop()
        super().stop()


class OldestTarget(PostgresTarget):
    """The oldest there is here."""

    version = min


class MariaTarget(LedgerTarget):
    """MariaDB, by asyncmy."""

    entry = "INSERT INTO ledger VALUES (%s, %s)"

    def make_server(self, directory: Path) -> MariaServer:
        # The network may swallow a client that has locked the counter for all others.
        return MariaServer(directory, "--idle-transaction-timeout=3")

    def make_config(self, host: str, port: int, database: str, prefix: str) -> BackendConfig:
        return SQLSpecBackendConfig(
            config=self.make_sqlspec(host, port, database), prefix=prefix, create_schema=True
        )

    def make_sqlspec(self, host: str, port: int, database: str) -> AsyncmyConfig:
        from sqlspec.adapters.asyncmy import AsyncmyConfig

        user = CHILD if self.child else mariadb.APP
        where = {"host": host, "port": port, "user": user, "database": database}
        return AsyncmyConfig(connection_config=where)

    def cut(self, raw: Any) -> None:
        raw.close()

    def start(self) -> None:
        super().start()
        assert isinstance(self._database, mariadb.Database)
        self._database.ask(f"CREATE USER {CHILD}")
        self._database.ask(f"GRANT ALL ON {self._database.name}.* TO {CHILD}")

    def connections(self) -> list[int]:
        assert isinstance(self._server, MariaServer)
        found = "SELECT id FROM information_schema.processlist WHERE user = %s"
        return [number for (number,) in self._server.ask(found, CHILD)]


class FileTarget:
    """A SQLite file that the application shares, by aiosqlite; it may be on a small disk."""

    def __init__(self, workspace: Path) -> None:
        self._disk = SmallDisk(workspace / "data")
        self._path = self._disk.directory / "app.db"

    def config(self, data: str) -> BackendConfig:
        self._disk.directory.mkdir(parents=True, exist_ok=True)
        return SQLSpecBackendConfig(config=self._sqlspec(), prefix=f"{data}_", create_schema=True)

    def _sqlspec(self) -> AiosqliteConfig:
        from sqlspec.adapters.aiosqlite import AiosqliteConfig

        return AiosqliteConfig(connection_config={"database": str(self._path)})

    def make_disk(self) -> None:
        self._disk.mount(mebibytes=MEBIBYTES)

    def fill_disk(self) -> None:
        self._disk.fill()

    def free_disk(self) -> None:
        self._disk.free()

    def _ask(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self._path)) as raw:
            rows = raw.execute(statement).fetchall()
            raw.commit()
        return rows

    def make_ledger(self) -> None:
        for statement in LEDGER:
            self._ask(statement)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Any]:
        config = self._sqlspec()
        try:
            async with config.provide_session() as driver:
                await driver.begin()
                yield driver
                await driver.commit()
        finally:
            await config.close_pool()

    async def enter(self, session: Any, what: str, job: str) -> None:
        await enter(session, LedgerTarget.entry, what, job)

    def read_ledger(self) -> Ledger:
        return read_ledger(self._ask)
