"""Chaos targets: servers that sync each commit, and end a connection of a child every second.

There is one for each way to a database that is supported, and some for other servers.
"""

from __future__ import annotations

import json
import random
import sqlite3
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, closing, suppress
from pathlib import Path
from typing import Any, ClassVar, Self

import psycopg
import pymysql
from tests.databases import mariadb
from tests.databases.mariadb import MariaServer
from tests.databases.pgbouncer import Bouncer
from tests.databases.postgres import APP, ROOT, Database, PostgresServer, binaries
from tests.databases.program import HOST
from tests.databases.ways import Alchemy, FileSpec, PooledSpec, Spec, Way

from litestar_queues_core.protocols import BackendConfig
from litestar_queues_core.testing.chaos import Ledger, SmallDisk
from litestar_queues_core.testing.chaos.ledger import COMPLETED, ORDERED
from litestar_queues_sql.sqlite.chaos import MEBIBYTES

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
"""The user of whoever has not started the server; only the connections of these are ended."""

AnyServer = PostgresServer | MariaServer
AnyDatabase = Database | mariadb.Database


class Booked(ABC):
    """A target with a ledger, by transactions of the application."""

    way: ClassVar[Way]

    @abstractmethod
    def reached(self) -> str:
        """Return the address at which this process reaches the database."""

    @abstractmethod
    def ask(self, statement: str) -> Sequence[Sequence[Any]]:
        """Execute a statement as whoever has started all, and return its rows."""

    def make_ledger(self) -> None:
        for statement in LEDGER:
            self.ask(statement)

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        return self.way.transaction(self.reached())

    async def enter(self, session: Any, what: str, job: str) -> None:
        entry = "INSERT INTO ledger VALUES (:what, :job)"
        await self.way.execute(session, entry, what=what, job=job)
        if what == COMPLETED:
            await self.way.execute(session, "UPDATE counter SET value = value + 1")

    def read_ledger(self) -> Ledger:
        jobs: dict[str, list[str]] = {ORDERED: [], COMPLETED: []}
        for what, job in self.ask("SELECT what, job FROM ledger"):
            jobs[what].append(job)
        ((counter,),) = self.ask("SELECT value FROM counter")
        return Ledger(jobs[ORDERED], jobs[COMPLETED], counter)


class Target(ABC):
    """Whoever starts the server writes down where it is, for the other processes."""

    way: ClassVar[Way]
    users: ClassVar[Sequence[str]]
    """What makes the user of the children, of the database ``{0}``."""
    children: ClassVar[str]
    """Finds the numbers of their connections."""

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
    def url(self, user: str, host: str, port: int, database: str) -> str:
        """Return the address of a database."""

    def settings(self) -> Mapping[str, object]:
        """Return what the configuration of a store has besides."""
        return {}

    def connections(self) -> list[int]:
        """Return the numbers of the connections that children have."""
        assert self._server is not None
        return [number for (number,) in self._server.ask(self.children, CHILD)]

    def address(self) -> tuple[str, int]:
        return HOST, int(self._where()["port"])

    def through(self, host: str, port: int) -> Self:
        self._through = (host, port)
        return self

    def config(self, data: str) -> BackendConfig:
        made = {"prefix": f"{data}_", "create_schema": True, **self.settings()}
        return self.way.backend(self.reached(), **made)

    def reached(self) -> str:
        """Return the address at which this process reaches the database."""
        user = APP if self._server else CHILD
        return self.url(user, *(self._through or self.address()), str(self._where()["database"]))

    def ask(self, statement: str) -> Sequence[Sequence[Any]]:
        assert self._database is not None
        return self._database.ask(statement)

    def start(self) -> None:
        self._server = self.make_server(self._directory)
        self._server.start()
        self._database = self._server.create_database()
        for statement in self.users:
            self.ask(statement.format(self._database.name))
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


class _Postgres(Target):
    version: Callable[[Sequence[int]], int] = max
    users = (
        f"CREATE ROLE {CHILD} LOGIN IN ROLE {APP}",
        f"ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO {APP}",
        # The network may swallow a client that has locked the counter for all others.
        "ALTER DATABASE {0} SET idle_in_transaction_session_timeout = '3s'",
    )
    children = "SELECT pid FROM pg_stat_activity WHERE usename = %s"

    def make_server(self, directory: Path) -> PostgresServer:
        version = type(self).version([int(one) for one in binaries()])
        return PostgresServer(binaries()[str(version)], directory)

    def url(self, user: str, host: str, port: int, database: str) -> str:
        return f"postgresql://{user}@{host}:{port}/{database}"


class PostgresTarget(_Postgres, Booked):
    """The newest, by asyncpg of SQLSpec."""

    way = Spec("asyncpg")


class PsycopgTarget(PostgresTarget):
    """By psycopg of SQLSpec."""

    way = Spec("psycopg")


class PsycopgSyncTarget(_Postgres):
    """By the blocking psycopg of SQLSpec, in whose transactions nobody can write with us."""

    way = Spec("psycopg-sync")


class AlchemyAsyncpgTarget(PostgresTarget):
    """By asyncpg of SQLAlchemy."""

    way = Alchemy("asyncpg")


class AlchemyPsycopgTarget(PostgresTarget):
    """By psycopg of SQLAlchemy."""

    way = Alchemy("psycopg")


class RelaxedTarget(PostgresTarget):
    """Claims and settlements of the server's last moments are undone when it is killed.

    So jobs run again that were told to have ended; the report counts what that comes to.
    """

    def settings(self) -> Mapping[str, object]:
        return {"relaxed_commit": True}


class PooledTarget(PostgresTarget):
    """Behind pgbouncer in transaction mode, which outlives the server; nobody listens."""

    way = PooledSpec("asyncpg")
    _bouncer: Bouncer | None = None

    def settings(self) -> Mapping[str, object]:
        return {"notify": False}

    def start(self) -> None:
        super().start()
        assert isinstance(self._server, PostgresServer)
        users = (ROOT, APP, CHILD)
        self._bouncer = Bouncer(self._server, self._directory / "bouncer", users=users)
        self._bouncer.start()
        self._write(self._bouncer.port)

    def stop(self) -> None:
        if self._bouncer is not None:
            self._bouncer.stop()
        super().stop()


class OldestTarget(PostgresTarget):
    """The oldest there is here."""

    version = min


class MariaTarget(Target, Booked):
    """MariaDB, by asyncmy of SQLSpec."""

    way = Spec("asyncmy")
    users = (f"CREATE USER {CHILD}", f"GRANT ALL ON {{0}}.* TO {CHILD}")
    children = "SELECT id FROM information_schema.processlist WHERE user = %s"

    def make_server(self, directory: Path) -> MariaServer:
        # The network may swallow a client that has locked the counter for all others.
        return MariaServer(directory, "--idle-transaction-timeout=3")

    def url(self, user: str, host: str, port: int, database: str) -> str:
        return f"mysql://{user}@{host}:{port}/{database}"


class AiomysqlTarget(MariaTarget):
    """By aiomysql of SQLSpec."""

    way = Spec("aiomysql")


class AlchemyMariaTarget(MariaTarget):
    """By asyncmy of SQLAlchemy."""

    way = Alchemy("asyncmy")


class AiosqliteTarget(Booked):
    """A SQLite file that the application shares, by aiosqlite of SQLSpec; on a small disk."""

    way: ClassVar[Way] = FileSpec("aiosqlite")

    def __init__(self, workspace: Path) -> None:
        self._disk = SmallDisk(workspace / "data")
        self._path = (self._disk.directory / "app.db").resolve()

    def config(self, data: str) -> BackendConfig:
        self._disk.directory.mkdir(parents=True, exist_ok=True)
        return self.way.backend(self.reached(), prefix=f"{data}_", create_schema=True)

    def reached(self) -> str:
        return f"sqlite:///{self._path}"

    def ask(self, statement: str) -> Sequence[Sequence[Any]]:
        with closing(sqlite3.connect(self._path)) as raw:
            rows = raw.execute(statement).fetchall()
            raw.commit()
        return rows

    def make_disk(self) -> None:
        self._disk.mount(mebibytes=MEBIBYTES)

    def fill_disk(self) -> None:
        self._disk.fill()

    def free_disk(self) -> None:
        self._disk.free()


class AlchemySQLiteTarget(AiosqliteTarget):
    """By aiosqlite of SQLAlchemy."""

    way = Alchemy("aiosqlite")
