"""SQLite: one transaction writes at a time, and whoever would wait in vain is told what to do."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.sqlspec.places import SQLITE
from tests.sqlspec.test_sqlite_transactions import ADD, counted, make_counter

from litestar_queues_core import (
    QueueConfig,
    QueueService,
    SessionError,
    StoreUnavailable,
    TransactionError,
    Worker,
    get_current_task_context,
    task,
)
from litestar_queues_core.settlements import Renewal
from litestar_queues_core.testing import Claimer, make_job
from litestar_queues_core.testing.conformance.joining import enqueue_in
from litestar_queues_core.testing.conformance.keys import KEY, is_free
from litestar_queues_core.testing.conformance.signals import waiting, woken
from litestar_queues_sql.database import DataRefused
from litestar_queues_sql.sqlite import SQLiteStore
from litestar_queues_sqlspec import SQLSpecBackendConfig

SOON = 10.0
READ = "SELECT value FROM counter"


class Place(NamedTuple):
    """A queue beside the counter of an application, in one file."""

    service: QueueService
    config: Any
    path: Path

    @property
    def store(self) -> SQLiteStore:
        assert isinstance(self.service.store, SQLiteStore)
        return self.service.store


@task("sqlite.noop")
async def noop() -> None:
    pass


def backend(config: Any) -> SQLSpecBackendConfig:
    return SQLSpecBackendConfig(config=config, create_schema=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "app.db"
    make_counter(path)
    return path


async def opened(config: Any, path: Path) -> AsyncGenerator[Place]:
    async with QueueService(QueueConfig(queue_backend=backend(config))) as service:
        yield Place(service, config, path)


@pytest.fixture
async def place(path: Path) -> AsyncGenerator[Place]:
    settings = {"database": str(path), "timeout": 0.1}
    pragmas = {"busy_timeout": 100, "foreign_keys": "ON"}
    config = type(SQLITE["aiosqlite"](path))(
        connection_config=settings,
        driver_features={"pragmas": pragmas},
    )
    async for made in opened(config, path):
        yield made
    await config.close_pool()


@pytest.fixture
async def blocking(path: Path) -> AsyncGenerator[Place]:
    config = SQLITE["sqlite"](path)
    async for made in opened(config, path):
        yield made
    config.close_pool()


async def test_a_driver_without_a_transaction_is_refused(place: Place) -> None:
    async with place.config.provide_session() as driver:
        with pytest.raises(SessionError, match=r"async with driver\.transaction\(\)"):
            await place.service.enqueue(noop, session=driver)
        async with driver.transaction():
            job = await place.service.enqueue(noop, session=driver)
        with pytest.raises(SessionError, match="no open transaction, or none any more"):
            await place.service.enqueue(noop, session=driver)

    assert await place.service.get(job.id) is not None


async def test_a_blocking_driver_without_a_transaction_is_refused(blocking: Place) -> None:
    def enqueue() -> None:
        with blocking.config.provide_session() as driver:
            with pytest.raises(SessionError, match=r"`with driver\.transaction\(\):`"):
                blocking.service.sync.enqueue(noop, session=driver)
            driver.connection.close()
            with pytest.raises(SessionError, match="is closed; open another session"):
                blocking.service.sync.enqueue(noop, session=driver)
        blocking.config.close_pool()

    await asyncio.to_thread(enqueue)


async def test_each_form_takes_its_own_kind(place: Place, blocking: Place) -> None:
    async with place.config.provide_session() as driver, driver.transaction():
        with pytest.raises(SessionError, match=r"await service\.enqueue"):
            await asyncio.to_thread(place.service.sync.enqueue, noop, session=driver)
    with blocking.config.provide_session() as driver, driver.transaction():
        with pytest.raises(SessionError, match=r"service\.sync\.enqueue"):
            await blocking.service.enqueue(noop, session=driver)
        with pytest.raises(SessionError, match="it takes the AiosqliteDriver of SQLSpec"):
            await place.service.enqueue(noop, session=driver)


@pytest.mark.parametrize("name", ["other.db", ":memory:"])
async def test_a_session_of_another_file_is_refused(
    place: Place, tmp_path: Path, name: str
) -> None:
    database = name if name == ":memory:" else str(tmp_path / name)
    other = type(place.config)(connection_config={"database": database})
    async with other.provide_session() as driver, driver.transaction():
        with pytest.raises(SessionError) as told:
            await place.service.enqueue(noop, session=driver)
    await other.close_pool()

    assert str(place.path) in str(told.value)
    assert database in str(told.value)
    assert "give a session of that file" in str(told.value)


async def test_the_same_file_by_another_name_is_taken(place: Place, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(place.path)
    other = SQLITE["aiosqlite"](link)
    async with other.provide_session() as driver, driver.transaction():
        job = await place.service.enqueue(noop, session=driver)
    await other.close_pool()

    assert await place.service.get(job.id) is not None


def write(path: Path) -> None:
    with closing(sqlite3.connect(path)) as raw:
        raw.execute(ADD)
        raw.commit()


async def test_who_has_read_before_others_wrote_is_told_to_begin_otherwise(place: Place) -> None:
    async with place.config.provide_session() as driver:
        await driver.begin("DEFERRED")
        await driver.select_value(READ)
        await asyncio.to_thread(write, place.path)
        with pytest.raises(StoreUnavailable, match="others have written since") as told:
            await place.service.enqueue(noop, session=driver)
        await driver.rollback()

        await driver.begin("IMMEDIATE")
        await driver.select_value(READ)
        job = await place.service.enqueue(noop, session=driver)
        await driver.commit()

    assert "BEGIN IMMEDIATE" in str(told.value)
    assert "default_transaction_mode" in str(told.value)
    assert await place.service.get(job.id) is not None


@pytest.mark.parametrize("reads", [False, True])
async def test_while_somebody_else_writes_it_is_said_who_waits(place: Place, reads: bool) -> None:
    async with place.config.provide_session() as driver:
        await driver.begin("DEFERRED")
        if reads:
            await driver.select_value(READ)
        with closing(sqlite3.connect(place.path)) as raw:
            raw.execute(ADD)
            with pytest.raises(StoreUnavailable, match="somebody else writes") as told:
                await place.service.enqueue(noop, session=driver)
            raw.rollback()
        await driver.rollback()

    assert "BEGIN IMMEDIATE" in str(told.value)


async def test_a_deferred_transaction_that_writes_first_waits_for_others(blocking: Place) -> None:
    def enqueue() -> str:
        with blocking.config.provide_session() as driver, driver.transaction():
            assert driver.connection.in_transaction
            return blocking.service.sync.enqueue(noop, session=driver).id

    with closing(sqlite3.connect(blocking.path)) as raw:
        raw.execute(ADD)
        enqueueing = asyncio.create_task(asyncio.to_thread(enqueue))
        await blocking.service.count()
        early = enqueueing.done()
        raw.commit()
        job = await enqueueing

    assert not early
    assert await blocking.service.get(job) is not None


async def test_a_value_that_is_refused_leaves_nothing_by_halves(place: Place) -> None:
    async with place.config.provide_session() as driver, driver.transaction():
        await driver.execute(ADD)
        with pytest.raises(DataRefused):
            await enqueue_in(place.store, driver, make_job(key=KEY, priority=2**70))

    assert await is_free(place.store)
    assert counted(place.path) == 1


async def test_the_marks_of_a_transaction_wake_other_processes(place: Place) -> None:
    async with backend(SQLITE["aiosqlite"](place.path)).open() as other:
        assert isinstance(other, SQLiteStore)
        lane = await waiting(other, "lane:mail")
        async with place.config.provide_session() as driver, driver.transaction():
            await enqueue_in(place.store, driver, make_job(queue="mail"))

        assert await woken(lane)


async def test_leases_are_renewed_once_the_application_has_committed(place: Place) -> None:
    claimer = await Claimer(place.store).open()

    def renew() -> Renewal:
        with place.store.keeper() as keeper:
            return keeper.renew(claimer.lease, seconds=5)

    async with place.config.provide_session() as driver, driver.transaction():
        await driver.execute(ADD)
        renewals = [
            asyncio.create_task(asyncio.to_thread(renew)),
            asyncio.create_task(place.store.renew(claimer.lease, seconds=5)),
        ]
        await place.service.count()
        early = [one.done() for one in renewals]

    assert early == [False, False]
    assert [(await one).alive for one in renewals] == [True, True]


async def test_a_task_completes_with_its_data_and_enqueues_the_next(place: Place) -> None:
    @task
    async def work() -> None:
        context = get_current_task_context()
        async with context.transaction() as session:
            await session.execute(ADD)
            await context.progress(1, 1)
            following = await place.service.enqueue(noop, session=session)
            context.set_result(following.id)

    async with Worker(place.service):
        result = await place.service.enqueue(work)
        following = await place.service.get(str(await result.value(SOON)))
        assert following is not None
        await following.wait(SOON)

    assert result.record is not None
    assert result.record.details.progress == b'{"current": 1, "total": 1}'
    assert following.status == "completed"
    assert counted(place.path) == 1


CALLS: dict[str, Callable[[QueueService], Any]] = {
    "enqueue": lambda service: service.enqueue(noop),
    "enqueue_many": lambda service: service.enqueue_many([noop.call()]),
    "cancel": lambda service: service.cancel("no job"),
    "release_key": lambda service: service.release_key("no key"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_a_task_that_would_wait_for_its_own_block_is_told_so(
    place: Place, call: Callable[[QueueService], Any]
) -> None:
    @task
    async def work() -> None:
        async with get_current_task_context().transaction() as session:
            await session.execute(ADD)
            with pytest.raises(TransactionError, match=r"enqueue\(\.\.\., session=session\)"):
                await call(place.service)
        await call(place.service)

    async with Worker(place.service, grace=5):
        result = await (await place.service.enqueue(work)).wait(SOON)

    assert result.status == "completed"
    assert counted(place.path) == 1


async def test_what_a_block_has_started_waits_for_its_end(place: Place) -> None:
    started: list[asyncio.Task[Any]] = []

    @task
    async def work() -> None:
        async with get_current_task_context().transaction() as session:
            await session.execute(ADD)
            started.append(asyncio.create_task(place.service.enqueue(noop)))
            await asyncio.sleep(0)

    async with Worker(place.service, grace=5):
        await (await place.service.enqueue(work)).wait(SOON)
        following = await (await started[0]).wait(SOON)

    assert following.status == "completed"


async def test_between_two_blocks_the_queue_has_its_turn(place: Place) -> None:
    order: list[str] = []

    async def block() -> None:
        async with place.store.transaction():
            order.append("block")

    async def enqueue() -> None:
        await place.store.enqueue([make_job()])
        order.append("queue")

    for _ in range(3):
        async with place.store.transaction():
            waiting = [asyncio.create_task(one()) for one in (enqueue, block)]
            await place.store.get([make_job().id])
        await asyncio.gather(*waiting)

    assert order == ["queue", "block"] * 3


@pytest.mark.filterwarnings("ignore:the .type, exc, tb. signature of throw")  # by SQLSpec
async def test_an_error_of_the_commit_is_the_tasks(place: Place) -> None:
    with closing(sqlite3.connect(place.path)) as raw:
        raw.execute("CREATE TABLE one (id INTEGER PRIMARY KEY)")
        raw.execute("CREATE TABLE two (id REFERENCES one DEFERRABLE INITIALLY DEFERRED)")

    @task(retries=1, retry_policy=0)
    async def work() -> None:
        context = get_current_task_context()
        async with context.transaction() as session:
            await session.execute(ADD)
            await session.execute("INSERT INTO two VALUES (1)")
            if context.attempt == 2:
                await session.execute("INSERT INTO one VALUES (1)")
        assert sys.exc_info() == (None, None, None)

    async with Worker(place.service):
        result = await (await place.service.enqueue(work)).wait(SOON)

    assert result.status == "completed"
    assert "FOREIGN KEY" in result.errors[0].message
    assert counted(place.path) == 1


@pytest.mark.parametrize("ended", ["commit", "rollback"])
async def test_a_transaction_that_is_ended_in_its_block_completes_nothing(
    place: Place, ended: str
) -> None:
    @task
    async def work() -> None:
        async with get_current_task_context().transaction() as session:
            await session.execute(ADD)
            await getattr(session, ended)()
            await session.begin()

    async with Worker(place.service):
        result = await (await place.service.enqueue(work)).wait(SOON)

    assert result.status == "failed"
    assert "was ended inside of its block" in str(result.error)


async def test_the_pool_of_the_application_is_used_and_never_opened(place: Place) -> None:
    @task
    async def work() -> None:
        context = get_current_task_context()
        async with context.transaction() as session:
            await session.execute(ADD)
            context.set_result(id(session.connection))

    async with Worker(place.service):
        await (await place.service.enqueue(work)).value(SOON)
        assert place.config.connection_instance is None
        async with place.config.provide_session() as session:
            theirs = id(session.connection)
        result = await place.service.enqueue(work)
        assert await result.value(SOON) == theirs


async def test_a_blocking_configuration_completes_nothing_with_data(blocking: Place) -> None:
    @task
    async def work() -> None:
        async with get_current_task_context().transaction():
            raise AssertionError

    async with Worker(blocking.service):
        result = await (await blocking.service.enqueue(work)).wait(SOON)

    assert result.status == "failed"
    assert "those of a SqliteConfig block: give the queue an AiosqliteConfig" in str(result.error)
