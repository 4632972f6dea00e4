"""Jobs share transactions with the data of an application on PostgreSQL, by asyncpg and psycopg."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from tests.databases.fixtures import VERSIONS, DatabaseOf
from tests.databases.postgres import APP, Database
from tests.sqlspec.places import POSTGRES

from litestar_queues_core.testing.conformance.transactions import BlockingTransactions, Transactions
from litestar_queues_sql.postgres import PostgresStore
from litestar_queues_sqlspec import SQLSpecBackendConfig


class Counter:
    """An application with a pool."""

    def __init__(self, config: Any, database: Database) -> None:
        self.config = config
        self._database = database
        database.ask("CREATE TABLE counter (value int NOT NULL)")
        database.ask("INSERT INTO counter VALUES (0)")
        database.ask(f"ALTER TABLE counter OWNER TO {APP}")

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Any]:
        async with self.config.provide_session() as driver, driver.transaction():
            yield driver

    async def count(self, session: Any) -> None:
        await session.execute("UPDATE counter SET value = value + 1")

    async def counted(self) -> int:
        ((value,),) = self._database.ask("SELECT value FROM counter")
        return int(value)

    async def cut(self, session: Any) -> None:
        raw = session.connection
        asyncpg = hasattr(raw, "get_server_pid")
        self._database.end(raw.get_server_pid() if asyncpg else raw.info.backend_pid)


@pytest.fixture(params=VERSIONS)
def fresh(request: pytest.FixtureRequest, database_of: DatabaseOf) -> Database:
    return database_of(request.param)


async def application_of(driver: str, database: Database) -> AsyncGenerator[Counter]:
    config = POSTGRES[driver](database)
    yield Counter(config, database)
    await config.close_pool()


class BlockingCounter:
    """An application whose drivers block."""

    def __init__(self, config: Any, database: Database) -> None:
        self.config = config
        self._database = database
        Counter(config, database)

    @contextmanager
    def transaction(self) -> Generator[Any]:
        with self.config.provide_session() as driver, driver.transaction():
            yield driver

    def count(self, session: Any) -> None:
        session.execute("UPDATE counter SET value = value + 1")

    def counted(self) -> int:
        ((value,),) = self._database.ask("SELECT value FROM counter")
        return int(value)


class _Shared(Transactions):
    @pytest.fixture
    async def store(self, application: Counter) -> AsyncGenerator[PostgresStore]:
        backend = SQLSpecBackendConfig(config=application.config, create_schema=True)
        async with backend.open() as store:
            assert isinstance(store, PostgresStore)
            yield store


class TestAsyncpgTransactions(_Shared):
    @pytest.fixture
    async def application(self, fresh: Database) -> AsyncGenerator[Counter]:
        async for made in application_of("asyncpg", fresh):
            yield made


@pytest.mark.service
class TestPsycopgTransactions(_Shared):
    @pytest.fixture
    async def application(self, database: Database) -> AsyncGenerator[Counter]:
        async for made in application_of("psycopg", database):
            yield made


class TestBlockingPsycopgTransactions(BlockingTransactions):
    @pytest.fixture
    def blocking(self, database: Database) -> Generator[BlockingCounter]:
        config = POSTGRES["psycopg-sync"](database)
        yield BlockingCounter(config, database)
        config.close_pool()

    @pytest.fixture
    async def store(self, blocking: BlockingCounter) -> AsyncGenerator[PostgresStore]:
        backend = SQLSpecBackendConfig(config=blocking.config, create_schema=True)
        async with backend.open() as store:
            assert isinstance(store, PostgresStore)
            yield store
