"""Connections are the engine's: its pool is shared, its settings and listeners hold everywhere."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest
from advanced_alchemy.config import EngineConfig, SQLAlchemyAsyncConfig
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import await_only
from tests.advanced_alchemy.conftest import DRIVERS, Alchemy
from tests.databases.postgres import Database

from litestar_queues_advanced_alchemy import AdvancedAlchemyBackendConfig
from litestar_queues_advanced_alchemy.drivers import driver_of
from litestar_queues_advanced_alchemy.engine import EngineConnections
from litestar_queues_core.ids import LeaseId
from litestar_queues_core.settlements import Renewal
from litestar_queues_core.testing.claimer import Claimer
from litestar_queues_core.testing.jobs import make_job
from litestar_queues_sql.postgres import PostgresStore

pytestmark = pytest.mark.parametrize("driver", DRIVERS)


def pool_of(engine: AsyncEngine) -> Any:
    return engine.sync_engine.pool


def backend(config: SQLAlchemyAsyncConfig, **settings: Any) -> AdvancedAlchemyBackendConfig:
    return AdvancedAlchemyBackendConfig(config=config, create_schema=True, **settings)


async def left(database: Database, number: int) -> None:
    """Wait until so many connections are left; the server takes its time to end one."""
    async with asyncio.timeout(10):
        while len(database.connections()) != number:
            await asyncio.sleep(0.05)


async def test_what_was_borrowed_is_given_back_and_the_engine_lives_on(
    database: Database, alchemy: Alchemy, driver: str
) -> None:
    config = alchemy(database, driver)
    async with backend(config).open() as store:
        await store.count()
        borrowed = pool_of(config.get_engine()).checkedout()

    async with config.get_session() as session:
        assert (await session.execute(text("SELECT 1"))).scalar_one() == 1
    assert borrowed == 0
    await left(database, 1)


async def test_an_engine_that_the_queue_had_to_make_is_disposed_of(
    database: Database, driver: str
) -> None:
    url = database.url.replace("postgresql:", f"postgresql+{driver}:")
    config = SQLAlchemyAsyncConfig(connection_string=url)
    async with backend(config).open() as store:
        await store.count()

    await left(database, 0)


async def test_the_hot_path_needs_no_place_in_the_pool(
    database: Database, alchemy: Alchemy, driver: str
) -> None:
    config = alchemy(database, driver, engine_config=EngineConfig(pool_size=1, max_overflow=0))
    async with backend(config).open() as store:
        claimer = await Claimer(store).open()
        async with config.get_engine().connect():
            await store.enqueue([job := make_job()])
            (claimed,) = await claimer.claim()

    assert claimed.id == job.id


async def test_a_connection_of_the_pool_that_has_died_is_replaced(
    database: Database, alchemy: Alchemy, driver: str
) -> None:
    config = alchemy(database, driver, engine_config=EngineConfig(pool_pre_ping=True))
    async with backend(config, notify=False).open() as store:
        await store.count()
        database.terminate()

        assert not (await store.count()).counts


def ask(connection: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("SET application_name = 'the application'")
    cursor.close()


@pytest.mark.parametrize("moment", ["connect", "checkout"])
async def test_what_listens_to_the_engine_may_use_connections(
    database: Database, alchemy: Alchemy, driver: str, moment: str
) -> None:
    def listener(connection: Any, *_: Any) -> None:
        ask(connection)

    config = alchemy(database, driver)
    event.listen(config.get_engine().sync_engine, moment, listener)
    async with backend(config).open() as store:
        claimer = await Claimer(store).open()
        await store.enqueue([job := make_job()])
        (claimed,) = await claimer.claim()
        found = await store.get([job.id])
        names = database.ask(
            "SELECT DISTINCT application_name, state FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    assert claimed.id == job.id
    assert found[0] is not None
    assert names == [("the application", "idle")]


def renew(store: PostgresStore, lease: LeaseId) -> Renewal:
    with store.keeper() as keeper:
        return keeper.renew(lease, seconds=5)


async def test_the_settings_of_the_engine_hold_for_its_own_connections(
    database: Database, alchemy: Alchemy, driver: str
) -> None:
    database.ask("CREATE SCHEMA jobs AUTHORIZATION app")
    given: dict[str, Any] = {
        "asyncpg": {"server_settings": {"search_path": "jobs"}},
        "psycopg": {"options": "-c search_path=jobs"},
    }
    config = alchemy(database, driver, engine_config=EngineConfig(connect_args=given[driver]))
    async with backend(config).open() as store:
        claimer = await Claimer(store).open()
        await store.enqueue([make_job()])
        assert len(await claimer.claim()) == 1
        renewal = await asyncio.to_thread(renew, store, claimer.lease)
        assert renewal.alive

    assert database.ask("SELECT count(*) FROM jobs.litestar_queues_job") == [(1,)]


async def test_an_engine_with_a_function_that_connects(database: Database, driver: str) -> None:
    import asyncpg
    import psycopg
    from sqlalchemy.ext.asyncio import create_async_engine

    made: list[Any] = []
    connect: dict[str, Callable[..., Any]] = {
        "asyncpg": lambda: asyncpg.connect(database.url),
        "psycopg": lambda: psycopg.AsyncConnection.connect(database.url),
    }

    async def creator() -> Any:
        made.append(await connect[driver]())
        return made[-1]

    engine = create_async_engine(f"postgresql+{driver}://", async_creator=creator)
    config = SQLAlchemyAsyncConfig(engine_instance=engine)
    async with backend(config).open() as store:
        await store.enqueue([make_job()])
    await engine.dispose()

    assert len(made) >= 2


async def test_who_is_cancelled_while_connecting_leaves_no_connection(
    database: Database, alchemy: Alchemy, driver: str
) -> None:
    connecting, go_on = asyncio.Event(), asyncio.Event()

    def listener(connection: Any, record: Any) -> None:
        connecting.set()
        await_only(go_on.wait())

    engine = alchemy(database, driver).get_engine()
    event.listen(engine.sync_engine, "connect", listener)
    connections = EngineConnections(engine, driver_of(f"postgresql+{driver}"), notify=False)

    async def lend() -> None:
        async with connections.lend():
            pass

    gc.disable()  # it would close what nobody else does, but who knows when
    for connect in (connections.open, lend):
        connecting.clear()
        go_on.clear()
        task = asyncio.create_task(connect())
        await connecting.wait()
        task.cancel()
        asyncio.get_running_loop().call_soon(go_on.set)
        with pytest.raises(asyncio.CancelledError):
            await task
    await engine.dispose()
    try:
        await left(database, 0)
    finally:
        gc.enable()
