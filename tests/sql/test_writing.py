"""The thread that writes: batches, faults, and the end."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import warnings
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from litestar_queues_core.errors import StoreError, StoreUnavailable
from litestar_queues_core.model import Status
from litestar_queues_core.settlements import Kind
from litestar_queues_core.testing import Claimer, make_job, make_jobs, settled
from litestar_queues_sql import SQLiteBackendConfig, SQLiteStore
from litestar_queues_sql.database import Texts
from litestar_queues_sql.enqueue import enqueue
from litestar_queues_sql.schema import MIGRATIONS, upgrade
from litestar_queues_sql.script import Factory, Script, Sql
from litestar_queues_sql.sqlite.connection import Batch, Clock, Connection
from litestar_queues_sql.sqlite.dialect import SQLITE
from litestar_queues_sql.sqlite.opening import connect, in_use
from litestar_queues_sql.sqlite.thread import ConnectionThread


def connection_to(path: Path) -> Connection:
    return Connection(connect(path), path, Texts(SQLITE), Clock(), "test")


def setting(name: str, value: int) -> Script[None]:
    yield Sql(f"PRAGMA {name} = {value}")()


def failing(error: Exception) -> Script[None]:
    yield Sql("INSERT INTO $state (name, value) VALUES ('half', 1)")()
    raise error


async def known(store: SQLiteStore, jobs: Sequence[Any]) -> list[bool]:
    return [one is not None for one in await store.get([job.id for job in jobs])]


async def test_what_gathers_meanwhile_is_one_transaction(path: Path) -> None:
    begun, gate = threading.Event(), threading.Event()
    sizes: list[int] = []

    def run(connection: Connection, scripts: Sequence[Factory[Any]]) -> Batch:
        begun.set()
        gate.wait(10)
        sizes.append(len(scripts))
        return connection.write(scripts)

    thread = ConnectionThread("test", partial(connection_to, path), run, lambda _: None)
    await thread.start()
    first = asyncio.create_task(thread.submit(upgrade))
    await asyncio.to_thread(begun.wait, 10)
    rest = [asyncio.create_task(thread.submit(partial(enqueue, [make_job()]))) for _ in range(40)]
    await asyncio.sleep(0)

    gate.set()
    await asyncio.gather(first, *rest)
    await thread.stop()

    assert sizes == [1, 40]


def test_a_script_that_fails_harms_none_of_its_batch(path: Path) -> None:
    before, after = make_job(), make_job()
    with closing(connection_to(path)) as connection:
        connection.write([upgrade])

        batch = connection.write(
            [
                partial(enqueue, [before]),
                partial(failing, ValueError("no")),
                partial(enqueue, [after]),
            ]
        )
        rows = connection.raw.execute("SELECT id FROM litestar_queues_job ORDER BY id").fetchall()
        half = connection.raw.execute("SELECT * FROM litestar_queues_state WHERE name = 'half'")

        assert [type(one.error) for one in batch.outcomes] == [type(None), ValueError, type(None)]
        assert rows == [(before.id,), (after.id,)]
        assert half.fetchall() == []
        assert batch.topics == {"lane:default"}


def test_a_script_that_fails_alone_leaves_nothing(path: Path) -> None:
    with closing(connection_to(path)) as connection:
        connection.write([upgrade])

        batch = connection.write([partial(failing, ValueError("no"))])
        half = connection.raw.execute("SELECT * FROM litestar_queues_state WHERE name = 'half'")

        assert isinstance(batch.outcomes[0].error, ValueError)
        assert half.fetchall() == []
        assert not connection.raw.in_transaction


async def test_a_caller_that_is_cancelled_leaves_the_thread_in_peace(store: SQLiteStore) -> None:
    jobs = make_jobs(3)
    tasks = [asyncio.create_task(store.enqueue([job])) for job in jobs]
    await asyncio.sleep(0)

    tasks[1].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    await store.enqueue([later := make_job()])

    assert isinstance(results[1], asyncio.CancelledError)
    assert await known(store, [*jobs, later]) == [True] * 4


async def test_a_full_disk_is_told_and_nothing_is_half_written(store: SQLiteStore) -> None:
    claimer = await Claimer(store).open()
    await store.enqueue(make_jobs(10))
    jobs = await claimer.claim()
    await store._database.write(partial(setting, "max_page_count", 1))
    big = make_job(payload=bytes(1_000_000))

    with pytest.raises(StoreUnavailable, match="full") as told:
        await claimer.exchange([settled(job, Kind.COMPLETE, follow_ups=[big]) for job in jobs])
    during = await store.get([job.id for job in jobs])
    await store._database.write(partial(setting, "max_page_count", 1_000_000))
    answer = await claimer.exchange([settled(job, Kind.COMPLETE) for job in jobs])

    assert "make room" in str(told.value)
    assert {one and one.status for one in during} == {Status.RUNNING}
    assert await known(store, [big]) == [False]
    assert not answer.rejected


async def test_a_file_that_stays_locked_is_told_in_time(store: SQLiteStore, path: Path) -> None:
    await store._database.write(partial(setting, "busy_timeout", 20))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(StoreUnavailable, match="locked") as told:
            await store.enqueue([make_job()])
        other.execute("ROLLBACK")

    await store.enqueue([job := make_job()])
    assert "another process has been writing" in str(told.value)
    assert await known(store, [job]) == [True]


async def test_closing_finishes_what_was_begun(path: Path) -> None:
    jobs = make_jobs(50)
    async with SQLiteBackendConfig(path=path).open() as store:
        tasks = [asyncio.create_task(store.enqueue([job])) for job in jobs]
        await asyncio.sleep(0)

    await asyncio.gather(*tasks)
    async with SQLiteBackendConfig(path=path).open() as again:
        assert await known(again, jobs) == [True] * 50


async def test_a_closed_store_says_so(path: Path) -> None:
    async with SQLiteBackendConfig(path=path).open() as store:
        pass

    for call in (store.enqueue([make_job()]), store.get([make_job().id])):
        with pytest.raises(StoreUnavailable, match="has been closed"):
            await call


async def test_closing_ends_all_threads(path: Path) -> None:
    async with SQLiteBackendConfig(path=path).open():
        open_ = [one for one in threading.enumerate() if "litestar-queues" in one.name]
    left = [one for one in threading.enumerate() if "litestar-queues" in one.name]

    assert len(open_) == 3
    assert not left


async def test_a_surprise_is_an_answer_and_the_next_script_runs(path: Path) -> None:
    surprises = [MemoryError("no room"), sqlite3.ProgrammingError("closed")]

    def run(connection: Connection, scripts: Sequence[Factory[Any]]) -> Batch:
        if surprises:
            connection.raw.execute("BEGIN")
            raise surprises.pop()
        return connection.write(scripts)

    thread = ConnectionThread("test", partial(connection_to, path), run, lambda _: None)
    await thread.start()

    for word in ("closed", "no room"):
        with pytest.raises(StoreUnavailable, match=word):
            await thread.submit(upgrade)
    version = await thread.submit(upgrade)
    await thread.stop()

    assert version == MIGRATIONS[-1].version


def in_a_fork(act: Callable[[], object]) -> str:
    """Return the error that *act* raises in a forked child."""
    readable, writable = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads and fork: that is the point
        child = os.fork()
    if child == 0:
        message = b"no error"
        try:
            act()
        except StoreError as error:
            message = str(error).encode()
        finally:
            os.write(writable, message)
            os._exit(0)
    os.close(writable)
    with open(readable, "rb") as answer:
        told = answer.read().decode()
    os.waitpid(child, 0)
    return told


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
async def test_a_forked_child_may_not_use_the_store(store: SQLiteStore) -> None:
    uses = [
        lambda: store.enqueue([make_job()]).send(None),
        lambda: store.get([make_job().id]).send(None),
        lambda: store.wait({"lane:*"}, 1).send(None),
    ]

    told = [in_a_fork(use) for use in uses]
    await store.enqueue([job := make_job()])

    for message in told:
        assert f"opened by process {os.getpid()}" in message
        assert "fork before the store is opened" in message
    assert await known(store, [job]) == [True]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
async def test_a_forked_child_may_not_open_what_its_parent_has_open(
    store: SQLiteStore, path: Path, tmp_path: Path
) -> None:
    def open_(file: Path) -> Callable[[], object]:
        return lambda: in_use(file).__enter__()

    refused = in_a_fork(open_(path))
    allowed = in_a_fork(open_(tmp_path / "other.db"))

    assert f"{path} was open in the process that this one was forked from" in refused
    assert "spawn" in refused
    assert allowed == "no error"
