"""Jobs share transactions with the data of an application, in sessions of SQLAlchemy."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

import pytest
from advanced_alchemy.config import SQLAlchemyAsyncConfig
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from tests.advanced_alchemy.conftest import DRIVERS, Alchemy
from tests.databases.fixtures import VERSIONS, DatabaseOf
from tests.databases.postgres import APP, Database

from litestar_queues_advanced_alchemy import AdvancedAlchemyBackendConfig
from litestar_queues_core.testing.conformance.transactions import BlockingTransactions, Transactions
from litestar_queues_sql.postgres import PostgresStore

COUNT = text("UPDATE counter SET value = value + 1")
PID = text("SELECT pg_backend_pid()")


class Counter:
    """An application with an async engine."""

    def __init__(self, config: SQLAlchemyAsyncConfig, database: Database) -> None:
        self.config = config
        self._database = database

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[AsyncSession]:
        async with self.config.get_session() as session, session.begin():
            yield session

    async def count(self, session: AsyncSession) -> None:
        await session.execute(COUNT)

    async def counted(self) -> int:
        return counted(self._database)

    async def cut(self, session: AsyncSession) -> None:
        self._database.end((await session.execute(PID)).scalar_one())


class BlockingCounter:
    """An application with a blocking engine."""

    def __init__(self, engine: Engine, database: Database) -> None:
        self._engine = engine
        self._database = database

    @contextmanager
    def transaction(self) -> Generator[Session]:
        with Session(self._engine) as session, session.begin():
            yield session

    def count(self, session: Session) -> None:
        session.execute(COUNT)

    def counted(self) -> int:
        return counted(self._database)


def counted(database: Database) -> int:
    ((value,),) = database.ask("SELECT value FROM counter")
    return int(value)


@pytest.fixture(params=VERSIONS)
def fresh(request: pytest.FixtureRequest, database_of: DatabaseOf) -> Database:
    database = database_of(request.param)
    database.ask("CREATE TABLE counter (value int NOT NULL)")
    database.ask("INSERT INTO counter VALUES (0)")
    database.ask(f"ALTER TABLE counter OWNER TO {APP}")
    return database


@pytest.fixture(params=DRIVERS)
def config(request: pytest.FixtureRequest, fresh: Database, alchemy: Alchemy) -> object:
    return alchemy(fresh, request.param)


@pytest.fixture
async def store(config: SQLAlchemyAsyncConfig) -> AsyncGenerator[PostgresStore]:
    async with AdvancedAlchemyBackendConfig(config=config, create_schema=True).open() as store:
        yield store


class TestAsyncSession(Transactions):
    @pytest.fixture
    def application(self, config: SQLAlchemyAsyncConfig, fresh: Database) -> Counter:
        return Counter(config, fresh)


class TestSession(BlockingTransactions):
    @pytest.fixture
    def blocking(self, fresh: Database) -> Generator[BlockingCounter]:
        engine = create_engine(fresh.url.replace("postgresql:", "postgresql+psycopg:"))
        yield BlockingCounter(engine, fresh)
        engine.dispose()
