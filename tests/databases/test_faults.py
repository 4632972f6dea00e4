"""Servers and connections that end at each step, and failures that servers inject: in each way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import timedelta
from functools import partial
from inspect import iscoroutinefunction
from typing import Any, TypeVar

import psycopg
import pymysql
import pytest
from tests.databases.mariadb import MariaServer
from tests.databases.postgres import Database, PostgresServer
from tests.databases.program import HOST
from tests.databases.reaching import AnyDatabase, through
from tests.databases.ways import MARIADB, POSTGRES, Way

from litestar_queues_core.asking import Enqueuer, insist
from litestar_queues_core.errors import StoreUnavailable
from litestar_queues_core.model import Job, Status
from litestar_queues_core.protocols import BackendConfig, SupportsSignals
from litestar_queues_core.settlements import Kind, MaintenancePolicy, Wants
from litestar_queues_core.testing import Claimer, make_job, make_jobs, settled, shift_clock
from litestar_queues_core.testing.chaos import Proxy
from litestar_queues_sql import server

pytestmark = pytest.mark.timeout(120)

MOST = 80
POLICY = MaintenancePolicy()

POOLED = [way for way in (*POSTGRES, *MARIADB) if way.driver != "psycopg-sync"]
"""Whose pools the store borrows from."""

T = TypeVar("T")
AnyServer = PostgresServer | MariaServer


class Interruption:
    """Something that happens before the n-th piece is passed on.

    Args:
        proxy: What passes it on.
        act: What happens; the connection is reset, and the piece is lost.
        answer: Whether it is a piece of answers: what was asked for may have been done.
    """

    def __init__(self, proxy: Proxy, act: Callable[[], Awaitable[None]], *, answer: bool) -> None:
        self._proxy = proxy
        self._act = act
        self._answer = answer
        self._left = 0
        self.happened = False

    @contextmanager
    def at(self, piece: int) -> Generator[None]:
        """Let it happen in this block, if so many pieces are passed on in it."""
        self._left, self.happened = piece, False
        self._proxy.meddle = self._meddle
        try:
            yield
        finally:
            self._proxy.meddle = None

    async def _meddle(self, answer: bool) -> None:
        self._left -= answer is self._answer
        if self._left == 0 and answer is self._answer:
            self.happened = True
            await self._act()
            raise ConnectionResetError


async def reset() -> None:
    """Do no more than what follows in any case."""


class Insisting:
    """A store whose calls are made again until there is an answer, as workers and services do."""

    def __init__(self, store: Any) -> None:
        self.store = store

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.store, name)
        if not iscoroutinefunction(found):
            return found
        return lambda *args, **kwargs: again_and_again(partial(found, *args, **kwargs))


async def again_and_again(call: Callable[[], Awaitable[T]]) -> T:
    return await insist(call, what="a call that was interrupted")


async def enqueue(store: Insisting, interrupted: Callable[[], Any]) -> None:
    job = make_job(key="key")
    with interrupted():
        (answer,) = await Enqueuer(store.store).enqueue([job])

    assert answer.error is None
    (found,) = await store.get([job.id])
    assert found.status is Status.PENDING
    assert list(await store.cancel([job.id], running=False))
    assert list(await store.release_keys(["key"])) == [False]


async def claim(store: Insisting, interrupted: Callable[[], Any]) -> None:
    claimer = await Claimer(store).open()
    await store.enqueue(jobs := make_jobs(3))
    with interrupted():
        claimed = await claimer.claim(10)

    assert sorted(job.id for job in claimed) == [job.id for job in jobs]
    assert {job.delivery for job in claimed} == {1}
    await claimer.exchange([settled(job, Kind.COMPLETE) for job in claimed])


async def settle(store: Insisting, interrupted: Callable[[], Any]) -> None:
    claimer = await Claimer(store).open()
    await store.enqueue(make_jobs(3))
    done, failed, retried = await claimer.claim(3)
    follow_up = make_job(queue="later")
    batch = [
        settled(done, Kind.COMPLETE, follow_ups=[follow_up]),
        settled(failed, Kind.FAIL),
        settled(retried, Kind.RETRY),
    ]
    with interrupted():
        answer = await claimer.exchange(batch)

    assert not (*answer.rejected, *answer.busy, *answer.ended)
    found: list[Job] = await store.get([done.id, failed.id, retried.id, follow_up.id])
    assert [(job.status, job.attempt) for job in found] == [
        (Status.COMPLETED, 0),
        (Status.FAILED, 1),
        (Status.PENDING, 1),
        (Status.PENDING, 0),
    ]
    await store.cancel([retried.id, follow_up.id], running=False)


async def rescue(store: Insisting, interrupted: Callable[[], Any]) -> None:
    claimer = await Claimer(store).open(seconds=1)
    await store.enqueue(make_jobs(3))
    held = await claimer.claim(3)
    shift_clock(store, timedelta(seconds=2))
    with interrupted():
        await store.maintain(POLICY)
    await store.maintain(POLICY)

    found: list[Job] = await store.get([job.id for job in held])
    assert [(job.status, job.rescues, len(job.details.errors)) for job in found] == [
        (Status.PENDING, 1, 1)
    ] * 3
    await store.cancel([job.id for job in held], running=False)


STEPS = [enqueue, claim, settle, rescue]
steps = pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
moments = pytest.mark.parametrize("answer", [False, True], ids=["asked", "done"])


@steps
@moments
async def test_a_connection_may_end_at_each_piece(
    backend: BackendConfig, proxy: Proxy, step: Any, *, answer: bool
) -> None:
    interruption = Interruption(proxy, reset, answer=answer)
    async with backend.open() as store:
        for piece in range(1, MOST):
            await step(Insisting(store), partial(interruption.at, piece))
            if not interruption.happened:
                break

    assert 1 < piece < MOST


@moments
async def test_a_connection_may_end_while_the_tables_are_made(
    way: Way, reached: AnyDatabase, proxy: Proxy, *, answer: bool
) -> None:
    interruption = Interruption(proxy, reset, answer=answer)
    url = through(reached.url, reached, proxy)
    for piece in range(1, MOST):
        backend = way.backend(url, prefix=f"q{piece}_", create_schema=True)

        async def use(backend: BackendConfig = backend) -> None:
            async with backend.open() as store:
                await store.enqueue([make_job()])

        with interruption.at(piece):
            await again_and_again(use)
        if not interruption.happened:
            break

    assert 1 < piece < MOST


@pytest.fixture
def own(way: Way, request: pytest.FixtureRequest) -> AnyServer:
    """A server of the kind that the way leads to, which may be harmed."""
    name = "own_postgres" if way in POSTGRES else "own_mariadb"
    found: AnyServer = request.getfixturevalue(name)
    return found


@pytest.fixture
async def before_own(own: AnyServer) -> AsyncGenerator[Proxy]:
    async with Proxy(HOST, own.port) as proxy:
        yield proxy


@moments
async def test_the_server_may_die_at_each_step(
    way: Way, own: AnyServer, before_own: Proxy, *, answer: bool
) -> None:
    database = await asyncio.to_thread(own.create_database)
    url = through(database.url, database, before_own)

    async def die_and_come_back() -> None:
        await asyncio.to_thread(own.kill)
        restarts.append(asyncio.create_task(asyncio.to_thread(own.restart)))

    restarts: list[asyncio.Task[None]] = []
    interruption = Interruption(before_own, die_and_come_back, answer=answer)
    with ExitStack() as making:
        making.enter_context(interruption.at(4))
        backend = way.backend(url, create_schema=True)

        async def open_and_close() -> None:
            async with backend.open():
                pass

        await again_and_again(open_and_close)
    async with backend.open() as store:
        for step in STEPS:
            await step(Insisting(store), partial(interruption.at, 2 if way in POSTGRES else 4))
        await asyncio.gather(*restarts)
        await asyncio.to_thread(own.kill)  # while nobody asks for anything
        await asyncio.to_thread(own.restart)
        for step in STEPS:
            await step(Insisting(store), nullcontext)

    assert len(restarts) >= 1 + len(STEPS)


FAILS_ONCE = {
    "postgres": [
        "CREATE SEQUENCE failures",
        """
        CREATE FUNCTION fail_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('failures') = 1 THEN RAISE SQLSTATE '{code}'; END IF;
            IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
            RETURN NEW;
        END $$
        """,
        "GRANT ALL ON SEQUENCE failures TO app",
    ],
    "mariadb": [
        "CREATE TABLE failures (n int) ENGINE=Aria TRANSACTIONAL=0",
        "GRANT ALL ON failures TO app",
    ],
}
CODES = {"postgres": ["40001", "40P01"], "mariadb": ["1213", "1020"]}
ONCE = """
    CREATE TRIGGER failing_{event} BEFORE {event} ON {table} FOR EACH ROW BEGIN
        INSERT INTO failures VALUES (1);
        IF (SELECT count(*) FROM failures) = 1 THEN
            SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = {code};
        END IF;
    END
"""


def let_fail(database: AnyDatabase, table: str, code: str) -> None:
    """Let the first change of a row of that table fail."""
    postgres = isinstance(database, Database)
    for statement in FAILS_ONCE["postgres" if postgres else "mariadb"]:
        database.ask(statement.format(code=code))
    if postgres:
        database.ask(
            f"CREATE TRIGGER failing BEFORE INSERT OR UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION fail_once()"
        )
    else:
        for event in ("INSERT", "UPDATE", "DELETE"):
            database.ask(ONCE.format(event=event, table=table, code=code))


@contextmanager
def failing(database: AnyDatabase) -> Generator[None]:
    """Let a change in this block fail, and check that one has been tried again."""
    postgres = isinstance(database, Database)
    database.ask("ALTER SEQUENCE failures RESTART" if postgres else "DELETE FROM failures")
    yield
    count = "SELECT last_value FROM failures" if postgres else "SELECT count(*) FROM failures"
    assert database.ask(count)[0][0] > 1


@pytest.mark.parametrize("number", [0, 1], ids=["serialization", "deadlock"])
async def test_a_transaction_that_met_others_is_tried_again(
    backend: BackendConfig, way: Way, reached: AnyDatabase, number: int
) -> None:
    code = CODES["postgres" if way in POSTGRES else "mariadb"][number]
    async with backend.open() as store:
        let_fail(reached, "litestar_queues_job", code)
        for step in STEPS:
            await step(Insisting(store), partial(failing, reached))


@contextmanager
def holding(database: AnyDatabase, way: Way) -> Generator[Callable[[str, str], None]]:
    """Give what executes statements in a transaction that stays open until the end."""
    connection: Any = (
        psycopg.connect(database.url)
        if isinstance(database, Database)
        else pymysql.connect(
            host=HOST, port=database.server.port, user="app", database=database.name
        )
    )

    def execute(statement: str, value: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement, [value])

    try:
        yield execute
        connection.rollback()
    finally:
        connection.close()


async def test_a_transaction_that_is_left_idle_holds_nobody_up(
    backend: BackendConfig, reached: AnyDatabase, way: Way
) -> None:
    async with backend.open() as store:
        claimer = await Claimer(store).open()
        await store.enqueue(jobs := make_jobs(4))
        held, free = await claimer.claim(2)
        left, right = jobs[2:]
        with holding(reached, way) as other:
            for locked in (held.id, left.id):
                other("SELECT 1 FROM litestar_queues_job WHERE id = %s FOR UPDATE", locked)
            async with asyncio.timeout(5):
                batch = [settled(one, Kind.COMPLETE) for one in (held, free)]
                answer = await claimer.exchange(batch, Wants(limit=5, others=5))
                await store.enqueue([job := make_job()])
                shift_clock(store, timedelta(hours=1))
                done = await store.maintain(POLICY)

        assert list(answer.busy) == [(held.id, 1)]
        assert [one.id for one in answer.claimed] == [right.id]
        assert {one.id for one in done.moved} == {right.id}
        later = await store.maintain(POLICY)
        assert {one.id for one in later.moved} == {held.id}
        assert (await store.get([job.id]))[0].status is Status.PENDING


@pytest.mark.parametrize("way", POSTGRES, ids=str, indirect=True)
async def test_a_listener_that_is_ended_is_replaced_and_wakes_all(
    backend: BackendConfig, reached: Database
) -> None:
    def listeners() -> set[int]:
        return {pid for pid, _, query in reached.connections() if query.startswith("LISTEN")}

    async with backend.open() as store:
        assert isinstance(store, SupportsSignals)
        rest = asyncio.create_task(store.wait({"lane:mail"}, 30.0))
        await asyncio.sleep(0)
        (pid,) = listeners()
        await asyncio.to_thread(reached.end, pid)

        assert await rest
        (again,) = listeners()
        assert again != pid


@pytest.mark.parametrize("way", POOLED, ids=str, indirect=True)
async def test_while_the_pool_is_exhausted_jobs_come_and_go(
    way: Way, reached: AnyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with way.small_pool(reached.url) as (backend, borrow), backend.open() as store:
        claimer = await Claimer(store).open()
        async with borrow():
            await store.enqueue([make_job()])
            job = await claimer.claim_one()
            assert not (await claimer.settle(job, Kind.COMPLETE)).rejected
            monkeypatch.setattr(server, "DEADLINE", 0.5)
            with pytest.raises(StoreUnavailable, match="pool may be exhausted"):
                await store.get([job.id])
        monkeypatch.undo()

        (found,) = await store.get([job.id])
        assert found is not None
        assert found.status is Status.COMPLETED
