"""How fast a worker runs jobs that do nothing, against floors measured in the same run.

Memory store: CPU per job from ``enqueue_many`` to settled, in one process.  Its floor does per job
one asyncio task, one ``json`` dumps and loads of the payload, and one heap push and pop.

SQLite store: jobs per second of one worker process.  Its floor is the standard library's
``sqlite3`` running the statements of our store, recorded on the same rows in batches of 100, from
one thread.
"""

from __future__ import annotations

import asyncio
import heapq
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measuring import Figure, arguments, repeat, report

from litestar_queues_core import QueueConfig, QueueService, Worker, task
from litestar_queues_core.ids import new_lease_id
from litestar_queues_core.model import WorkerInfo
from litestar_queues_core.settlements import Kind, Settlement, Wants
from litestar_queues_core.stores.memory import MemoryBackendConfig
from litestar_queues_core.worker.standalone import run_worker
from litestar_queues_sql.sqlite import SQLiteBackendConfig

CONCURRENCY = 100


@task("bench.noop")
async def noop(number: int) -> None:
    """Do nothing."""


async def drain_memory(jobs: int) -> float:
    """Return microseconds of CPU per job, from the enqueue to the end."""
    async with QueueService(QueueConfig(queue_backend=MemoryBackendConfig())) as service:
        began = time.process_time()
        await service.enqueue_many([noop.call(number) for number in range(jobs)])
        await Worker(service, burst=True, concurrency=CONCURRENCY).run()
        return (time.process_time() - began) / jobs * 1e6


async def floor_memory(jobs: int) -> float:
    """Return microseconds of CPU per job of the least that any such queue must do."""

    async def nothing(number: int) -> None:
        """Do nothing."""

    heap: list[tuple[int, int, str]] = []
    began = time.process_time()
    for number in range(jobs):
        heapq.heappush(heap, (0, number, json.dumps({"number": number})))
    while heap:
        payloads = [heapq.heappop(heap)[2] for _ in range(min(CONCURRENCY, len(heap)))]
        await asyncio.wait([asyncio.create_task(nothing(**json.loads(one))) for one in payloads])
    return (time.process_time() - began) / jobs * 1e6


class Recorder(sqlite3.Connection):
    """A connection that remembers what it was asked to do."""

    log: list[tuple[str, str, Any]] | None = None

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Remember and execute."""
        if Recorder.log is not None:
            Recorder.log.append(("execute", sql, parameters))
        return super().execute(sql, parameters)

    def executemany(self, sql: str, rows: Any, /) -> sqlite3.Cursor:
        """Remember and execute."""
        rows = list(rows)
        if Recorder.log is not None:
            Recorder.log.append(("executemany", sql, rows))
        return super().executemany(sql, rows)


async def record(path: Path, jobs: int, batch: int = 100) -> list[tuple[str, str, Any]]:
    """Return what our store does to claim and settle *jobs* in batches; leave them waiting.

    The jobs are enqueued first, and a copy of the file is kept beside it for the replay.
    """
    connect = sqlite3.connect
    sqlite3.connect = lambda *args, **kwargs: connect(*args, **{**kwargs, "factory": Recorder})  # type: ignore[assignment,misc]
    try:
        config = QueueConfig(queue_backend=SQLiteBackendConfig(path=path))
        async with QueueService(config) as service:
            await service.enqueue_many([noop.call(number) for number in range(jobs)])
            lease = new_lease_id()
            await service.store.open_lease(lease, WorkerInfo(name="floor"), seconds=600)
            with connect(path) as source, connect(path.with_suffix(".copy")) as copy:
                source.backup(copy)
            Recorder.log = []
            settlements: list[Settlement] = []
            for seq in range(1, jobs // batch + 2):
                wants = Wants(limit=batch, others=batch)
                answer = await service.store.exchange(lease, seq, settlements, wants)
                settlements = [
                    Settlement(id=job.id, delivery=job.delivery, kind=Kind.COMPLETE)
                    for job in answer.claimed
                ]
            log, Recorder.log = Recorder.log, None
    finally:
        sqlite3.connect = connect  # type: ignore[misc]
    return log


def replay(path: Path, log: Sequence[tuple[str, str, Any]]) -> float:
    """Return the seconds that bare ``sqlite3`` takes for what was recorded."""
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "cache_size=-32000"):
        connection.execute(f"PRAGMA {pragma}")
    began = time.perf_counter()
    for method, sql, parameters in log:
        getattr(connection, method)(sql, parameters).fetchall()
    took = time.perf_counter() - began
    connection.close()
    return took


def floor_sqlite(jobs: int) -> float:
    """Return jobs per second of the recorded statements on bare ``sqlite3``."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "queue.db")
        log = asyncio.run(record(path, jobs))
        return jobs / replay(path.with_suffix(".copy"), log)


def drain_sqlite(jobs: int) -> float:
    """Return jobs per second of one worker process on a file with *jobs* waiting."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "queue.db")
        asyncio.run(_fill(path, jobs))
        command = [sys.executable, __file__, "--worker", str(path)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return jobs / float(output)


async def _fill(path: Path, jobs: int) -> None:
    config = QueueConfig(queue_backend=SQLiteBackendConfig(path=path))
    async with QueueService(config) as service:
        await service.enqueue_many([noop.call(number) for number in range(jobs)])


async def _work(path: Path) -> None:
    """Be the worker process: run what waits, and print the seconds that took."""
    config = QueueConfig(queue_backend=SQLiteBackendConfig(path=path))
    async with QueueService(config) as service:
        began = time.perf_counter()
        await run_worker(service, burst=True, concurrency=CONCURRENCY)
        print(time.perf_counter() - began)


def main() -> None:
    """Measure and print."""
    if "--worker" in sys.argv:
        return asyncio.run(_work(Path(sys.argv[-1])))
    given = arguments(__doc__, jobs=20_000, repeat=5)
    memory, floor = repeat(
        given.repeat,
        lambda: asyncio.run(drain_memory(given.jobs)),
        lambda: asyncio.run(floor_memory(given.jobs)),
    )
    sqlite, bare = repeat(
        given.repeat, lambda: drain_sqlite(given.jobs), lambda: floor_sqlite(given.jobs)
    )
    report(
        "drain: no-op jobs, concurrency 100",
        [
            Figure(what="memory: CPU per job, enqueue to settled", value=memory, unit="us"),
            Figure(what="memory: floor", value=floor, unit="us"),
            Figure(what="memory: times the floor", value=memory / floor, unit="x", target="<= 2.5"),
            Figure(what="SQLite: one worker process", value=sqlite, unit="jobs/s"),
            Figure(what="SQLite: bare sqlite3, same statements", value=bare, unit="jobs/s"),
            Figure(
                what="SQLite: share of bare sqlite3",
                value=100 * sqlite / bare,
                unit="%",
                target=">= 25",
            ),
        ],
        given.json,
    )
    return None


if __name__ == "__main__":
    main()
