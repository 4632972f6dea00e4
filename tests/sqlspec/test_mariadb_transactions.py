"""Jobs share transactions with the data of an application on MariaDB, through SQLSpec."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import pytest
from tests.databases import mariadb
from tests.sqlspec.places import MARIADB
from tests.sqlspec.test_transactions import Counter

from litestar_queues_core import (
    KeyBusyError,
    KeyConflictError,
    QueueConfig,
    QueueService,
    SessionError,
    TransactionError,
    TransactionRolledBack,
    Worker,
    get_current_task_context,
    task,
)
from litestar_queues_core.model import KeyRule, NewJob
from litestar_queues_core.testing import Claimer, make_job, shift_clock
from litestar_queues_core.testing.conformance.completing import complete_in, runs_on
from litestar_queues_core.testing.conformance.joining import enqueue_in
from litestar_queues_core.testing.conformance.keys import KEY, is_free
from litestar_queues_core.testing.conformance.steps import running_job
from litestar_queues_core.testing.conformance.transactions import Transactions
from litestar_queues_sql.database import DataRefused
from litestar_queues_sql.mysql import MySQLStore
from litestar_queues_sqlspec import SQLSpecBackendConfig

pytestmark = pytest.mark.service


class MariaCounter(Counter):
    """The same on MariaDB."""

    def __init__(self, config: Any, database: mariadb.Database) -> None:
        self.config = config
        self._maria = database
        database.ask("CREATE TABLE counter (value int NOT NULL) ENGINE = InnoDB")
        database.ask("INSERT INTO counter VALUES (0)")

    async def counted(self) -> int:
        ((value,),) = self._maria.ask("SELECT value FROM counter")
        return int(value)

    async def cut(self, session: Any) -> None:
        self._maria.end(await session.select_value("SELECT CONNECTION_ID()"))


@pytest.fixture(params=MARIADB)
async def application(
    request: pytest.FixtureRequest, maria_database: mariadb.Database
) -> AsyncGenerator[MariaCounter]:
    config = MARIADB[request.param](maria_database)
    yield MariaCounter(config, maria_database)
    await config.close_pool()


@pytest.fixture
async def store(application: MariaCounter) -> AsyncGenerator[MySQLStore]:
    async with SQLSpecBackendConfig(config=application.config, create_schema=True).open() as store:
        assert isinstance(store, MySQLStore)
        yield store


class TestMariaTransactions(Transactions):
    pass


@task("mariadb.noop")
async def noop() -> None:
    pass


REFUSED: dict[str, Any] = {"priority": 2**70}
SNAPSHOT = "SELECT value FROM counter"


async def test_a_driver_without_a_transaction_is_refused(
    store: MySQLStore, application: MariaCounter
) -> None:
    async with application.config.provide_session() as driver:
        with pytest.raises(SessionError, match=r"async with driver\.transaction\(\)"):
            await enqueue_in(store, driver, make_job())
        async with driver.transaction():
            job = make_job()
            await enqueue_in(store, driver, job)
        with pytest.raises(SessionError, match="no open transaction, or none any more"):
            await enqueue_in(store, driver, make_job())

    assert (await store.get([job.id]))[0] is not None


async def test_a_key_that_was_taken_after_the_snapshot_gives_its_job(
    store: MySQLStore, application: MariaCounter
) -> None:
    """The transaction goes on, on the snapshot that it has."""
    level = "transaction_isolation" if mariadb.kind() == "mysql" else "tx_isolation"
    async with application.transaction() as session:
        assert await session.select_value(f"SELECT @@{level}") == "REPEATABLE-READ"
        await session.select_value(SNAPSHOT)
        (holder,) = await store.enqueue([make_job(key=KEY)])
        known = await enqueue_in(store, session, make_job(key=KEY))
        conflict = await enqueue_in(store, session, make_job(key=KEY, task="tests.other"))
        await application.count(session)

    assert (known.id, known.created, known.error) == (holder.id, False, None)
    assert isinstance(conflict.error, KeyConflictError)
    assert await application.counted() == 1


async def test_a_key_that_has_expired_is_taken_over(
    store: MySQLStore, application: MariaCounter
) -> None:
    await store.enqueue([make_job(key=KeyRule(key=KEY, until=1000))])
    shift_clock(store, timedelta(seconds=2))
    async with application.transaction() as session:
        taken = await enqueue_in(store, session, make_job(key=KEY))

    assert taken.created


async def test_transactions_with_keys_of_their_own_do_not_meet(
    store: MySQLStore, application: MariaCounter
) -> None:
    """Not even in the gap of an empty table, where REPEATABLE READ would lock it."""
    async with application.transaction() as one, application.transaction() as other:
        for number in range(3):
            for name, session in (("a", one), ("b", other)):
                answer = await enqueue_in(store, session, make_job(key=f"{name}{number}"))
                assert answer.created


async def test_a_deadlock_undoes_the_callers_transaction_and_says_so(
    store: MySQLStore, application: MariaCounter
) -> None:
    """Each has locked what the other wants; the one that has written less has to give way."""
    jobs = [make_job(key="first"), make_job(key="second")]
    lost: list[TransactionRolledBack] = []

    async def cross(first: NewJob, second: NewJob, ready: asyncio.Event, go: asyncio.Event) -> None:
        try:
            async with application.transaction() as session:
                await enqueue_in(store, session, first)
                ready.set()
                await go.wait()
                await enqueue_in(store, session, second)
        except TransactionRolledBack as error:
            lost.append(error)

    events = asyncio.Event(), asyncio.Event()
    again = [make_job(key="second"), make_job(key="first")]
    await asyncio.gather(
        cross(jobs[0], again[0], events[0], events[1]),
        cross(jobs[1], again[1], events[1], events[0]),
    )
    known = await store.get([job.id for job in (*jobs, *again)])

    assert len(lost) == 1
    assert "Deadlock" in str(lost[0])
    assert "begin again from its start" in str(lost[0])
    assert sum(one is not None for one in known) == 2


async def test_a_value_that_is_refused_leaves_nothing_by_halves(
    store: MySQLStore, application: MariaCounter
) -> None:
    async with application.transaction() as session:
        await application.count(session)
        with pytest.raises(DataRefused):
            await enqueue_in(store, session, make_job(key=KEY, **REFUSED))
        with pytest.raises(DataRefused):
            await enqueue_in(store, session, make_job(**REFUSED))

    assert await is_free(store)
    assert await application.counted() == 1


async def test_how_long_the_caller_waits_for_locks_is_as_before(
    store: MySQLStore, application: MariaCounter
) -> None:
    waits = "SELECT @@innodb_lock_wait_timeout"
    async with application.transaction() as session:
        theirs = await session.select_value(waits)
        await enqueue_in(store, session, make_job(key=KEY))
        with pytest.raises(DataRefused):
            await enqueue_in(store, session, make_job(key="another", **REFUSED))
        assert await session.select_value(waits) == theirs == 50
        await session.execute("SET innodb_lock_wait_timeout = 1")
        async with application.transaction() as other:
            await other.execute("SET innodb_lock_wait_timeout = 1")
            busy = await enqueue_in(store, other, make_job(key=KEY))
            assert await other.select_value(waits) == 1

    assert isinstance(busy.error, KeyBusyError)


@pytest.mark.parametrize("ended", ["commit", "rollback"])
async def test_a_transaction_that_is_ended_in_its_block_completes_nothing(
    store: MySQLStore, application: MariaCounter, ended: str
) -> None:
    """A deadlock whose error the task has swallowed is such a rollback."""
    claimer = await Claimer(store).open()
    job = await running_job(store, claimer)

    async def complete() -> None:
        async with store.transaction() as session:
            await application.count(session)
            await getattr(session, ended)()
            await session.begin()
            await complete_in(store, session, claimer, job)

    with pytest.raises(TransactionError, match="was ended inside of its block"):
        await complete()

    assert await runs_on(store, job)


async def test_a_server_that_rolls_back_after_a_timeout_is_told_of(
    own_mariadb: mariadb.MariaServer,
) -> None:
    own_mariadb.stop()
    own_mariadb.restart("--innodb-rollback-on-timeout=1")
    database = own_mariadb.create_database()
    application = MariaCounter(MARIADB["asyncmy"](database), database)
    backend = SQLSpecBackendConfig(config=application.config, create_schema=True)

    async def follow() -> None:
        async with application.transaction() as session:
            await session.execute("SET innodb_lock_wait_timeout = 1")
            await application.count(session)
            await enqueue_in(store, session, make_job(key=KEY))

    async with backend.open() as store, application.transaction() as first:
        await enqueue_in(store, first, make_job(key=KEY))
        with pytest.raises(TransactionRolledBack, match="begin again from its start"):
            await follow()
    await application.config.close_pool()

    assert await application.counted() == 0


async def test_a_task_completes_with_its_data(
    maria_database: mariadb.Database, application: MariaCounter
) -> None:
    @task
    async def work() -> None:
        context = get_current_task_context()
        async with context.transaction() as session:
            await application.count(session)
            following = await service.enqueue(noop, session=session)
            context.set_result(following.id)

    backend = SQLSpecBackendConfig(config=application.config, create_schema=True)
    async with QueueService(QueueConfig(queue_backend=backend)) as service, Worker(service):
        result = await service.enqueue(work)
        following = await service.get(str(await result.value(10)))
        assert following is not None
        await following.wait(10)

    assert following.status == "completed"
    assert await application.counted() == 1
