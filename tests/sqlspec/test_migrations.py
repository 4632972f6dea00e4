"""The tables come with the migrations of SQLSpec, as ``litestar db upgrade`` runs them."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from inspect import isawaitable
from pathlib import Path
from typing import Any

import pytest
from tests.databases.postgres import Database
from tests.sqlspec.places import POSTGRES, SQLITE

from litestar_queues_core.errors import SchemaError
from litestar_queues_core.testing import Claimer, make_job
from litestar_queues_sql.database import PREFIX
from litestar_queues_sqlspec import SQLSpecBackendConfig

Open = Callable[[], Any]

SCHEMA = f"{PREFIX}schema"
TRACKED = "SELECT version_num FROM ddl_migrations"


async def migrate(config: Any, *, up: bool = True) -> None:
    done = config.migrate_up(echo=False) if up else config.migrate_down("base", echo=False)
    if isawaitable(done):
        await done
    closed = config.close_pool()
    if isawaitable(closed):
        await closed


@pytest.fixture(
    params=[
        pytest.param(name, marks=[] if name == "asyncpg" else [pytest.mark.service])
        for name in POSTGRES
    ]
)
def open_(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> Open:
    def open_() -> Any:
        config = POSTGRES[request.param](database)
        config.migration_config = {"script_location": str(tmp_path)}
        return config

    return open_


async def test_they_make_what_the_library_would(
    open_: Open, database: Database, tmp_path: Path
) -> None:
    config = open_()
    backend = SQLSpecBackendConfig(config=config, create_schema=False)
    await migrate(config)

    async with backend.open() as store:
        await store.enqueue([make_job()])
        assert len(await (await Claimer(store).open()).claim()) == 1
    assert ("ext_queues_0001",) in database.ask(TRACKED)
    columns = """
        SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns
        WHERE table_name LIKE %s ORDER BY 1, 2
    """
    indexes = "SELECT indexdef FROM pg_indexes WHERE tablename LIKE %s ORDER BY 1"
    theirs = [database.ask(one, f"{PREFIX}%") for one in (columns, indexes)]
    await migrate(open_(), up=False)
    async with SQLSpecBackendConfig(config=open_(), create_schema=True).open():
        pass
    assert [database.ask(one, f"{PREFIX}%") for one in (columns, indexes)] == theirs


async def test_tables_that_are_there_are_left_as_they_are(open_: Open) -> None:
    config = open_()
    async with SQLSpecBackendConfig(config=config, create_schema=True).open() as store:
        await store.enqueue([make_job()])
    await migrate(config)
    async with SQLSpecBackendConfig(config=open_(), create_schema=False).open() as store:
        assert len(await (await Claimer(store).open()).claim()) == 1


async def test_missing_older_and_newer_tables_are_said_at_the_start(
    open_: Open, database: Database
) -> None:
    backend = SQLSpecBackendConfig(config=open_(), create_schema=False)

    async def error() -> str:
        with pytest.raises(SchemaError) as caught:
            async with backend.open():
                pass
        return str(caught.value)

    assert "run your migrations" in await error()
    await migrate(backend.config)
    database.ask(f"UPDATE {SCHEMA} SET version = 0")  # noqa: S608
    assert "run your migrations" in await error()
    database.ask(f"UPDATE {SCHEMA} SET version = 99, oldest_reader = 99")  # noqa: S608
    assert "upgrade litestar-queues-sql" in await error()


async def test_all_tables_of_one_database_are_made_together(open_: Open) -> None:
    config = open_()
    backends = [
        SQLSpecBackendConfig(config=config, prefix=prefix, create_schema=False)
        for prefix in ("one_", "two_")
    ]
    await migrate(config)
    for backend in backends:
        async with backend.open() as store:
            job = make_job()
            await store.enqueue([job])
            held = await (await Claimer(store).open()).claim()
            assert [one.id for one in held] == [job.id]  # and not the other's


APP = """
from litestar import Litestar
from sqlspec import SQLSpec
from sqlspec.extensions.litestar import SQLSpecPlugin
from litestar_queues import QueueConfig, QueuePlugin
from litestar_queues.backends.sqlspec import SQLSpecBackendConfig

{config}
config.migration_config = {{"script_location": "migrations"}}
spec = SQLSpec()
spec.add_config(config)
queues = QueuePlugin(QueueConfig(queue_backend=SQLSpecBackendConfig(config=config)))
app = Litestar(plugins=[SQLSpecPlugin(spec), queues])
"""


def litestar(directory: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "litestar", *arguments],
        cwd=directory,
        env={**os.environ, "LITESTAR_APP": "app:app", "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def write_app(directory: Path, adapter: str, kind: str, **settings: str) -> None:
    made = f"""
from sqlspec.adapters.{adapter} import {kind}
config = {kind}(connection_config={settings!r})
"""
    (directory / "app.py").write_text(APP.format(config=made))


async def test_the_command_makes_the_tables_on_postgresql(
    database: Database, tmp_path: Path
) -> None:
    write_app(tmp_path, "asyncpg", "AsyncpgConfig", dsn=database.url)

    litestar(tmp_path, "db", "upgrade", "--no-prompt")

    assert ("ext_queues_0001",) in database.ask(TRACKED)
    config = POSTGRES["asyncpg"](database)
    async with SQLSpecBackendConfig(config=config, create_schema=False).open() as store:
        await store.enqueue([make_job()])


async def test_the_command_makes_the_tables_on_sqlite(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    write_app(tmp_path, "aiosqlite", "AiosqliteConfig", database=str(path))

    litestar(tmp_path, "db", "upgrade", "--no-prompt")

    with closing(sqlite3.connect(path)) as raw:
        assert ("ext_queues_0001",) in raw.execute(TRACKED).fetchall()
    config = SQLITE["aiosqlite"](path)
    async with SQLSpecBackendConfig(config=config, create_schema=False).open() as store:
        await store.enqueue([make_job()])
