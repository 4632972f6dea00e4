"""Jobs share transactions with the data of an application on MariaDB, through SQLSpec."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.databases import mariadb
from tests.sqlspec.places import MARIADB

from litestar_queues_core.testing.conformance.transactions import Transactions
from litestar_queues_sql.mysql import MySQLStore
from litestar_queues_sqlspec import SQLSpecBackendConfig

pytestmark = pytest.mark.service


class Counter:
    """An application with a pool."""

    def __init__(self, config: Any, database: mariadb.Database) -> None:
        self.config = config
        self._database = database
        database.ask("CREATE TABLE counter (value int NOT NULL) ENGINE = InnoDB")
        database.ask("INSERT INTO counter VALUES (0)")

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
        self._database.end(await session.select_value("SELECT CONNECTION_ID()"))


@pytest.fixture(params=MARIADB)
async def application(
    request: pytest.FixtureRequest, maria_database: mariadb.Database
) -> AsyncGenerator[Counter]:
    config = MARIADB[request.param](maria_database)
    yield Counter(config, maria_database)
    await config.close_pool()


@pytest.fixture
async def store(application: Counter) -> AsyncGenerator[MySQLStore]:
    async with SQLSpecBackendConfig(config=application.config, create_schema=True).open() as store:
        assert isinstance(store, MySQLStore)
        yield store


class TestMariaTransactions(Transactions):
    pass
