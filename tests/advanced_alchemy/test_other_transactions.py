"""SQLite and MariaDB: jobs share transactions with data, in sessions of SQLAlchemy."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from advanced_alchemy.config import SQLAlchemyAsyncConfig
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from tests.advanced_alchemy.conftest import AIOMYSQL
from tests.advanced_alchemy.test_other_systems import configured
from tests.databases import mariadb
from tests.sqlspec.test_sqlite_transactions import Failing

from litestar_queues_core.testing.conformance.transactions import (
    BlockingTransactions,
    OneWriterTransactions,
    Transactions,
)
from litestar_queues_sql.store import SqlStore

TABLE = "CREATE TABLE counter (value INTEGER NOT NULL)"
COUNT = text("UPDATE counter SET value = value + 1")


class Counter:
    """An application with an async engine."""

    def __init__(self, config: SQLAlchemyAsyncConfig) -> None:
        self._config = config

    async def make(self) -> None:
        async with self._config.get_engine().begin() as connection:
            await connection.execute(text(TABLE))
            await connection.execute(text("INSERT INTO counter VALUES (0)"))

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[AsyncSession]:
        async with self._config.get_session() as session, session.begin():
            yield session

    async def count(self, session: AsyncSession) -> None:
        await session.execute(COUNT)

    async def counted(self) -> int:
        async with self._config.get_session() as session:
            return int((await session.execute(text("SELECT value FROM counter"))).scalar_one())

    async def cut(self, session: AsyncSession) -> None:
        raw = await (await session.connection()).get_raw_connection()
        connection = raw.driver_connection
        assert connection is not None
        await connection.set_authorizer(Failing())


class MariaCounter(Counter):
    """One on MariaDB."""

    def __init__(self, config: SQLAlchemyAsyncConfig, database: mariadb.Database) -> None:
        super().__init__(config)
        self._database = database

    async def cut(self, session: AsyncSession) -> None:
        self._database.end((await session.execute(text("SELECT CONNECTION_ID()"))).scalar_one())


class BlockingCounter:
    """An application with a blocking engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def make(self) -> None:
        with self._engine.begin() as connection:
            connection.execute(text(TABLE))
            connection.execute(text("INSERT INTO counter VALUES (0)"))

    @contextmanager
    def transaction(self) -> Generator[Session]:
        with Session(self._engine) as session, session.begin():
            yield session

    def count(self, session: Session) -> None:
        session.execute(COUNT)

    def counted(self) -> int:
        with Session(self._engine) as session:
            return int(session.execute(text("SELECT value FROM counter")).scalar_one())


async def store_at(url: str) -> AsyncGenerator[tuple[SQLAlchemyAsyncConfig, SqlStore]]:
    backend = configured(url)
    async with backend.open() as store:
        yield backend.config, store
    await backend.config.get_engine().dispose()


class TestAiosqliteSession(OneWriterTransactions):
    @pytest.fixture
    async def place(self, tmp_path: Path) -> AsyncGenerator[tuple[SQLAlchemyAsyncConfig, SqlStore]]:
        async for place in store_at(f"sqlite+aiosqlite:///{tmp_path}/app.db"):
            yield place

    @pytest.fixture
    def store(self, place: tuple[SQLAlchemyAsyncConfig, SqlStore]) -> SqlStore:
        return place[1]

    @pytest.fixture
    async def application(self, place: tuple[SQLAlchemyAsyncConfig, SqlStore]) -> Counter:
        counter = Counter(place[0])
        await counter.make()
        return counter


@pytest.mark.service
class TestMariaSession(Transactions):
    @pytest.fixture(params=["mysql+asyncmy", AIOMYSQL])
    async def place(
        self, request: pytest.FixtureRequest, maria_database: mariadb.Database
    ) -> AsyncGenerator[tuple[SQLAlchemyAsyncConfig, SqlStore]]:
        async for place in store_at(maria_database.url.replace("mysql:", f"{request.param}:")):
            yield place

    @pytest.fixture
    def store(self, place: tuple[SQLAlchemyAsyncConfig, SqlStore]) -> SqlStore:
        return place[1]

    @pytest.fixture
    async def application(
        self,
        place: tuple[SQLAlchemyAsyncConfig, SqlStore],
        maria_database: mariadb.Database,
    ) -> MariaCounter:
        counter = MariaCounter(place[0], maria_database)
        await counter.make()
        return counter


class TestSession(BlockingTransactions):
    @pytest.fixture(
        params=["sqlite", pytest.param("mysql+pymysql", marks=pytest.mark.service)],
    )
    def urls(self, request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
        """The address for the application, and the one for the store."""
        if request.param == "sqlite":
            place = f"{tmp_path}/app.db"
            sqlite3.connect(place).close()
            return f"sqlite:///{place}", f"sqlite+aiosqlite:///{place}"
        url: str = request.getfixturevalue("maria_database").url
        return tuple(url.replace("mysql:", f"mysql+{one}:") for one in ("pymysql", "asyncmy"))  # type: ignore[return-value]

    @pytest.fixture
    async def store(self, urls: tuple[str, str]) -> AsyncGenerator[SqlStore]:
        async for _, store in store_at(urls[1]):
            yield store

    @pytest.fixture
    def blocking(self, urls: tuple[str, str]) -> Generator[BlockingCounter]:
        engine = create_engine(urls[0])
        counter = BlockingCounter(engine)
        counter.make()
        yield counter
        engine.dispose()
