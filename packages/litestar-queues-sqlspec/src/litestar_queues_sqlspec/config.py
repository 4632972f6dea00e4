"""Choosing a store on a SQLSpec configuration."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

from litestar_queues_core.config import choice
from litestar_queues_sql.database import PREFIX, Texts
from litestar_queues_sql.mysql import open_mysql
from litestar_queues_sql.postgres import open_postgres
from litestar_queues_sql.sqlite import open_sqlite
from litestar_queues_sql.store import SqlStore
from litestar_queues_sqlspec.adapters import adapter_of
from litestar_queues_sqlspec.migrating import register
from litestar_queues_sqlspec.sqlite import path_of, sessions_of


@dataclass(kw_only=True, slots=True)
class SQLSpecBackendConfig:
    """Jobs in the database of a SQLSpec configuration.

    Attributes:
        config: The configuration.  Its pool is used if the application has opened it, and never
            closed.
        create_schema: Whether the tables are created and upgraded when the store is opened: for
            development and tests.  Without, they come with your migrations.
        prefix: What the names of the tables begin with.
        relaxed_commit: Whether claims and settlements may be lost when the *server* crashes: the
            jobs of its last moments run again.  What was enqueued is never lost.
        notify: Whether to listen for notifications and to send them.  Without, idle workers look
            for work at intervals.  A text is the DSN to listen with, past a pooler of transactions.
            PostgreSQL only, as is ``relaxed_commit``.
        durability: ``"full"`` to wait for the disk at each commit.  SQLite only; servers do what
            they are configured to.
    """

    config: Any
    create_schema: bool = False
    prefix: str = PREFIX
    relaxed_commit: bool = False
    notify: bool | str = True
    durability: Literal["normal", "full"] = "normal"

    def __post_init__(self) -> None:
        adapter = adapter_of(self.config)
        choice(self.durability, "SQLSpecBackendConfig.durability", ("normal", "full"))
        Texts(adapter.dialect, self.prefix)
        if adapter.system == "sqlite":
            path_of(self.config)
        register(self.config, self.prefix)

    def open(self) -> AbstractAsyncContextManager[SqlStore]:
        """Open the store for as long as the context lasts."""
        match adapter_of(self.config).system:
            case "sqlite":
                return self._open_sqlite()
            case "mysql":
                return self._open_mysql()
            case "postgres":
                return self._open_postgres()

    @asynccontextmanager
    async def _open_sqlite(self) -> AsyncGenerator[SqlStore]:
        sessions = sessions_of(self.config, adapter_of(self.config).name)
        try:
            async with open_sqlite(
                path_of(self.config),
                durability=self.durability,
                prefix=self.prefix,
                create_schema=self.create_schema,
                sessions=sessions,
            ) as store:
                yield store
        finally:
            await sessions.close()

    @asynccontextmanager
    async def _open_mysql(self) -> AsyncGenerator[SqlStore]:
        from litestar_queues_sqlspec.mysql import MySQLConnections  # noqa: PLC0415

        connections = MySQLConnections(self.config, adapter_of(self.config).name)
        try:
            async with open_mysql(
                connections,
                prefix=self.prefix,
                create_schema=self.create_schema,
                sessions=connections.sessions,
            ) as store:
                yield store
        finally:
            await connections.close()

    @asynccontextmanager
    async def _open_postgres(self) -> AsyncGenerator[SqlStore]:
        connections = self._connections()
        try:
            async with open_postgres(
                connections,
                prefix=self.prefix,
                create_schema=self.create_schema,
                relaxed_commit=self.relaxed_commit,
                notify=bool(self.notify),
                sessions=connections.sessions,
            ) as store:
                yield store
        finally:
            await connections.close()

    def _connections(self) -> Any:
        """Return where connections come from; a driver is imported only here."""
        if adapter_of(self.config).name == "asyncpg":
            from litestar_queues_sqlspec.asyncpg import AsyncpgConnections  # noqa: PLC0415

            return AsyncpgConnections(self.config, self.notify)
        from litestar_queues_sqlspec.psycopg import PsycopgConnections  # noqa: PLC0415

        return PsycopgConnections(self.config, self.notify)
