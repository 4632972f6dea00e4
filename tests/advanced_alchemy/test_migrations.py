"""The tables come with the application's migrations, and are those that the store makes itself."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from pathlib import Path

import pytest
from advanced_alchemy.alembic.commands import AlembicCommands
from advanced_alchemy.base import metadata_registry
from advanced_alchemy.config import AlembicAsyncConfig, SQLAlchemyAsyncConfig
from alembic.autogenerate import produce_migrations
from alembic.migration import MigrationContext
from alembic.operations.ops import CreateTableOp
from sqlalchemy import Column, Integer, MetaData, Table, create_engine
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import NullPool
from sqlspec.adapters.asyncpg import AsyncpgConfig
from tests.advanced_alchemy.catalog import catalog
from tests.databases.fixtures import NEWEST, VERSIONS, DatabaseOf
from tests.databases.postgres import Database

from litestar_queues_advanced_alchemy import AdvancedAlchemyBackendConfig, queue_tables
from litestar_queues_core.errors import ConfigError, SchemaError
from litestar_queues_sql.database import PREFIX
from litestar_queues_sql.postgres import open_postgres
from litestar_queues_sqlspec.asyncpg import AsyncpgConnections

BIND_KEY = "test_migrations"


@pytest.fixture(autouse=True)
def registry() -> Generator[None]:
    yield
    metadata_registry._registry.pop(BIND_KEY, None)


def async_url(database: Database) -> str:
    return database.url.replace("postgresql:", "postgresql+asyncpg:")


def psycopg_url(database: Database) -> str:
    return database.url.replace("postgresql:", "postgresql+psycopg:")


def configure(database: Database, folder: Path) -> SQLAlchemyAsyncConfig:
    return SQLAlchemyAsyncConfig(
        connection_string=async_url(database),
        bind_key=BIND_KEY,
        alembic_config=AlembicAsyncConfig(
            script_location=str(folder), compare_type=True, version_table_name="alembic"
        ),
    )


def migrate(commands: AlembicCommands, folder: Path, message: str) -> str:
    """Make a migration, apply it, and return its text."""
    before = set((folder / "versions").glob("*.py"))
    commands.revision(message=message, autogenerate=True)
    (made,) = set((folder / "versions").glob("*.py")) - before
    commands.upgrade()
    return made.read_text()


async def made_by_the_store(database: Database, prefix: str = PREFIX) -> None:
    connections = AsyncpgConnections(
        AsyncpgConfig(connection_config={"dsn": database.url}), notify=False
    )
    try:
        async with open_postgres(connections, prefix=prefix, notify=False):
            pass
    finally:
        await connections.close()


def differences(database: Database, metadata: MetaData) -> list[object]:
    """Return what autogenerate would do, comparing all it can."""
    options = {"compare_type": True, "compare_server_default": True}
    with create_engine(psycopg_url(database), poolclass=NullPool).connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        operations = produce_migrations(context, metadata).upgrade_ops
        assert operations is not None
        return list(operations.ops)


@pytest.mark.filterwarnings("ignore:No path_separator found:DeprecationWarning")
@pytest.mark.parametrize("version", VERSIONS)
def test_the_migration_makes_what_the_store_makes(
    version: str, database_of: DatabaseOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # for alembic.ini
    migrated, made = database_of(version), database_of(version)
    config = configure(migrated, folder := tmp_path / "migrations")
    backend = AdvancedAlchemyBackendConfig(config=config)
    commands = AlembicCommands(config)
    commands.init(str(folder))

    first = migrate(commands, folder, "first")
    second = migrate(commands, folder, "second")
    asyncio.run(made_by_the_store(made))

    assert "create_table('litestar_queues_job'" in first
    assert "op." not in second.partition("def schema_upgrades")[2].replace("op.get_context", "")
    assert catalog(migrated) == catalog(made)
    asyncio.run(opens(backend))


async def opens(backend: AdvancedAlchemyBackendConfig) -> None:
    async with backend.open() as store:
        assert (await store.count()).counts == []
    await backend.config.get_engine().dispose()


@pytest.mark.parametrize("version", VERSIONS)
def test_autogenerate_finds_nothing_to_do_with_tables_that_the_store_has_made(
    version: str, database_of: DatabaseOf
) -> None:
    database = database_of(version)
    metadata = MetaData(naming_convention={"pk": "pk_%(table_name)s", "uq": "uq_%(column_0_name)s"})
    queue_tables(metadata)
    asyncio.run(made_by_the_store(database))

    assert differences(database, metadata) == []


def test_create_all_makes_the_same(database_of: DatabaseOf) -> None:
    by_metadata, by_store = database_of(NEWEST), database_of(NEWEST)
    queue_tables(metadata := MetaData())
    engine = create_engine(psycopg_url(by_metadata), poolclass=NullPool)
    for _ in range(2):
        metadata.create_all(engine)
    asyncio.run(made_by_the_store(by_store))

    assert catalog(by_metadata) == catalog(by_store)
    assert differences(by_metadata, metadata) == []


def test_the_tables_of_the_application_are_left_alone(database: Database) -> None:
    metadata = MetaData()
    Table("orders", metadata, Column("id", Integer, primary_key=True))
    queue_tables(metadata)
    asyncio.run(made_by_the_store(database))

    (found,) = differences(database, metadata)
    assert isinstance(found, CreateTableOp)
    assert found.table_name == "orders"


def test_tables_of_several_queues_and_of_other_bases(database: Database) -> None:
    class Base(DeclarativeBase):
        pass

    class Job(Base):
        __table__ = queue_tables(Base.metadata, prefix="mail_")["job"]

    queue_tables(Base.metadata)
    Base.metadata.create_all(create_engine(psycopg_url(database), poolclass=NullPool))

    assert database.ask("SELECT version FROM mail_schema") == [(1,)]
    assert database.ask("SELECT version FROM litestar_queues_schema") == [(1,)]
    assert differences(database, Base.metadata) == []
    assert Job.__table__.name == "mail_job"


def test_constraints_are_called_what_the_server_calls_them(database: Database) -> None:
    prefix = "a_prefix_that_is_just_as_long_as_it_may__"[:40]
    queue_tables(metadata := MetaData(), prefix=prefix)
    asyncio.run(made_by_the_store(database, prefix))

    assert differences(database, metadata) == []


def test_a_table_in_another_schema(database: Database) -> None:
    tables = queue_tables(MetaData(), schema="jobs")

    assert {table.schema for table in tables.values()} == {"jobs"}


def test_the_tables_are_put_into_the_metadata_once() -> None:
    metadata = MetaData()

    assert queue_tables(metadata) == queue_tables(metadata)


def test_a_table_of_the_application_with_our_name_is_refused() -> None:
    metadata = MetaData()
    Table("litestar_queues_job", metadata)

    with pytest.raises(ConfigError, match="your metadata has a table 'litestar_queues_job'"):
        queue_tables(metadata)


def test_without_migrations_the_store_says_what_is_missing(database: Database) -> None:
    config = SQLAlchemyAsyncConfig(connection_string=async_url(database), bind_key=BIND_KEY)

    with pytest.raises(SchemaError, match=r"a table of the queue is missing.*run your migrations"):
        asyncio.run(opens(AdvancedAlchemyBackendConfig(config=config)))
