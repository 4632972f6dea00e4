"""Several processes, one file."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest

from litestar_queues_core.settlements import Kind, Wants
from litestar_queues_core.testing import Claimer, make_jobs, settled
from litestar_queues_sql import SQLiteBackendConfig, SQLiteStore

Spawn = Callable[[str], Awaitable[Process]]

OPEN = """
import asyncio, sys
from litestar_queues_sql import SQLiteBackendConfig
from litestar_queues_core.settlements import Kind, Wants
from litestar_queues_core.testing import Claimer, make_job, settled

async def main():
    async with SQLiteBackendConfig(path=sys.argv[1]).open() as store:
        print("open", flush=True)
        await act(store)

def command():
    return asyncio.to_thread(sys.stdin.readline)
"""
RUN = "\nasyncio.run(main())\n"

COMPLETE = (
    OPEN
    + """
async def act(store):
    claimer = await Claimer(store).open()
    await command()
    done = []
    while True:
        answer = await claimer.exchange(
            [settled(job, Kind.COMPLETE) for job in done], Wants(limit=7, others=7)
        )
        done = answer.claimed
        for job in done:
            print(job.id, flush=True)
        if not done:
            return
"""
    + RUN
)

STOP_HALFWAY = (
    OPEN
    + """
import time
from litestar_queues_sql.enqueue import enqueue

def halfway():
    yield from enqueue([make_job() for _ in range(100)])
    print("halfway", flush=True)
    time.sleep(600)
    yield

async def act(store):
    await store._database.write(halfway)
"""
    + RUN
)

ENQUEUE_ON_COMMAND = (
    OPEN
    + """
async def act(store):
    while await command():
        await store.enqueue([make_job(queue="mail")])
        print("enqueued", flush=True)
"""
    + RUN
)


@pytest.fixture
async def spawn(path: Path) -> AsyncGenerator[Spawn]:
    """Run Python code in a process of its own; ``path`` is its first argument."""
    async with AsyncExitStack() as stack:

        async def run(code: str) -> Process:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", code, str(path), stdin=PIPE, stdout=PIPE
            )
            stack.push_async_callback(end, process)
            return process

        yield run


async def end(process: Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.communicate()


async def line(process: Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(20):
        return (await process.stdout.readline()).decode().strip()


def tell(process: Process) -> None:
    assert process.stdin is not None
    process.stdin.write(b"go\n")


def lines(output: tuple[bytes, bytes]) -> list[str]:
    return output[0].decode().split()


async def test_processes_share_the_work_and_never_a_job(store: SQLiteStore, spawn: Spawn) -> None:
    jobs = make_jobs(300)
    await store.enqueue(jobs)
    others = [await spawn(COMPLETE) for _ in range(2)]
    for process in others:
        assert await line(process) == "open"
        tell(process)
    claimer = await Claimer(store).open()
    claimed: list[str] = []

    held = await claimer.claim(7)
    while held:
        claimed += [job.id for job in held]
        ended = [settled(job, Kind.COMPLETE) for job in held]
        held = (await claimer.exchange(ended, Wants(limit=7, others=7))).claimed
    for process in others:
        claimed += lines(await process.communicate())

    assert sorted(claimed) == [job.id for job in jobs]
    assert len(claimed) == len(set(claimed))


async def test_a_process_killed_while_it_writes_leaves_nothing_behind(
    store: SQLiteStore, spawn: Spawn, path: Path
) -> None:
    process = await spawn(STOP_HALFWAY)
    assert await line(process) == "open"
    assert await line(process) == "halfway"

    process.kill()
    await process.wait()
    jobs = make_jobs(5)
    await store.enqueue(jobs)
    claimer = await Claimer(store).open()

    assert [one.id for one in await claimer.claim()] == [job.id for job in jobs]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_work_from_another_process_ends_a_rest_soon(store: SQLiteStore, spawn: Spawn) -> None:
    process = await spawn(ENQUEUE_ON_COMMAND)
    assert await line(process) == "open"
    delays: list[float] = []

    for _ in range(5):
        rest = asyncio.create_task(store.wait({"lane:mail"}, 20))
        await asyncio.sleep(0)
        tell(process)
        assert await line(process) == "enqueued"
        told = time.monotonic()
        assert await rest
        delays.append(time.monotonic() - told)

    assert sorted(delays)[2] < 1


async def test_processes_may_open_a_new_file_at_once(spawn: Spawn, path: Path) -> None:
    processes = await asyncio.gather(*(spawn(ENQUEUE_ON_COMMAND) for _ in range(4)))

    assert [await line(process) for process in processes] == ["open"] * 4
    async with SQLiteBackendConfig(path=path).open() as store:
        for process in processes:
            tell(process)
            assert await line(process) == "enqueued"
        claimer = await Claimer(store).open()
        assert len(await claimer.claim()) == 4
