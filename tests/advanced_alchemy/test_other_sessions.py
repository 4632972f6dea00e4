"""Sessions on SQLite and MariaDB: how they begin, and what is refused."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from advanced_alchemy.config import SQLAlchemyAsyncConfig
from sqlalchemy import create_engine, event, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from tests.advanced_alchemy.conftest import OTHERS
from tests.advanced_alchemy.test_other_systems import configured

from litestar_queues_core import (
    QueueConfig,
    QueueService,
    SessionError,
    StoreUnavailable,
    Worker,
    get_current_task_context,
    task,
)

TABLE = "CREATE TABLE orders (number INTEGER PRIMARY KEY)"
READ = text("SELECT count(*) FROM orders")


@task("other.confirm")
async def confirm(number: int) -> int:
    return number


@pytest.fixture(params=OTHERS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    driver: str = request.param
    if driver.startswith("sqlite"):
        return f"{driver}:///{tmp_path}/app.db"
    address: str = request.getfixturevalue("maria_database").url
    return address.replace("mysql:", f"{driver}:")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "app.db"


async def opened(config: SQLAlchemyAsyncConfig, backend: Any) -> AsyncGenerator[QueueService]:
    async with config.get_engine().begin() as connection:
        await connection.execute(text(TABLE))
    async with QueueService(QueueConfig(queue_backend=backend)) as service:
        yield service
    await config.get_engine().dispose()


@pytest.fixture
async def service(url: str) -> AsyncGenerator[QueueService]:
    backend = configured(url)
    async for service in opened(backend.config, backend):
        yield service


@pytest.fixture
def config(service: QueueService) -> SQLAlchemyAsyncConfig:
    backend: Any = service.config.queue_backend
    found: SQLAlchemyAsyncConfig = backend.config
    return found


async def order(session: AsyncSession, number: int) -> None:
    await session.execute(text("INSERT INTO orders VALUES (:number)"), {"number": number})


async def orders(config: SQLAlchemyAsyncConfig) -> int:
    async with config.get_session() as session:
        return int((await session.execute(READ)).scalar_one())


async def test_a_job_that_comes_first_is_rolled_back_all_the_same(
    service: QueueService, config: SQLAlchemyAsyncConfig
) -> None:
    async with config.get_session() as session:
        gone = await service.enqueue(confirm, 1, session=session)
        await order(session, 1)
        await session.rollback()
        await session.execute(READ)
        kept = await service.enqueue(confirm, 2, session=session)
        await order(session, 2)
        await session.commit()

    assert await service.get(gone.id) is None
    assert await service.get(kept.id) is not None
    assert await orders(config) == 1


async def test_a_savepoint_takes_its_job_with_it(
    service: QueueService, config: SQLAlchemyAsyncConfig
) -> None:
    async with config.get_session() as session, session.begin():
        kept = await service.enqueue(confirm, 1, session=session)
        async with session.begin_nested() as savepoint:
            gone = await service.enqueue(confirm, 2, session=session)
            await savepoint.rollback()

    assert await service.get(kept.id) is not None
    assert await service.get(gone.id) is None


async def test_a_session_in_autocommit_mode(
    service: QueueService, config: SQLAlchemyAsyncConfig
) -> None:
    engine = config.get_engine().execution_options(isolation_level="AUTOCOMMIT")
    async with AsyncSession(engine) as session:
        with pytest.raises(SessionError, match="in AUTOCOMMIT mode, so there is no transaction"):
            await service.enqueue(confirm, 1, session=session)


async def test_a_session_of_another_system_is_refused(service: QueueService) -> None:
    engine = create_async_engine("postgresql+asyncpg://app@localhost/app")
    async with AsyncSession(engine) as session:
        with pytest.raises(SessionError, match=r"Session of SQLAlchemy on (SQLite|MySQL)"):
            await service.enqueue(confirm, 1, session=session)


async def test_a_task_completes_with_what_it_has_written(
    service: QueueService, config: SQLAlchemyAsyncConfig
) -> None:
    @task
    async def ship(number: int) -> None:
        context = get_current_task_context()
        async with context.transaction() as session:
            await order(session, number)
            following = await service.enqueue(confirm, number, session=session)
            context.set_result(following.id)

    async with Worker(service):
        result = await service.enqueue(ship, 7)
        following = await service.get(str(await result.value(10)))
        assert following is not None
        assert await following.value(10) == 7

    assert await orders(config) == 1


async def test_a_session_of_another_file_is_refused(tmp_path: Path, file: Path) -> None:
    backend = configured(f"sqlite+aiosqlite:///{file}")
    async for service in opened(backend.config, backend):
        for name in (f"/{tmp_path}/other.db", ""):
            engine = create_async_engine(f"sqlite+aiosqlite://{name}")
            async with AsyncSession(engine) as session:
                with pytest.raises(SessionError, match="give a session of that file") as told:
                    await service.enqueue(confirm, 1, session=session)
                await session.rollback()
            await engine.dispose()

            assert str(file) in str(told.value)


@pytest.mark.parametrize("mode", ["", "IMMEDIATE"])
async def test_an_engine_whose_listener_begins(file: Path, mode: str) -> None:
    """As SQLAlchemy advises; what has read may then be told to begin otherwise."""
    backend = configured(f"sqlite+aiosqlite:///{file}")
    sync = backend.config.get_engine().sync_engine

    @event.listens_for(sync, "connect")
    def connected(connection: Any, record: object) -> None:
        connection.isolation_level = None

    @event.listens_for(sync, "begin")
    def begun(connection: Any) -> None:
        connection.exec_driver_sql(f"BEGIN {mode}")

    async for service in opened(backend.config, backend):
        async with backend.config.get_session() as session:
            kept = await service.enqueue(confirm, 1, session=session)
            await session.commit()
            await session.execute(READ)
            other = asyncio.create_task(service.enqueue(confirm, 2))
            if mode:
                await service.count()
                assert not other.done()
                await service.enqueue(confirm, 3, session=session)
            else:
                await other
                with pytest.raises(StoreUnavailable, match="where an event listener of yours"):
                    await service.enqueue(confirm, 3, session=session)
            await session.rollback()
        await other
        assert await service.get(kept.id) is not None


async def test_blocking_sessions_on_a_file(tmp_path: Path, file: Path) -> None:
    backend = configured(f"sqlite+aiosqlite:///{file}")
    engine = create_engine(f"sqlite:///{file}")
    elsewhere = create_engine(f"sqlite:///{tmp_path}/other.db")
    automatic = create_engine(f"sqlite:///{file}", isolation_level="AUTOCOMMIT")

    def enqueue(service: QueueService) -> str:
        with Session(engine) as session, session.begin():
            session.execute(READ)
            job = service.sync.enqueue(confirm, 1, session=session).id
        refused = pytest.raises(SessionError, match="give a session of that file")
        with Session(elsewhere) as session, refused:
            service.sync.enqueue(confirm, 1, session=session)
        with Session(automatic) as session, pytest.raises(SessionError, match="AUTOCOMMIT"):
            service.sync.enqueue(confirm, 1, session=session)
        return job

    async for service in opened(backend.config, backend):
        job = await asyncio.to_thread(enqueue, service)
        assert await service.get(job) is not None
        refused = pytest.raises(SessionError, match=r"service\.sync\.enqueue")
        with Session(engine) as session, refused:
            await service.enqueue(confirm, 1, session=session)
    for one in (engine, elsewhere, automatic):
        one.dispose()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sqlite3 has no such argument yet")
async def test_the_other_way_to_control_transactions(file: Path) -> None:
    """``commit()`` does nothing in one mode, and there is always a transaction in the other."""
    backend = configured(f"sqlite+aiosqlite:///{file}")
    async for service in opened(backend.config, backend):
        engines = {
            mode: create_async_engine(
                f"sqlite+aiosqlite:///{file}", connect_args={"autocommit": mode}
            )
            for mode in (True, False)
        }
        async with AsyncSession(engines[True]) as session:
            with pytest.raises(SessionError, match="AUTOCOMMIT"):
                await service.enqueue(confirm, 1, session=session)
        async with AsyncSession(engines[False]) as session:
            job = await service.enqueue(confirm, 1, session=session)
            before = await service.get(job.id)
            await session.commit()
        for engine in engines.values():
            await engine.dispose()

        assert before is None
        assert await service.get(job.id) is not None


@pytest.mark.service
async def test_blocking_sessions_on_mariadb(maria_database: Any) -> None:
    backend = configured(maria_database.url.replace("mysql:", "mysql+asyncmy:"))
    url = maria_database.url.replace("mysql:", "mysql+pymysql:")
    automatic = create_engine(url, isolation_level="AUTOCOMMIT")

    def refused(service: QueueService) -> None:
        with Session(automatic) as session, pytest.raises(SessionError, match="AUTOCOMMIT"):
            service.sync.enqueue(confirm, 1, session=session)

    async for service in opened(backend.config, backend):
        await asyncio.to_thread(refused, service)
    automatic.dispose()
