"""Choosing a store in the database of an Advanced Alchemy configuration."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

from advanced_alchemy.base import metadata_registry
from advanced_alchemy.config import SQLAlchemyAsyncConfig, SQLAlchemySyncConfig
from sqlalchemy import URL, Table, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine

from litestar_queues_advanced_alchemy.drivers import SUPPORTED, kind_of
from litestar_queues_advanced_alchemy.engine import EngineConnections
from litestar_queues_advanced_alchemy.sessions import AlchemySessions
from litestar_queues_advanced_alchemy.tables import queue_tables
from litestar_queues_core.errors import ConfigError
from litestar_queues_sql.database import PREFIX, Texts
from litestar_queues_sql.postgres import PostgresStore, open_postgres
from litestar_queues_sql.postgres.dialect import POSTGRES

_HERE = "AdvancedAlchemyBackendConfig.config"


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
    """

    config: SQLAlchemyAsyncConfig
    create_schema: bool = False
    prefix: str = PREFIX
    relaxed_commit: bool = False
    notify: bool | str = True

    def __post_init__(self) -> None:
        Texts(POSTGRES, self.prefix)
        kind_of(driver_name(self.config))
        self._tables()

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[PostgresStore]:
        """Open the store for as long as the context lasts."""
        driver = kind_of(driver_name(self.config))()
        async with (
            _engine_of(self.config) as engine,
            open_postgres(
                EngineConnections(engine, driver, notify=self.notify),
                prefix=self.prefix,
                create_schema=self.create_schema,
                relaxed_commit=self.relaxed_commit,
                notify=bool(self.notify),
                sessions=AlchemySessions(self.config, driver, self._tables()["job"].insert()),
            ) as store,
        ):
            yield store

    def _tables(self) -> Mapping[str, Table]:
        return queue_tables(metadata_registry.get(self.config.bind_key), prefix=self.prefix)


_made: WeakSet[AsyncEngine] = WeakSet()
"""Engines that no application had made before the queue needed them."""


@asynccontextmanager
async def _engine_of(config: SQLAlchemyAsyncConfig) -> AsyncGenerator[AsyncEngine]:
    made = config.engine_instance is None
    engine = config.get_engine()
    if made:
        _made.add(engine)
    try:
        yield engine
    finally:
        if engine in _made:
            await engine.dispose()


def driver_name(config: object) -> str:
    """Return what SQLAlchemy calls the driver of a configuration: ``postgresql+asyncpg``.

    Raises:
        ConfigError: It is no configuration of an async engine.
    """
    if isinstance(config, SQLAlchemySyncConfig):
        raise ConfigError(
            f"{_HERE} is a SQLAlchemySyncConfig, whose engine would block the event loop: give a "
            f"SQLAlchemyAsyncConfig with a driver such as {SUPPORTED}"
        )
    if isinstance(config, AsyncEngine):
        raise ConfigError(
            f"{_HERE} is an engine: wrap it, SQLAlchemyAsyncConfig(engine_instance=engine)"
        )
    if not isinstance(config, SQLAlchemyAsyncConfig):
        raise ConfigError(f"{_HERE} must be a SQLAlchemyAsyncConfig(...), not {config!r}")
    url = _url_of(config)
    return f"{url.get_backend_name()}+{url.get_driver_name()}"


def _url_of(config: SQLAlchemyAsyncConfig) -> URL:
    engine: Any = config.engine_instance
    if engine is None:
        if config.connection_string is None:
            raise ConfigError(f"{_HERE} has neither a connection_string nor an engine_instance")
        try:
            return make_url(config.connection_string)
        except ArgumentError as error:
            raise ConfigError(f"{_HERE}.connection_string: {error}") from error
    if not isinstance(engine, AsyncEngine):
        raise ConfigError(
            f"{_HERE}.engine_instance blocks the event loop: make it by create_async_engine"
        )
    url: URL = engine.url
    return url
