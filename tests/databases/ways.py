"""The ways to a database that applications have: SQLSpec or SQLAlchemy, with one of its drivers.

Libraries are imported where they are used: whoever takes one way need not wait for the other.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeAlias

from litestar_queues_core.protocols import BackendConfig

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession


Borrow: TypeAlias = Callable[[], AbstractAsyncContextManager[Any]]


class At(NamedTuple):
    """Where a database is."""

    url: str


class Way(ABC):
    """Makes stores, and sessions of an application on connections of their own.

    Args:
        driver: The driver, as the library calls it.
    """

    library: ClassVar[str]

    def __init__(self, driver: str) -> None:
        self.driver = driver

    def __str__(self) -> str:
        return f"{self.library}-{self.driver}"

    @abstractmethod
    def backend(self, url: str, **settings: Any) -> BackendConfig:
        """Return the configuration of a store."""

    @abstractmethod
    def transaction(self, url: str) -> AbstractAsyncContextManager[Any]:
        """Open a session with a transaction, which is committed at the end.

        Its connection may fail in any way, and ends with it: what a silent network keeps from us is
        rolled back by the server.
        """

    @abstractmethod
    def small_pool(self, url: str) -> AbstractAsyncContextManager[tuple[BackendConfig, Borrow]]:
        """Give a store on a pool of the application with one connection, and what borrows it."""

    @abstractmethod
    async def execute(self, session: Any, statement: str, **values: object) -> None:
        """Execute a statement with ``:named`` values in a session."""


class Spec(Way):
    """SQLSpec."""

    library = "sqlspec"

    def config(self, url: str) -> Any:
        """Return the configuration of SQLSpec."""
        from tests.sqlspec.places import MARIADB, POSTGRES

        return (POSTGRES | MARIADB)[self.driver](At(url))

    def backend(self, url: str, **settings: Any) -> BackendConfig:
        return self._backend(self.config(url), **settings)

    def _backend(self, config: Any, **settings: Any) -> BackendConfig:
        from litestar_queues_sqlspec import SQLSpecBackendConfig

        return SQLSpecBackendConfig(config=config, **settings)

    @asynccontextmanager
    async def transaction(self, url: str) -> AsyncGenerator[Any]:
        config = self.config(url)
        connection = await self._connections(config).open()
        try:
            driver = config.driver_type(
                connection.raw, config.statement_config, config.driver_features
            )
            await driver.begin()
            yield driver
            await driver.commit()
        finally:
            connection.discard()

    def _connections(self, config: Any) -> Any:
        if self.driver == "asyncpg":
            from litestar_queues_sqlspec.asyncpg import AsyncpgConnections

            return AsyncpgConnections(config, notify=False)
        if self.driver == "psycopg":
            from litestar_queues_sqlspec.psycopg import PsycopgConnections

            return PsycopgConnections(config, notify=False)
        from litestar_queues_sqlspec.mysql import MySQLConnections

        return MySQLConnections(config, self.driver)

    @asynccontextmanager
    async def small_pool(self, url: str) -> AsyncGenerator[tuple[BackendConfig, Borrow]]:
        config = self.config(url)
        names = ("min_size", "max_size") if url.startswith("postgres") else ("minsize", "maxsize")
        config.connection_config.update(dict.fromkeys(names, 1))
        await config.provide_pool()
        try:
            yield self._backend(config, create_schema=True), config.provide_connection
        finally:
            await config.close_pool()

    async def execute(self, session: Any, statement: str, **values: object) -> None:
        await session.execute(statement, **values)


class PooledSpec(Spec):
    """SQLSpec behind a pooler of transactions."""

    def config(self, url: str) -> Any:
        config = super().config(url)
        config.connection_config["statement_cache_size"] = 0
        return config


class FileSpec(Spec):
    """SQLSpec, on a SQLite file."""

    def config(self, url: str) -> Any:
        from tests.sqlspec.places import SQLITE

        return SQLITE[self.driver](Path(url.removeprefix("sqlite:///")))

    @asynccontextmanager
    async def transaction(self, url: str) -> AsyncGenerator[Any]:
        config = self.config(url)
        try:
            async with config.provide_session() as driver:
                await driver.begin()
                yield driver
                await driver.commit()
        finally:
            await config.close_pool()


class Alchemy(Way):
    """SQLAlchemy, by a configuration of Advanced Alchemy."""

    library = "alchemy"

    def _url(self, url: str) -> str:
        system, _, rest = url.partition(":")
        return f"{system}+{self.driver}:{rest}"

    def backend(self, url: str, **settings: Any) -> BackendConfig:
        from advanced_alchemy.config import SQLAlchemyAsyncConfig

        from litestar_queues_advanced_alchemy import AdvancedAlchemyBackendConfig

        config = SQLAlchemyAsyncConfig(connection_string=self._url(url))
        return AdvancedAlchemyBackendConfig(config=config, **settings)

    @asynccontextmanager
    async def transaction(self, url: str) -> AsyncGenerator[AsyncSession]:
        from sqlalchemy.ext.asyncio import AsyncSession

        session = AsyncSession(engine_of(self._url(url)))
        try:
            yield session
            await session.commit()
        finally:
            await session.invalidate()

    @asynccontextmanager
    async def small_pool(self, url: str) -> AsyncGenerator[tuple[BackendConfig, Borrow]]:
        from advanced_alchemy.config import EngineConfig, SQLAlchemyAsyncConfig

        from litestar_queues_advanced_alchemy import AdvancedAlchemyBackendConfig

        config = SQLAlchemyAsyncConfig(
            connection_string=self._url(url),
            engine_config=EngineConfig(pool_size=1, max_overflow=0),
        )
        engine = config.get_engine()
        try:
            backend = AdvancedAlchemyBackendConfig(config=config, create_schema=True)
            yield backend, engine.connect
        finally:
            await engine.dispose()

    async def execute(self, session: Any, statement: str, **values: object) -> None:
        from sqlalchemy import text

        await session.execute(text(statement), values)


@functools.cache
def engine_of(url: str) -> AsyncEngine:
    """Return an engine that keeps no connections, so that there is nothing to dispose of."""
    from sqlalchemy import NullPool
    from sqlalchemy.ext.asyncio import create_async_engine

    return create_async_engine(url, poolclass=NullPool)


POSTGRES = (
    *(Spec(driver) for driver in ("asyncpg", "psycopg", "psycopg-sync")),
    *(Alchemy(driver) for driver in ("asyncpg", "psycopg")),
)
MARIADB = (*(Spec(driver) for driver in ("asyncmy", "aiomysql")), Alchemy("asyncmy"))
