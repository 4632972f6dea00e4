"""What cannot work is refused with the fix, when it is configured if that can be."""

from __future__ import annotations

import re
from typing import Any

import pytest
from advanced_alchemy.config import SQLAlchemyAsyncConfig, SQLAlchemySyncConfig
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine
from tests.advanced_alchemy.conftest import DRIVERS, Alchemy
from tests.databases.postgres import Database

from litestar_queues_advanced_alchemy import AdvancedAlchemyBackendConfig
from litestar_queues_core.errors import (
    ConfigError,
    QueueError,
    SchemaError,
    StoreUnavailable,
)
from litestar_queues_core.testing import make_job
from litestar_queues_sql.database import PREFIX

URL = "postgresql+asyncpg://app@localhost/app"
SYNC = "postgresql+psycopg://app@localhost/app"


def engine(of: Any) -> SQLAlchemyAsyncConfig:
    return SQLAlchemyAsyncConfig(engine_instance=of)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            SQLAlchemySyncConfig(connection_string=SYNC),
            "give a SQLAlchemyAsyncConfig with",
        ),
        (create_async_engine(URL), r"wrap it, SQLAlchemyAsyncConfig\(engine_instance=engine\)"),
        (engine(create_engine(SYNC)), "make it by create_async_engine"),
        (URL, "must be a SQLAlchemyAsyncConfig"),
        (None, "must be a SQLAlchemyAsyncConfig"),
        (SQLAlchemyAsyncConfig(), "neither a connection_string nor an engine_instance"),
        (SQLAlchemyAsyncConfig(connection_string="here"), "connection_string: Could not parse"),
        (
            SQLAlchemyAsyncConfig(connection_string="oracle+oracledb_async://app@localhost/app"),
            "oracle.oracledb_async of SQLAlchemy: it is not supported yet; supported are",
        ),
        (
            SQLAlchemyAsyncConfig(connection_string="postgresql+psycopg2://app@localhost/app"),
            "postgresql.psycopg2 of SQLAlchemy: it is not supported yet; supported are",
        ),
    ],
)
def test_a_configuration_that_cannot_work(config: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        AdvancedAlchemyBackendConfig(config=config)


def test_a_prefix_that_is_no_identifier() -> None:
    config = SQLAlchemyAsyncConfig(connection_string=URL)

    with pytest.raises(ConfigError, match="the prefix of the queue's tables must be"):
        AdvancedAlchemyBackendConfig(config=config, prefix="my-")


@pytest.mark.parametrize("driver", DRIVERS)
async def test_the_tables_are_missing(database: Database, alchemy: Alchemy, driver: str) -> None:
    backend = AdvancedAlchemyBackendConfig(config=alchemy(database, driver))

    with pytest.raises(SchemaError, match="a table of the queue is missing"):
        async with backend.open():
            pass


@pytest.mark.parametrize("driver", DRIVERS)
async def test_the_tables_are_older_or_newer_or_somebody_elses(
    database: Database, alchemy: Alchemy, driver: str
) -> None:
    async def refusal(*statements: str) -> str:
        for statement in statements:
            database.ask(statement)
        with pytest.raises(QueueError) as caught:
            async with AdvancedAlchemyBackendConfig(config=config).open() as store:
                await store.enqueue([make_job()])
        return f"{type(caught.value).__name__}: {caught.value}"

    config = alchemy(database, driver)
    async with AdvancedAlchemyBackendConfig(config=config, create_schema=True).open():
        pass
    table, job = f"{PREFIX}schema", f"{PREFIX}job"

    older = await refusal(f"UPDATE {table} SET version = 0")  # noqa: S608
    newer = await refusal(f"UPDATE {table} SET version = 99, oldest_reader = 99")  # noqa: S608
    denied = await refusal(
        f"UPDATE {table} SET version = 99, oldest_reader = 1",  # noqa: S608
        f"ALTER TABLE {job} OWNER TO postgres",
        f"REVOKE ALL ON {job} FROM app",
    )

    assert re.match("SchemaError: .* version 0, .*create_schema=True.*run your migrations", older)
    assert re.match("SchemaError: .* version 99.*upgrade litestar-queues-sql here", newer)
    assert re.match("ConfigError: .*permission denied.*grant the role of the queue", denied)


@pytest.mark.parametrize("driver", DRIVERS)
async def test_the_database_is_missing(database: Database, alchemy: Alchemy, driver: str) -> None:
    url = database.server.dsn("nowhere").replace("postgresql:", f"postgresql+{driver}:")
    backend = AdvancedAlchemyBackendConfig(config=SQLAlchemyAsyncConfig(connection_string=url))

    with pytest.raises((ConfigError, StoreUnavailable), match='database "nowhere" does not exist'):
        async with backend.open():
            pass


@pytest.mark.parametrize("driver", DRIVERS)
async def test_nobody_listens(driver: str) -> None:
    url = f"postgresql+{driver}://app@127.0.0.1:1/app"
    backend = AdvancedAlchemyBackendConfig(config=SQLAlchemyAsyncConfig(connection_string=url))

    with pytest.raises(StoreUnavailable, match="PostgreSQL cannot be reached"):
        async with backend.open():
            pass


@pytest.mark.parametrize(
    ("driver", "given", "said"),
    [
        ("asyncpg", {"colour": "blue"}, "colour"),
        ("asyncpg", {"ssl": "perhaps"}, "`sslmode` parameter must be one of"),
        ("psycopg", {"colour": "blue"}, "colour"),
    ],
)
async def test_arguments_that_the_driver_does_not_know(
    database: Database, alchemy: Alchemy, driver: str, given: dict[str, str], said: str
) -> None:
    url = database.url.replace("postgresql:", f"postgresql+{driver}:")
    refused = create_async_engine(url, connect_args=given)
    backend = AdvancedAlchemyBackendConfig(config=engine(refused), create_schema=True)

    with pytest.raises(ConfigError, match=said):
        async with backend.open():
            pass
