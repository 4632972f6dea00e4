"""SQLite and MariaDB through SQLAlchemy: the contract, and the tables in migrations."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest
from advanced_alchemy.config import SQLAlchemyAsyncConfig
from alembic.autogenerate import produce_migrations
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, inspect
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool
from tests.advanced_alchemy.conftest import OTHERS

from litestar_queues_advanced_alchemy import AdvancedAlchemyBackendConfig, queue_tables
from litestar_queues_core.errors import ConfigError
from litestar_queues_core.testing import BackendConformance, StoreConformance
from litestar_queues_sql.store import SqlStore

pytestmark = pytest.mark.service

UrlOf = Callable[[], str]
BIND_KEY = "other systems"


def configured(url: str, **settings: Any) -> AdvancedAlchemyBackendConfig:
    config = SQLAlchemyAsyncConfig(connection_string=url, metadata=MetaData(), bind_key=BIND_KEY)
    return AdvancedAlchemyBackendConfig(config=config, **{"create_schema": True, **settings})


@pytest.fixture(params=OTHERS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    driver: str = request.param
    if driver.startswith("sqlite"):
        return f"{driver}:///{tmp_path}/app.db"
    address: str = request.getfixturevalue("maria_database").url
    return address.replace("mysql:", f"{driver}:")


@pytest.mark.service
class TestOtherStores(StoreConformance):
    @pytest.fixture
    async def store(self, url: str) -> AsyncGenerator[SqlStore]:
        async with configured(url).open() as store:
            yield store


class TestOtherBackends(BackendConformance):
    @pytest.fixture
    def backend(self, url: str) -> AdvancedAlchemyBackendConfig:
        return configured(url)


async def differences(engine: AsyncEngine, metadata: MetaData) -> list[object]:
    def compare(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        operations = produce_migrations(context, metadata).upgrade_ops
        assert operations is not None
        return list(operations.ops)

    async with engine.connect() as connection:
        return await connection.run_sync(compare)


def index(found: Any) -> str:
    where = found.get("dialect_options", {}).get("sqlite_where")
    return f"{found['name']} {found['unique']} {found['column_names']} {where}"


def described(connection: Connection) -> dict[str, Any]:
    """Return what reflection finds, which is what autogenerate compares."""
    inspector = inspect(connection)
    return {
        name: (
            [{**column, "type": str(column["type"])} for column in inspector.get_columns(name)],
            sorted(map(index, inspector.get_indexes(name))),
            inspector.get_pk_constraint(name)["constrained_columns"],
            sorted(map(repr, inspector.get_unique_constraints(name))),
            {} if connection.dialect.name == "sqlite" else inspector.get_table_options(name),
        )
        for name in sorted(inspector.get_table_names())
        if name.startswith("litestar_queues_")
    }


async def test_tables_of_the_store_and_of_the_metadata_are_the_same(url: str) -> None:
    dialect = url.partition("+")[0]
    queue_tables(metadata := MetaData(), dialect=dialect)
    async with configured(url).open():
        pass
    engine = create_async_engine(url, poolclass=NullPool)
    left = await differences(engine, metadata)
    async with engine.begin() as connection:
        by_store = await connection.run_sync(described)
        await connection.run_sync(metadata.drop_all)
        await connection.run_sync(metadata.create_all)
        by_metadata = await connection.run_sync(described)
    left += await differences(engine, metadata)
    await engine.dispose()

    assert left == []
    assert by_metadata == by_store
    async with configured(url, create_schema=False).open() as store:
        assert not (await store.count()).counts


@pytest.mark.parametrize("url", ["sqlite+aiosqlite://", "sqlite+aiosqlite:///:memory:"])
def test_a_database_in_memory_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="must name a plain file"):
        configured(url).open()


def test_notifications_are_of_postgresql() -> None:
    with pytest.raises(ConfigError, match="takes no DSN for SQLite"):
        configured("sqlite+aiosqlite:///app.db", notify="postgresql://app@localhost/app")
