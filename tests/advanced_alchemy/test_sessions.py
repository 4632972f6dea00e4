"""Sessions: what is written through them, when workers are woken, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from advanced_alchemy.config import SQLAlchemyAsyncConfig
from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import (
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from tests.advanced_alchemy.conftest import DRIVERS, Alchemy
from tests.databases.postgres import Database

from litestar_queues_advanced_alchemy import AdvancedAlchemyBackendConfig
from litestar_queues_advanced_alchemy.waking import wakes_of
from litestar_queues_core import QueueConfig, QueueService, Worker, get_current_task_context, task
from litestar_queues_core.errors import SessionError
from litestar_queues_core.testing import drain


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    job: Mapped[str | None]


@task("confirm")
async def confirm(order: int) -> int:
    return order


@pytest.fixture(params=DRIVERS)
async def config(
    request: pytest.FixtureRequest, database: Database, alchemy: Alchemy
) -> SQLAlchemyAsyncConfig:
    config = alchemy(database, request.param)
    async with config.get_engine().begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    return config


@pytest.fixture
async def service(config: SQLAlchemyAsyncConfig) -> AsyncGenerator[QueueService]:
    backend = AdvancedAlchemyBackendConfig(config=config, create_schema=True)
    async with QueueService(QueueConfig(queue_backend=backend)) as service:
        yield service


async def orders(config: SQLAlchemyAsyncConfig) -> list[int]:
    async with config.get_session() as session:
        return list((await session.execute(select(Order.id).order_by(Order.id))).scalars())


async def test_a_job_and_its_order_are_committed_together(
    config: SQLAlchemyAsyncConfig, service: QueueService
) -> None:
    async with config.get_session() as session:
        session.add(Order(id=1))
        job = await service.enqueue(confirm, 1, session=session)
        before = await service.get(job.id)
        await session.commit()
    after = await service.get(job.id)

    assert before is None
    assert after is not None
    assert await orders(config) == [1]


async def test_a_job_that_comes_first_is_rolled_back_all_the_same(
    config: SQLAlchemyAsyncConfig, service: QueueService
) -> None:
    async with config.get_session() as session:
        job = await service.enqueue(confirm, 1, session=session)
        session.add(Order(id=1, job=job.id))
        await session.flush()
        await session.rollback()

    assert await service.get(job.id) is None
    assert await orders(config) == []


async def test_a_savepoint_takes_its_job_with_it(
    config: SQLAlchemyAsyncConfig, service: QueueService
) -> None:
    async with config.get_session() as session, session.begin():
        kept = await service.enqueue(confirm, 1, session=session)
        async with session.begin_nested() as savepoint:
            gone = await service.enqueue(confirm, 2, session=session)
            await savepoint.rollback()

    assert await service.get(kept.id) is not None
    assert await service.get(gone.id) is None


async def test_workers_are_woken_by_the_commit_and_not_by_a_savepoint(
    config: SQLAlchemyAsyncConfig, service: QueueService
) -> None:
    early: list[int] = []
    async with config.get_session() as session, session.begin():
        async with session.begin_nested():
            await service.enqueue(confirm, 1, session=session)
        early.append(len(wakes_of(session.sync_session)))

    assert early == [1]
    assert wakes_of(session.sync_session) == []


async def test_a_session_can_go_on_after_its_commit(
    config: SQLAlchemyAsyncConfig, service: QueueService
) -> None:
    async with config.get_session() as session:
        for number in range(3):
            session.add(Order(id=number))
            await service.enqueue(confirm, number, session=session)
            await (session.rollback() if number == 1 else session.commit())
    await drain(service)

    counts = (await service.count()).counts
    assert {(one.status, one.value) for one in counts} == {("completed", 2)}


async def test_scoped_sessions(config: SQLAlchemyAsyncConfig, service: QueueService) -> None:
    maker = async_sessionmaker(config.get_engine())
    scoped = async_scoped_session(maker, scopefunc=asyncio.current_task)
    job = await service.enqueue(confirm, 1, session=scoped)
    await scoped.commit()
    await scoped.remove()

    assert await service.get(job.id) is not None


async def test_a_task_completes_with_what_it_has_written(
    config: SQLAlchemyAsyncConfig, service: QueueService
) -> None:
    @task("ship")
    async def ship(order: int) -> None:
        context = get_current_task_context()
        async with context.transaction() as session:
            assert isinstance(session, AsyncSession)
            session.add(Order(id=order, job=str(context.id)))
            context.set_result(order)

    async with Worker(service, concurrency=1):
        result = await service.enqueue(ship, 7)
        assert await result.value(timeout=20) == 7

    assert await orders(config) == [7]


async def test_a_task_whose_data_cannot_be_written_fails_with_it(
    config: SQLAlchemyAsyncConfig, service: QueueService
) -> None:
    @task("ship.again")
    async def ship(order: int) -> None:
        async with get_current_task_context().transaction() as session:
            session.add(Order(id=order, job=None))
            session.add(Order(id=order + 1, job=None))

    async with config.get_session() as session, session.begin():
        session.add(Order(id=8))
    async with Worker(service, concurrency=1):
        result = await (await service.enqueue(ship, 7)).wait(timeout=20)

    assert result.status == "failed"
    assert "IntegrityError" in (result.error or "")
    assert await orders(config) == [8]


async def test_a_session_that_has_failed_must_be_rolled_back_first(
    config: SQLAlchemyAsyncConfig, service: QueueService
) -> None:
    async with config.get_session() as session:
        session.add_all([Order(id=1), Order(id=1)])
        with pytest.raises(IntegrityError):
            await service.enqueue(confirm, 1, session=session)
        with pytest.raises(SessionError, match="roll it back after an error"):
            await service.enqueue(confirm, 1, session=session)


async def test_a_closed_session(config: SQLAlchemyAsyncConfig, service: QueueService) -> None:
    session = AsyncSession(config.get_engine(), close_resets_only=False)
    await session.close()

    with pytest.raises(SessionError, match="use it inside its own block and transaction"):
        await service.enqueue(confirm, 1, session=session)


async def test_a_session_that_does_not_begin_by_itself(
    config: SQLAlchemyAsyncConfig, service: QueueService
) -> None:
    async with AsyncSession(config.get_engine(), autobegin=False) as session:
        with pytest.raises(SessionError, match=r"async with session\.begin"):
            await service.enqueue(confirm, 1, session=session)


async def test_a_session_in_autocommit_mode(
    config: SQLAlchemyAsyncConfig, service: QueueService
) -> None:
    engine = config.get_engine().execution_options(isolation_level="AUTOCOMMIT")
    async with AsyncSession(engine) as session:
        with pytest.raises(SessionError, match="in AUTOCOMMIT mode, so there is no transaction"):
            await service.enqueue(confirm, 1, session=session)


async def test_a_session_of_another_database_system(service: QueueService) -> None:
    engine = create_async_engine("sqlite+aiosqlite://")
    async with AsyncSession(engine) as session:
        with pytest.raises(SessionError, match="Session of SQLAlchemy on PostgreSQL"):
            await service.enqueue(confirm, 1, session=session)
    await engine.dispose()


async def test_a_session_without_an_engine(service: QueueService) -> None:
    async with AsyncSession() as session:
        with pytest.raises(SessionError, match="Could not locate a bind"):
            await service.enqueue(confirm, 1, session=session)


async def test_blocking_sessions_go_through_the_sync_service(
    database: Database, config: SQLAlchemyAsyncConfig, service: QueueService
) -> None:
    engine = create_engine(database.url.replace("postgresql:", "postgresql+psycopg:"))

    def place(order: int) -> str:
        with Session(engine) as session, session.begin():
            session.add(Order(id=order))
            return service.sync.enqueue(confirm, order, session=session).id

    job_id = await asyncio.to_thread(place, 1)
    with Session(engine) as session:
        with pytest.raises(SessionError, match=r"service\.sync\.enqueue"):
            await service.enqueue(confirm, 1, session=session)
        session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
        with pytest.raises(SessionError, match="AUTOCOMMIT"):
            await asyncio.to_thread(service.sync.enqueue, confirm, 1, session=session)
    engine.dispose()

    assert await service.get(job_id) is not None
    assert await orders(config) == [1]


async def test_the_session_beneath_an_async_session(
    config: SQLAlchemyAsyncConfig, service: QueueService
) -> None:
    async with config.get_session() as session:
        with pytest.raises(SessionError, match="belongs to an AsyncSession"):
            await asyncio.to_thread(service.sync.enqueue, confirm, 1, session=session.sync_session)


async def test_a_transaction_that_others_have_met_is_the_callers(
    config: SQLAlchemyAsyncConfig, service: QueueService
) -> None:
    async with config.get_session() as session:
        await session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        job = await service.enqueue(confirm, 1, session=session)
        await session.commit()

    assert await service.get(job.id) is not None
