"""Jobs share transactions with the data of an application, on PostgreSQL through asyncpg."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from sqlspec.adapters.asyncpg import AsyncpgConfig, AsyncpgDriver
from tests.databases.fixtures import VERSIONS, DatabaseOf
from tests.databases.postgres import APP, Database

from litestar_queues_core.testing.conformance.transactions import Transactions
from litestar_queues_sql.postgres import PostgresStore
from litestar_queues_sqlspec import SQLSpecBackendConfig


class Counter:
    """An application with a pool of asyncpg."""

    def __init__(self, config: AsyncpgConfig, database: Database) -> None:
        self.config = config
        self._database = database
        database.ask("CREATE TABLE counter (value int NOT NULL)")
        database.ask("INSERT INTO counter VALUES (0)")
        database.ask(f"ALTER TABLE counter OWNER TO {APP}")

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[AsyncpgDriver]:
        async with self.config.provide_session() as driver, driver.transaction():
            yield driver

    async def count(self, session: AsyncpgDriver) -> None:
        await session.execute("UPDATE counter SET value = value + 1")

    async def counted(self) -> int:
        ((value,),) = self._database.ask("SELECT value FROM counter")
        return int(value)

    async def cut(self, session: AsyncpgDriver) -> None:
        self._database.end(session.connection.get_server_pid())


@pytest.fixture(params=VERSIONS)
def fresh(request: pytest.FixtureRequest, database_of: DatabaseOf) -> Database:
    return database_of(request.param)


class TestAsyncpgTransactions(Transactions):
    @pytest.fixture
    async def application(self, fresh: Database) -> AsyncGenerator[Counter]:
        config = AsyncpgConfig(connection_config={"dsn": fresh.url})
        yield Counter(config, fresh)
        await config.close_pool()

    @pytest.fixture
    async def store(self, application: Counter) -> AsyncGenerator[PostgresStore]:
        async with SQLSpecBackendConfig(
            config=application.config, create_schema=True
        ).open() as store:
            yield store
