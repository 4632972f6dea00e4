"""Tasks that complete themselves in a transaction with their own data."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, NamedTuple

import pytest
from sqlspec.adapters.asyncpg import AsyncpgConfig
from tests.databases.postgres import Database
from tests.sqlspec.test_transactions import Counter

from litestar_queues_core import (
    MissingAbilityError,
    Outcome,
    PayloadError,
    QueueConfig,
    QueueEventConfig,
    QueueService,
    StoreUnavailable,
    TransactionError,
    Worker,
    get_current_task_context,
    task,
)
from litestar_queues_core.context import TaskExecutionContext
from litestar_queues_core.events import InMemoryEventSink
from litestar_queues_core.stores.memory import MemoryBackendConfig
from litestar_queues_core.worker import transacting
from litestar_queues_sqlspec import SQLSpecBackendConfig
from litestar_queues_sqlspec.sessions import AsyncSessions

SOON = 10.0
ADD = "UPDATE counter SET value = value + 1"


class Place(NamedTuple):
    """A queue beside the counter of an application."""

    service: QueueService
    counter: Counter
    sink: InMemoryEventSink
    outcomes: list[Outcome]


@pytest.fixture
async def place(database: Database) -> AsyncGenerator[Place]:
    config = AsyncpgConfig(connection_config={"dsn": database.url})
    counter = Counter(config, database)
    sink, outcomes = InMemoryEventSink(), list[Outcome]()

    def after(context: TaskExecutionContext, outcome: Outcome) -> None:
        outcomes.append(outcome)

    settings = QueueConfig(
        queue_backend=SQLSpecBackendConfig(config=config, create_schema=True),
        event_config=QueueEventConfig(enabled=True, sink=sink),
    )
    async with QueueService(settings) as service, Worker(service, after_job=after, grace=0.2):
        yield Place(service, counter, sink, outcomes)
    await config.close_pool()


async def test_the_result_is_that_of_the_block(place: Place) -> None:
    @task
    async def work(number: int) -> dict[str, int]:
        context = get_current_task_context()
        async with context.transaction() as session:
            await context.progress(1, 1)
            await session.execute(ADD)
            context.set_result({"number": number})
        return None  # type: ignore[return-value]

    result = await place.service.enqueue(work, 5)

    assert await result.value(SOON) == {"number": 5}
    assert result.record is not None
    assert result.record.details.progress == b'{"current": 1, "total": 1}'
    assert await place.counter.counted() == 1


async def test_a_block_that_raises_is_rolled_back_and_tried_again(place: Place) -> None:
    @task(retries=1, retry_policy=0)
    async def work() -> None:
        context = get_current_task_context()
        async with context.transaction() as session:
            await session.execute(ADD)
            if context.attempt == 1:
                raise ValueError("not yet")

    result = await (await place.service.enqueue(work)).wait(SOON)

    assert result.status == "completed"
    assert [one.message for one in result.errors] == ["not yet"]
    assert await place.counter.counted() == 1


async def test_a_block_that_was_rolled_back_can_be_followed_by_another(place: Place) -> None:
    @task
    async def work() -> None:
        context = get_current_task_context()
        with suppress(ValueError):
            async with context.transaction() as session:
                await session.execute(ADD)
                int("no number")
        async with context.transaction() as session:
            await session.execute(ADD)

    result = await (await place.service.enqueue(work)).wait(SOON)

    assert result.status == "completed"
    assert await place.counter.counted() == 1


async def test_what_comes_after_the_block_changes_nothing(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    @task(retries=3, retry_policy=0)
    async def returns() -> int:
        context = get_current_task_context()
        async with context.transaction():
            context.set_result(1)
        return 2

    @task(retries=3, retry_policy=0)
    async def raises() -> int:
        context = get_current_task_context()
        async with context.transaction():
            context.set_result(1)
        raise ValueError("too late")

    for one in (returns, raises):
        result = await place.service.enqueue(one)
        assert await result.value(SOON) == 1
        while not place.outcomes:
            await asyncio.sleep(0.01)
        outcome = place.outcomes.pop()
        assert (outcome.succeeded, outcome.value) == (True, 1)
        assert place.sink.types(result.id) == ["job.enqueued", "job.started", "job.completed"]

    warning, error = [r for r in caplog.records if "its own transaction" in r.message]
    assert (warning.levelno, error.levelno) == (logging.WARNING, logging.ERROR)
    assert "ctx.set_result() inside the block sets the result" in warning.message
    assert error.exc_info is not None
    assert str(error.exc_info[1]) == "too late"


async def test_completion_is_announced_after_the_commit(place: Place) -> None:
    seen: list[tuple[list[str], int]] = []

    @task
    async def work() -> None:
        context = get_current_task_context()
        async with context.transaction() as session:
            await session.execute(ADD)
            seen.append((place.sink.types(context.id), await place.counter.counted()))
        seen.append((place.sink.types(context.id)[-1:], await place.counter.counted()))

    result = await place.service.enqueue(work)
    await result.wait(SOON)
    while not place.outcomes:
        await asyncio.sleep(0.01)

    assert seen[0] == (["job.enqueued", "job.started"], 0)
    assert seen[1][1] == 1
    assert place.sink.types(result.id)[-1] == "job.completed"


async def test_misuse_is_refused_with_the_fix(place: Place) -> None:
    said: list[str] = []

    @contextmanager
    def refused() -> Generator[None]:
        with pytest.raises(TransactionError) as caught:
            yield
        said.append(str(caught.value))

    @task
    async def work() -> None:
        context = get_current_task_context()
        with refused():
            context.set_result(1)
        async with context.transaction():
            with refused():
                await context.transaction().__aenter__()
        with refused():
            context.set_result(1)
        with refused():
            await context.transaction().__aenter__()

    @task
    def blocking() -> None:
        with refused():
            get_current_task_context().transaction()

    for one in (work, blocking):
        result = await (await place.service.enqueue(one)).wait(SOON)
        assert result.status == "completed"
        while not place.outcomes:
            await asyncio.sleep(0.01)
        place.outcomes.clear()

    outside, nested, after, again, sync = said
    assert "elsewhere, return the result" in outside
    assert "is open already; use its session" in nested
    assert after == outside
    assert "there is one in each attempt" in again
    assert "an `async def`" in sync


async def test_a_store_without_a_database_says_so() -> None:
    @task
    async def work() -> None:
        async with get_current_task_context().transaction():
            raise AssertionError

    async with QueueService(QueueConfig(queue_backend=MemoryBackendConfig())) as service:
        async with Worker(service):
            result = await (await service.enqueue(work)).wait(SOON)
        with pytest.raises(MissingAbilityError, match=r"session= .* SupportsTransactions"):
            await service.enqueue(work, session=object())

    assert "ctx.transaction() needs a store with the ability SupportsTransactions" in str(
        result.error
    )


async def test_a_result_that_cannot_travel_undoes_the_block_and_fails_at_once(
    place: Place,
) -> None:
    @task(retries=5, retry_policy=0)
    async def work() -> object:
        context = get_current_task_context()
        async with context.transaction() as session:
            await session.execute(ADD)
            context.set_result(object())
        return None

    result = await (await place.service.enqueue(work)).wait(SOON)

    assert result.status == "failed"
    assert len(result.errors) == 1
    assert PayloadError.__name__ in str(result.error)
    assert await place.counter.counted() == 0


async def test_a_cancel_in_the_block_undoes_it(place: Place) -> None:
    inside = asyncio.Event()

    @task
    async def work() -> None:
        async with get_current_task_context().transaction() as session:
            await session.execute(ADD)
            inside.set()
            await asyncio.sleep(60)

    result = await place.service.enqueue(work)
    await inside.wait()
    await place.service.cancel(result.id)
    await result.wait(SOON)

    assert result.status == "cancelled"
    assert await place.counter.counted() == 0


async def test_a_block_that_takes_too_long_is_undone(place: Place) -> None:
    @task(timeout=0.2)
    async def work() -> None:
        async with get_current_task_context().transaction() as session:
            await session.execute(ADD)
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                await session.execute(ADD)  # and on it goes

    result = await (await place.service.enqueue(work)).wait(SOON)

    assert result.status == "failed"
    assert "exceeded its timeout" in str(result.error)
    assert await place.counter.counted() == 0


SLOW = """
    CREATE FUNCTION wait_a_moment() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER slowly AFTER UPDATE ON counter
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait_a_moment()
"""


async def test_a_commit_is_not_interrupted(place: Place, database: Database) -> None:
    """The commit takes half a second, and the time of the attempt ends within it."""
    database.ask(SLOW)

    @task(timeout=0.3)
    async def work() -> None:
        async with get_current_task_context().transaction() as session:
            await session.execute(ADD)
        await asyncio.sleep(60)

    result = await (await place.service.enqueue(work)).wait(SOON)
    while not place.outcomes:
        await asyncio.sleep(0.01)

    assert result.status == "completed"
    assert place.outcomes[0].succeeded
    assert await place.counter.counted() == 1


async def test_an_error_of_the_commit_is_the_tasks(place: Place, database: Database) -> None:
    database.ask("CREATE TABLE once (value int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    database.ask("GRANT ALL ON once TO PUBLIC")

    @task(retries=1, retry_policy=0)
    async def work() -> None:
        context = get_current_task_context()
        async with context.transaction() as session:
            await session.execute(ADD)
            await session.execute("INSERT INTO once VALUES (1)")
            if context.attempt == 1:
                await session.execute("INSERT INTO once VALUES (1)")

    result = await (await place.service.enqueue(work)).wait(SOON)

    assert result.status == "completed"
    assert "unique" in result.errors[0].message
    assert await place.counter.counted() == 1


def lose_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commits happen, and their answers be lost."""
    begin = AsyncSessions.begin

    @asynccontextmanager
    async def silent(self: AsyncSessions) -> AsyncGenerator[Any]:
        async with begin(self) as session:
            yield session
        raise ConnectionError("the answer was lost")

    monkeypatch.setattr(AsyncSessions, "begin", silent)


async def test_a_commit_whose_answer_is_lost_is_looked_up(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_answers(monkeypatch)

    @task(retries=3, retry_policy=0)
    async def work() -> None:
        context = get_current_task_context()
        async with context.transaction() as session:
            await session.execute(ADD)
            context.set_result(context.attempt)

    result = await place.service.enqueue(work)

    assert await result.value(SOON) == 1
    assert await place.counter.counted() == 1
    assert place.sink.types(result.id)[1:] == ["job.started", "job.completed"]


async def test_where_the_look_up_fails_too_the_fence_decides(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attempt counts as failed for its worker, whose word comes too late."""
    lose_answers(monkeypatch)
    monkeypatch.setattr(transacting, "LOOK_UP", -1.0)
    get, failures = place.service.store.get, 1

    async def deaf(ids: Any) -> Any:
        nonlocal failures
        if failures and len(ids) == 1:
            failures -= 1
            raise StoreUnavailable("no answer")
        return await get(ids)

    @task(retries=3, retry_policy=0)
    async def work() -> None:
        monkeypatch.setattr(place.service.store, "get", deaf)
        context = get_current_task_context()
        async with context.transaction() as session:
            await session.execute(ADD)
            context.set_result(context.attempt)

    result = await place.service.enqueue(work)
    while len(place.sink.types(result.id)) < 3:
        await asyncio.sleep(0.01)

    assert await result.value(SOON) == 1
    assert await place.counter.counted() == 1
    assert place.sink.types(result.id) == ["job.enqueued", "job.started", "job.completed"]
    assert not failures


async def test_a_server_that_ends_the_connection_in_the_commit_undoes_the_block(
    place: Place, database: Database
) -> None:
    database.ask(SLOW)
    pids: list[int] = []

    @task(retries=1, retry_policy=0)
    async def work() -> None:
        async with get_current_task_context().transaction() as session:
            pids.append(session.connection.get_server_pid())
            await session.execute(ADD)

    result = await place.service.enqueue(work)
    committing = "SELECT pid FROM pg_stat_activity WHERE pid = ANY(%s) AND wait_event = 'PgSleep'"
    while not await asyncio.to_thread(database.ask, committing, pids):
        await asyncio.sleep(0.01)
    database.end(pids[0])
    await result.wait(SOON)

    assert result.status == "completed"
    assert len(pids) == 2
    assert len(result.errors) == 1
    assert await place.counter.counted() == 1


async def test_a_shutdown_in_the_block_gives_the_job_back(database: Database) -> None:
    config = AsyncpgConfig(connection_config={"dsn": database.url})
    counter, inside = Counter(config, database), asyncio.Event()

    @task
    async def work() -> None:
        async with get_current_task_context().transaction() as session:
            await session.execute(ADD)
            inside.set()
            await asyncio.sleep(60)

    settings = QueueConfig(queue_backend=SQLSpecBackendConfig(config=config, create_schema=True))
    async with QueueService(settings) as service:
        async with Worker(service, grace=0.1):
            result = await service.enqueue(work)
            await inside.wait()
        await result.refresh()

    assert result.status == "pending"
    assert not result.errors
    assert await counter.counted() == 0
