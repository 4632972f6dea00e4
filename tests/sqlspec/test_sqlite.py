"""Jobs in the application's SQLite file, through either configuration of SQLSpec."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from inspect import isawaitable
from pathlib import Path
from typing import Any

import pytest
from sqlspec.adapters.aiosqlite import AiosqliteConfig
from tests.sqlspec.places import SQLITE

from litestar_queues_core.errors import ConfigError, SchemaError
from litestar_queues_core.testing import (
    BackendConformance,
    Claimer,
    StoreConformance,
    make_job,
)
from litestar_queues_sql.sqlite import SQLiteStore
from litestar_queues_sqlspec import SQLSpecBackendConfig


@pytest.fixture(params=["aiosqlite", pytest.param("sqlite", marks=pytest.mark.service)])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return SQLITE[request.param](tmp_path / "app.db")


async def migrate(config: Any) -> None:
    config.migration_config["script_location"] = "none"
    done = config.migrate_up(echo=False)
    if isawaitable(done):
        await done
    closed = config.close_pool()
    if isawaitable(closed):
        await closed


class TestSQLiteStore(StoreConformance):
    @pytest.fixture
    async def store(self, config: Any) -> AsyncGenerator[SQLiteStore]:
        async with SQLSpecBackendConfig(config=config, create_schema=True).open() as store:
            assert isinstance(store, SQLiteStore)
            yield store


class TestSQLiteBackend(BackendConformance):
    @pytest.fixture
    def backend(self, config: Any) -> SQLSpecBackendConfig:
        return SQLSpecBackendConfig(config=config, create_schema=True)


@pytest.mark.parametrize("adapter", SQLITE)
async def test_migrations_make_the_tables(adapter: str, tmp_path: Path) -> None:
    config = SQLITE[adapter](tmp_path / "app.db")
    backend = SQLSpecBackendConfig(config=config, create_schema=False)
    with pytest.raises(SchemaError, match="run your migrations"):
        async with backend.open():
            pass

    await migrate(config)
    await migrate(config)

    async with backend.open() as store:
        await store.enqueue([make_job()])
        assert len(await (await Claimer(store).open()).claim()) == 1


async def test_the_file_may_be_given_as_an_address(tmp_path: Path) -> None:
    config = AiosqliteConfig(connection_config={"database": f"file:{tmp_path}/app%20one.db"})
    async with SQLSpecBackendConfig(config=config, create_schema=True).open():
        pass
    assert (tmp_path / "app one.db").exists()


@pytest.mark.parametrize(
    ("database", "complaint"),
    [
        (":memory:", "in memory"),
        ("file:one?mode=memory&cache=shared", "in memory"),
        ("file:one.db?immutable=1", "parameters"),
    ],
)
@pytest.mark.parametrize("adapter", SQLITE)
def test_what_is_no_plain_file_is_refused(adapter: str, database: str, complaint: str) -> None:
    kind = type(SQLITE[adapter](Path("any.db")))
    with pytest.raises(ConfigError, match=complaint):
        SQLSpecBackendConfig(config=kind(connection_config={"database": database}))
