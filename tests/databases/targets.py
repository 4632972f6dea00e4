"""Chaos targets: servers that sync each commit, and end a connection of a child every second."""

from __future__ import annotations

import json
import random
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psycopg
import pymysql
from tests.databases import mariadb
from tests.databases.mariadb import MariaServer
from tests.databases.pgbouncer import Bouncer
from tests.databases.postgres import APP, Database, PostgresServer, binaries
from tests.databases.program import HOST

from litestar_queues_core.protocols import BackendConfig
from litestar_queues_core.testing.chaos import Ledger
from litestar_queues_core.testing.chaos.ledger import COMPLETED, ORDERED
from litestar_queues_sqlspec import SQLSpecBackendConfig

if TYPE_CHECKING:
    from sqlspec.adapters.asyncpg import AsyncpgConfig, AsyncpgDriver

TERMINATES = 1.0
SETTLED = 3
NOWHERE = {"port": 1, "database": "none"}
LEDGER = (
    "CREATE TABLE ledger (what text NOT NULL, job text NOT NULL)",
    "CREATE TABLE counter (value int NOT NULL)",
    "INSERT INTO counter VALUES (0)",
    f"ALTER TABLE ledger OWNER TO {APP}",
    f"ALTER TABLE counter OWNER TO {APP}",
)
"""No constraint: whatever is entered twice is seen."""
CHILD = "child"
"""The name of whoever has not started the server; only the connections of these are ended."""

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


class PostgresTarget(Target):
    """The newest, by asyncpg."""

    version: Callable[[Sequence[int]], int] = max
    relaxed = False
    pooled = False

    def make_server(self, directory: Path) -> PostgresServer:
        version = type(self).version([int(one) for one in binaries()])
        return PostgresServer(binaries()[str(version)], directory)

    def make_config(self, host: str, port: int, database: str, prefix: str) -> BackendConfig:
        return SQLSpecBackendConfig(
            config=self._sqlspec(host, port, database),
            prefix=prefix,
            relaxed_commit=self.relaxed,
            notify=not self.pooled,
            create_schema=True,
        )

    def _sqlspec(self, host: str, port: int, database: str) -> AsyncpgConfig:
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
        assert self._database is not None
        for statement in LEDGER:
            self._database.ask(statement)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[AsyncpgDriver]:
        """Open a session on a connection of its own: it may fail in any way."""
        host, port = self._through or self.address()
        config = self._sqlspec(host, port, str(self._where()["database"]))
        raw = await config.create_connection()
        try:
            driver = config.driver_type(raw, config.statement_config, config.driver_features)
            await driver.begin()
            yield driver
            await driver.commit()
        finally:
            raw.terminate()  # rolled back by the server, which a silent network keeps from us

    async def enter(self, session: AsyncpgDriver, what: str, job: str) -> None:
        await session.execute("INSERT INTO ledger VALUES ($1, $2)", what, job)
        if what == COMPLETED:
            await session.execute("UPDATE counter SET value = value + 1")

    def read_ledger(self) -> Ledger:
        assert self._database is not None
        jobs: dict[str, list[str]] = {ORDERED: [], COMPLETED: []}
        for what, job in self._database.ask("SELECT what, job FROM ledger"):
            jobs[what].append(job)
        ((counter,),) = self._database.ask("SELECT value FROM counter")
        return Ledger(jobs[ORDERED], jobs[COMPLETED], counter)

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


class MariaTarget(Target):
    """MariaDB, by asyncmy."""

    def make_server(self, directory: Path) -> MariaServer:
        return MariaServer(directory)

    def make_config(self, host: str, port: int, database: str, prefix: str) -> BackendConfig:
        from sqlspec.adapters.asyncmy import AsyncmyConfig

        user = CHILD if self.child else mariadb.APP
        where = {"host": host, "port": port, "user": user, "database": database}
        return SQLSpecBackendConfig(
            config=AsyncmyConfig(connection_config=where), prefix=prefix, create_schema=True
        )

    def start(self) -> None:
        super().start()
        assert isinstance(self._database, mariadb.Database)
        self._database.ask(f"CREATE USER {CHILD}")
        self._database.ask(f"GRANT ALL ON {self._database.name}.* TO {CHILD}")

    def connections(self) -> list[int]:
        assert isinstance(self._server, MariaServer)
        found = "SELECT id FROM information_schema.processlist WHERE user = %s"
        return [number for (number,) in self._server.ask(found, CHILD)]
