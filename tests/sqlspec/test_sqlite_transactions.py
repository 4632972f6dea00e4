"""Jobs share transactions with the data of an application in a SQLite file, through SQLSpec."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.sqlspec.places import SQLITE

from litestar_queues_core.testing.conformance.transactions import (
    BlockingTransactions,
    OneWriterTransactions,
)
from litestar_queues_sql.sqlite import SQLiteStore
from litestar_queues_sqlspec import SQLSpecBackendConfig

ADD = "UPDATE counter SET value = value + 1"


def make_counter(path: Path) -> None:
    raw = sqlite3.connect(path)
    raw.execute("CREATE TABLE counter (value INTEGER NOT NULL)")
    raw.execute("INSERT INTO counter VALUES (0)")
    raw.commit()
    raw.close()


def counted(path: Path) -> int:
    raw = sqlite3.connect(path)
    ((value,),) = raw.execute("SELECT value FROM counter").fetchall()
    raw.close()
    return int(value)


class Failing:
    """Forbids everything on a connection until what was done is rolled back."""

    def __init__(self) -> None:
        self.over = False

    def __call__(self, action: int, first: str | None, *rest: str | None) -> int:
        if action == sqlite3.SQLITE_TRANSACTION and first == "ROLLBACK":
            self.over = True
        return sqlite3.SQLITE_OK if self.over else sqlite3.SQLITE_DENY


class Counter:
    """An application with a pool."""

    def __init__(self, config: Any, path: Path) -> None:
        self.config = config
        self.path = path

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Any]:
        async with self.config.provide_session() as driver, driver.transaction():
            yield driver

    async def count(self, session: Any) -> None:
        await session.execute(ADD)

    async def counted(self) -> int:
        return counted(self.path)

    async def cut(self, session: Any) -> None:
        await session.connection.set_authorizer(Failing())


class BlockingCounter:
    """An application whose drivers block."""

    def __init__(self, config: Any, path: Path) -> None:
        self.config = config
        self.path = path

    @contextmanager
    def transaction(self) -> Generator[Any]:
        with self.config.provide_session() as driver, driver.transaction():
            yield driver

    def count(self, session: Any) -> None:
        session.execute(ADD)

    def counted(self) -> int:
        return counted(self.path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "app.db"
    make_counter(path)
    return path


async def store_of(config: Any) -> AsyncGenerator[SQLiteStore]:
    async with SQLSpecBackendConfig(config=config, create_schema=True).open() as store:
        assert isinstance(store, SQLiteStore)
        yield store


class TestAiosqliteTransactions(OneWriterTransactions):
    @pytest.fixture
    async def application(self, path: Path) -> AsyncGenerator[Counter]:
        config = SQLITE["aiosqlite"](path)
        yield Counter(config, path)
        await config.close_pool()

    @pytest.fixture
    async def store(self, application: Counter) -> AsyncGenerator[SQLiteStore]:
        async for store in store_of(application.config):
            yield store


class TestSqliteTransactions(BlockingTransactions):
    @pytest.fixture
    def blocking(self, path: Path) -> Generator[BlockingCounter]:
        config = SQLITE["sqlite"](path)
        yield BlockingCounter(config, path)
        config.close_pool()

    @pytest.fixture
    async def store(self, blocking: BlockingCounter) -> AsyncGenerator[SQLiteStore]:
        async for store in store_of(blocking.config):
            yield store
