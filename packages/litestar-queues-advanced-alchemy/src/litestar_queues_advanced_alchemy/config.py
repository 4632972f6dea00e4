"""Choosing a store in the database of an Advanced Alchemy configuration."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from advanced_alchemy.base import metadata_registry
from advanced_alchemy.config import SQLAlchemyAsyncConfig
from sqlalchemy import Table

from litestar_queues_advanced_alchemy.drivers import check_driver, driver_of
from litestar_queues_advanced_alchemy.engine import EngineConnections
from litestar_queues_advanced_alchemy.looking import driver_name, engine_of, path_of, url_of
from litestar_queues_advanced_alchemy.sessions import AlchemySessions
from litestar_queues_advanced_alchemy.systems import System, system_of
from litestar_queues_advanced_alchemy.tables import queue_tables
from litestar_queues_core.errors import ConfigError
from litestar_queues_sql.database import PREFIX, Texts
from litestar_queues_sql.mysql import open_mysql
from litestar_queues_sql.postgres import open_postgres
from litestar_queues_sql.sqlite import open_sqlite
from litestar_queues_sql.store import SqlStore


@dataclass(kw_only=True, slots=True)
class AdvancedAlchemyBackendConfig:
    """Jobs in the database of an Advanced Alchemy configuration.

    Making one puts the tables of the queue into the metadata of the configuration, so that your
    migrations create them and never drop them.

    Attributes:
        config: The configuration.  Its engine is used, and never disposed of, unless the queue had
            to make it.
        create_schema: Whether the tables are created and upgraded when the store is opened: for
            development and tests.  Without, they come with your migrations.
        prefix: What the names of the tables begin with.
        relaxed_commit: Whether claims and settlements may be lost when the *server* crashes: the
            jobs of its last moments run again.  What was enqueued is never lost.
        notify: Whether to listen for notifications and to send them.  Without, idle workers look
            for work at intervals.  A text is the DSN to listen with, past a pooler of transactions.
            PostgreSQL only, as is ``relaxed_commit``.
    """

    config: SQLAlchemyAsyncConfig
    create_schema: bool = False
    prefix: str = PREFIX
    relaxed_commit: bool = False
    notify: bool | str = True

    def __post_init__(self) -> None:
        system = self._system()
        Texts(system.dialect, self.prefix)
        if isinstance(self.notify, str) and system.kind != "postgresql":
            raise ConfigError(
                f"AdvancedAlchemyBackendConfig.notify takes no DSN for {system.name}, which has no "
                "notifications"
            )
        self._tables()

    def open(self) -> AbstractAsyncContextManager[SqlStore]:
        """Open the store for as long as the context lasts."""
        match self._system().kind:
            case "sqlite":
                return self._open_sqlite(path_of(url_of(self.config)))
            case "mysql":
                return self._open_mysql()
            case _:
                return self._open_postgres()

    @asynccontextmanager
    async def _open_sqlite(self, path: Path) -> AsyncGenerator[SqlStore]:
        async with (
            self._connections() as connections,
            open_sqlite(
                path,
                prefix=self.prefix,
                create_schema=self.create_schema,
                sessions=self._sessions(connections),
            ) as store,
        ):
            yield store

    @asynccontextmanager
    async def _open_mysql(self) -> AsyncGenerator[SqlStore]:
        async with (
            self._connections() as connections,
            open_mysql(
                connections,
                prefix=self.prefix,
                create_schema=self.create_schema,
                sessions=self._sessions(connections),
            ) as store,
        ):
            yield store

    @asynccontextmanager
    async def _open_postgres(self) -> AsyncGenerator[SqlStore]:
        async with (
            self._connections() as connections,
            open_postgres(
                connections,
                prefix=self.prefix,
                create_schema=self.create_schema,
                relaxed_commit=self.relaxed_commit,
                notify=bool(self.notify),
                sessions=self._sessions(connections),
            ) as store,
        ):
            yield store

    @asynccontextmanager
    async def _connections(self) -> AsyncGenerator[EngineConnections]:
        driver = driver_of(driver_name(self.config))
        async with engine_of(self.config) as engine:
            yield EngineConnections(engine, driver, notify=self.notify)

    def _sessions(self, connections: EngineConnections) -> AlchemySessions:
        writing = self._tables()["job"].insert()
        return AlchemySessions(self.config, connections.driver, self._system(), writing)

    def _system(self) -> System:
        name = driver_name(self.config)
        check_driver(name)
        return system_of(name.partition("+")[0])

    def _tables(self) -> Mapping[str, Table]:
        metadata = metadata_registry.get(self.config.bind_key)
        return queue_tables(metadata, prefix=self.prefix, dialect=self._system().kind)
