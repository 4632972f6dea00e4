"""Database sessions of tasks: committed by us, and a commit that fails is a failure."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from advanced_alchemy.extensions.litestar import (
    AsyncSessionConfig,
    SQLAlchemyAsyncConfig,
    SQLAlchemyPlugin,
    SQLAlchemySyncConfig,
)
from litestar import Litestar
from litestar.di import Provide
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from litestar_queues import QueueConfig, QueuePlugin, QueueService, WorkerConfig, task
from litestar_queues_core.stores.memory import MemoryBackendConfig

Start = Callable[..., Any]

AUTHORS = "CREATE TABLE author (id INTEGER PRIMARY KEY)"
BOOKS = """
CREATE TABLE book (
    id INTEGER PRIMARY KEY,
    author_id INTEGER NOT NULL REFERENCES author (id) DEFERRABLE INITIALLY DEFERRED
)
"""


def enforce_foreign_keys(connection: Any, _: object) -> None:
    connection.execute("PRAGMA foreign_keys = ON")


@pytest.fixture(params=[None, "autocommit"], ids=["manual", "autocommit"])
async def database(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[SQLAlchemyAsyncConfig]:
    """A database in a file, under each way in which an application may end its sessions."""
    config = SQLAlchemyAsyncConfig(
        connection_string=f"sqlite+aiosqlite:///{tmp_path}/books.db",
        before_send_handler=request.param,
        session_config=AsyncSessionConfig(expire_on_commit=False),
    )
    event.listen(config.get_engine().sync_engine, "connect", enforce_foreign_keys)
    yield config
    await config.get_engine().dispose()


@pytest.fixture
def start(database: SQLAlchemyAsyncConfig) -> Start:
    """Start an application on the database, with the queue plugin before its own."""

    @asynccontextmanager
    async def started(**options: Any) -> AsyncIterator[QueueService]:
        config = QueueConfig(queue_backend=MemoryBackendConfig(), worker=WorkerConfig(grace=5.0))
        plugins = [QueuePlugin(config), SQLAlchemyPlugin(config=database)]
        app = Litestar(plugins=plugins, logging_config=None, **options)
        async with database.get_engine().begin() as connection:
            for table in (AUTHORS, BOOKS):
                await connection.execute(text(table))
        async with app.lifespan():
            yield app.state.queue_service

    return started


async def books(database: SQLAlchemyAsyncConfig) -> list[int]:
    async with database.get_session() as session:
        return list((await session.execute(text("SELECT id FROM book ORDER BY id"))).scalars())


async def add_book(session: AsyncSession, book: int, author: int) -> None:
    await session.execute(
        text("INSERT INTO book (id, author_id) VALUES (:book, :author)"),
        {"book": book, "author": author},
    )


async def test_a_session_is_committed_when_the_task_returns(
    start: Start, database: SQLAlchemyAsyncConfig
) -> None:
    @task("write")
    async def write(book: int, *, db_session: AsyncSession) -> None:
        await db_session.execute(text("INSERT INTO author (id) VALUES (1)"))
        await add_book(db_session, book, author=1)

    async with start() as service:
        result = await (await service.enqueue(write, 7)).wait(timeout=5)

        assert result.status == "completed"
        assert await books(database) == [7]


async def test_a_constraint_that_fails_at_commit_fails_the_attempt(
    start: Start, database: SQLAlchemyAsyncConfig
) -> None:
    @task("write")
    async def write(book: int, *, db_session: AsyncSession) -> None:
        await add_book(db_session, book, author=404)

    async with start() as service:
        result = await (await service.enqueue(write, 7)).wait(timeout=5)

        assert result.status == "failed"
        assert "FOREIGN KEY constraint failed" in (result.error or "")
        assert await books(database) == []


async def test_a_session_is_rolled_back_when_the_task_fails(
    start: Start, database: SQLAlchemyAsyncConfig
) -> None:
    @task("write")
    async def write(book: int, *, db_session: AsyncSession) -> None:
        await db_session.execute(text("INSERT INTO author (id) VALUES (1)"))
        await add_book(db_session, book, author=1)
        raise ValueError("changed my mind")

    async with start() as service:
        result = await (await service.enqueue(write, 7)).wait(timeout=5)

        assert result.error == "ValueError: changed my mind"
        assert await books(database) == []


async def test_an_attempt_has_one_session_and_the_next_has_another(
    start: Start, database: SQLAlchemyAsyncConfig
) -> None:
    seen: list[AsyncSession] = []

    async def provide_author(db_session: AsyncSession) -> int:
        seen.append(db_session)
        await db_session.execute(
            text("INSERT INTO author (id) VALUES (:author)"), {"author": len(seen)}
        )
        return len(seen)

    @task("write", retries=1, retry_policy=0)
    async def write(*, author: int, db_session: AsyncSession) -> None:
        assert db_session is seen[-1]
        await add_book(db_session, book=author, author=author)
        if author == 1:
            raise ValueError("once more")

    async with start(dependencies={"author": Provide(provide_author)}) as service:
        result = await (await service.enqueue(write)).wait(timeout=5)

        assert result.status == "completed"
        assert await books(database) == [2]
    assert seen[0] is not seen[1]


async def test_a_service_in_a_generator_ends_before_its_session(
    start: Start, database: SQLAlchemyAsyncConfig
) -> None:
    async def provide_shelf(db_session: AsyncSession) -> AsyncGenerator[list[int]]:
        shelf: list[int] = []
        yield shelf
        await db_session.execute(text("INSERT INTO author (id) VALUES (1)"))
        for book in shelf:
            await add_book(db_session, book, author=1)

    @task("fill")
    async def fill(shelf: list[int]) -> None:
        shelf.extend([1, 2])

    async with start(dependencies={"shelf": Provide(provide_shelf)}) as service:
        await (await service.enqueue(fill)).value(timeout=5)

        assert await books(database) == [1, 2]


async def test_connections_go_back_to_their_pool(
    start: Start, database: SQLAlchemyAsyncConfig
) -> None:
    @task("look")
    async def look(*, well: bool, db_session: AsyncSession) -> None:
        await db_session.execute(text("SELECT 1"))
        if not well:
            raise ValueError("not well")

    async with start() as service:
        for well in (True, False):
            await (await service.enqueue(look, well=well)).wait(timeout=5)

        assert database.get_engine().pool.checkedout() == 0  # type: ignore[attr-defined]


async def test_a_blocking_session_is_committed_too(tmp_path: Path) -> None:
    database = SQLAlchemySyncConfig(connection_string=f"sqlite:///{tmp_path}/authors.db")
    config = QueueConfig(queue_backend=MemoryBackendConfig(), worker=WorkerConfig(grace=5.0))

    @task("write")
    def write(author: int, *, db_session: Session) -> None:
        db_session.execute(text("INSERT INTO author (id) VALUES (:author)"), {"author": author})
        if author > 1:
            raise ValueError("one is enough")

    app = Litestar(
        plugins=[SQLAlchemyPlugin(config=database), QueuePlugin(config)], logging_config=None
    )
    with database.get_engine().begin() as connection:
        connection.execute(text(AUTHORS))
    async with app.lifespan():
        service: QueueService = app.state.queue_service
        for author in (1, 2):
            await (await service.enqueue(write, author)).wait(timeout=5)

        with database.get_session() as session:
            assert list(session.execute(text("SELECT id FROM author")).scalars()) == [1]
    database.get_engine().dispose()
