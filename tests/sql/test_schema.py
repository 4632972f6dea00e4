"""Tables of other versions."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest

from litestar_queues_core.errors import SchemaError, StoreError
from litestar_queues_core.testing import Claimer, make_job
from litestar_queues_sql import SQLiteBackendConfig, SQLiteStore
from litestar_queues_sql.schema import MIGRATIONS, Migration
from litestar_queues_sql.script import Sql
from litestar_queues_sql.sqlite.database import SQLiteDatabase

LATEST = MIGRATIONS[-1].version
NEXT = Migration(
    version=LATEST + 1,
    oldest_reader=LATEST,
    statements=(
        Sql("ALTER TABLE $job ADD COLUMN mood $text"),
        Sql("UPDATE $job SET mood = 'patient'"),
        Sql("INSERT INTO $state (name, value) VALUES ('mood', 1)"),
    ),
)
BREAKING = Migration(version=LATEST + 2, oldest_reader=LATEST + 2, statements=())


def look(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


async def open_with(stack: AsyncExitStack, path: Path, *migrations: Migration) -> SQLiteStore:
    database = SQLiteDatabase(path, migrations=(*MIGRATIONS, *migrations))
    stack.push_async_callback(database.stop)
    await database.start()
    return SQLiteStore(database)


async def test_a_new_file_has_the_latest_version(store: SQLiteStore, path: Path) -> None:
    rows = look(path, "SELECT version, oldest_reader FROM litestar_queues_schema")

    assert rows == [(LATEST, MIGRATIONS[-1].oldest_reader)]


async def test_an_older_file_is_migrated_with_its_jobs(path: Path) -> None:
    waiting, running = make_job(), make_job(queue="mail")
    async with SQLiteBackendConfig(path=path).open() as old:
        await old.enqueue([waiting, running])
        claimer = await Claimer(old).open()
        await claimer.claim(1, lanes=[("mail", 1)], others=0)

    async with AsyncExitStack() as stack:
        claimer.store = await open_with(stack, path, NEXT)
        held = await claimer.replay()
        claimed = await claimer.claim_one()

    assert [one.id for one in held.claimed] == [running.id]
    assert claimed.id == waiting.id
    assert look(path, "SELECT DISTINCT mood FROM litestar_queues_job") == [("patient",)]
    assert look(path, "SELECT version, oldest_reader FROM litestar_queues_schema") == [
        (NEXT.version, NEXT.oldest_reader)
    ]


async def test_of_those_who_open_at_once_one_migrates(path: Path) -> None:
    async with SQLiteBackendConfig(path=path).open():
        pass

    async with AsyncExitStack() as stack:
        stores = await asyncio.gather(*(open_with(stack, path, NEXT) for _ in range(5)))
        await asyncio.gather(*(one.enqueue([make_job()]) for one in stores))

    assert look(path, "SELECT count(*) FROM litestar_queues_job") == [(5,)]
    assert look(path, "SELECT version FROM litestar_queues_schema") == [(NEXT.version,)]


async def test_a_migration_that_fails_leaves_the_file_as_it_was(path: Path) -> None:
    broken = Migration(
        version=LATEST + 1,
        oldest_reader=1,
        statements=(*NEXT.statements, Sql("INSERT INTO nowhere VALUES (1)")),
    )
    async with SQLiteBackendConfig(path=path).open() as old:
        await old.enqueue([job := make_job()])

    async with AsyncExitStack() as stack:
        with pytest.raises(StoreError):
            await open_with(stack, path, broken)

    async with SQLiteBackendConfig(path=path).open() as again:
        claimed = await (await Claimer(again).open()).claim_one()
    assert claimed.id == job.id
    assert "mood" not in str(look(path, "SELECT sql FROM sqlite_schema"))


async def test_a_newer_file_is_accepted_while_it_can_be_used(path: Path) -> None:
    async with AsyncExitStack() as stack:
        await open_with(stack, path, NEXT)

    async with SQLiteBackendConfig(path=path).open() as store:
        await store.enqueue([job := make_job()])
        claimed = await (await Claimer(store).open()).claim_one()

    assert claimed.id == job.id
    assert look(path, "SELECT version FROM litestar_queues_schema") == [(NEXT.version,)]


async def test_a_file_that_is_too_new_is_refused(path: Path) -> None:
    async with AsyncExitStack() as stack:
        await open_with(stack, path, NEXT, BREAKING)

    with pytest.raises(SchemaError) as refusal:
        async with SQLiteBackendConfig(path=path).open():
            pass

    message = str(refusal.value)
    assert str(path) in message
    assert f"have schema version {LATEST + 2}" in message
    assert f"this one has version {LATEST}" in message
    assert "upgrade litestar-queues-sql" in message
