"""What the wrapper of psycopg makes up for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import psycopg
import pytest
from tests.databases.postgres import Database

from litestar_queues_sql.drivers.psycopg import PsycopgConnection

ROUND = "SELECT $1::int[], $2::text[], $3::bytea[], $4::bool[], $5::text, $6::bytea, $7::bigint"


@pytest.fixture
async def connection(database: Database) -> AsyncGenerator[PsycopgConnection]:
    raw = await psycopg.AsyncConnection.connect(database.url, autocommit=True)
    yield PsycopgConnection(raw)
    await raw.close()


async def test_values_come_back_as_they_went(connection: PsycopgConnection) -> None:
    texts = ["", "a b", '"\\{},', "NULL", "ä\n☃", None]
    sent: list[Any] = [[1, None, -(2**31)], texts, [b"\x00\xff", None, b""], [True, False]]
    sent += ["it's", b"\\x00\x00", 2**62]

    assert list((await connection.fetch(ROUND, sent))[0]) == sent


@pytest.mark.parametrize("nothing", [[], (), [None]])
async def test_lists_without_a_value_have_the_type_of_their_column(
    connection: PsycopgConnection, nothing: Any
) -> None:
    sent = [*[nothing] * 4, None, None, None]

    assert list((await connection.fetch(ROUND, sent))[0]) == [
        *[list(nothing)] * 4,
        None,
        None,
        None,
    ]


@pytest.mark.parametrize("value", ["a\0b", ["a\0b"], "\ud800"])
async def test_text_that_postgresql_cannot_hold_is_refused_here(
    connection: PsycopgConnection, value: Any
) -> None:
    with pytest.raises(ValueError, match=r"NUL|surrogates"):
        await connection.fetch("SELECT $1::text", [value])

    assert await connection.fetch("SELECT 1", ()) == [(1,)]


async def test_a_cancellation_that_the_driver_forgets_is_remembered(
    connection: PsycopgConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()

    class Forgetful:
        """A cursor as of psycopg 3.2 on Python 3.11, when the answer comes at the same time."""

        description = None

        async def execute(self, *arguments: object, **options: object) -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return

    monkeypatch.setattr(connection, "_cursor", Forgetful())
    task = asyncio.create_task(connection.fetch("SELECT 1", ()))
    await begun.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_notifications_are_heard_at_rest_and_at_work(
    connection: PsycopgConnection, database: Database
) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    lost = asyncio.Event()
    await connection.listen("news", heard.put_nowait, lost.set)
    await asyncio.to_thread(database.ask, "NOTIFY news, 'at rest'")
    first = await asyncio.wait_for(heard.get(), 10)
    await connection.fetch("SELECT pg_notify('news', 'at work')", ())
    second = await asyncio.wait_for(heard.get(), 10)
    await asyncio.to_thread(database.terminate)
    await asyncio.wait_for(lost.wait(), 10)

    assert (first, second) == ("at rest", "at work")
    assert connection.closed
