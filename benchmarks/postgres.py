"""How fast a worker runs jobs that do nothing from PostgreSQL with asyncpg, and what that takes.

The floor is a bare asyncpg connection that executes the statements of our store, recorded on the
same rows in batches of 100.  The server is one of our own, with the settings it comes with, and
durable; for the volume of its log and for growth it writes no images of whole pages.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg
from measuring import Figure, arguments, repeat, report
from postgres_servers import program
from sqlspec.adapters.asyncpg import AsyncpgConfig
from tests.databases.postgres import Database, PostgresServer

from litestar_queues_core import QueueConfig, QueueService, task
from litestar_queues_core.ids import new_lease_id
from litestar_queues_core.model import WorkerInfo
from litestar_queues_core.settlements import NOTHING, Kind, Settlement, Wants
from litestar_queues_core.worker.standalone import run_worker
from litestar_queues_sql.drivers.asyncpg import AsyncpgConnection
from litestar_queues_sqlspec import SQLSpecBackendConfig

CONCURRENCY = 100
BATCH = 100
JOB = """
INSERT INTO litestar_queues_job
    (id, status, lane, job_rank, due_ms, enqueued_ms, spec, payload)
SELECT '00000000-' || lpad((n + {base})::text, 27, '0'), {status}, 'default', 0, {due} + n, 0,
    '{{"task":"bench.noop"}}', '1{{}}'
FROM generate_series(1, {number}) AS numbers (n)
"""
ENDED = """
INSERT INTO litestar_queues_history
    (id, status, finished_ms, lane, due_ms, delivery, attempt, rescues, snoozes, put_backs,
    enqueued_ms, spec, payload)
SELECT '00000000-' || lpad((n + {base})::text, 27, '0'), 4, n, 'default', n, 1, 0, 0, 0, 0, 0,
    '{{"task":"bench.noop"}}', '1{{}}'
FROM generate_series(1, {number}) AS numbers (n)
"""
TOMORROW_MS = 4_000_000_000_000


@task("bench.noop")
async def noop(number: int = 0) -> None:
    """Do nothing."""


@contextmanager
def server(*options: str) -> Iterator[PostgresServer]:
    """Run a server for the time of a measurement."""
    with (
        tempfile.TemporaryDirectory(prefix="lq-") as place,
        PostgresServer(Path(program(None)), Path(place, "server"), *options) as running,
    ):
        yield running


def config_of(url: str) -> QueueConfig:
    """Return the configuration of a queue in a database."""
    database = AsyncpgConfig(connection_config={"dsn": url})
    return QueueConfig(queue_backend=SQLSpecBackendConfig(config=database, create_schema=True))


class Spy:
    """Notes what is sent to the server, and how often.

    Attributes:
        log: What was fetched, while that is noted.
        sent: How many round trips there were.
    """

    def __init__(self) -> None:
        self.log: list[tuple[str, Sequence[Any]]] | None = None
        self.sent: Counter[str] = Counter()
        self._fetch, self._run = AsyncpgConnection.fetch, AsyncpgConnection.run

    def __enter__(self) -> Spy:
        async def fetch(one: Any, text: str, params: Sequence[object]) -> Any:
            self.sent["fetch"] += 1
            if self.log is not None:
                self.log.append((text, params))
            return await self._fetch(one, text, params)

        async def run(one: Any, text: str) -> None:
            self.sent["run"] += 1
            await self._run(one, text)

        AsyncpgConnection.fetch, AsyncpgConnection.run = fetch, run  # type: ignore[method-assign]
        return self

    def __exit__(self, *exc: object) -> None:
        AsyncpgConnection.fetch, AsyncpgConnection.run = self._fetch, self._run  # type: ignore[method-assign]


async def fill(url: str, jobs: int) -> None:
    """Enqueue *jobs*."""
    async with QueueService(config_of(url)) as service:
        await service.enqueue_many([noop.call(number) for number in range(jobs)])


async def record(database: Database, copy: str, jobs: int) -> list[tuple[str, Sequence[Any]]]:
    """Return what our store does to claim and settle *jobs*; leave them waiting in a copy."""
    lease = new_lease_id()
    await fill(database.url, jobs)
    async with QueueService(config_of(database.url)) as service:
        await service.store.open_lease(lease, WorkerInfo(name="floor"), seconds=36_000)
    database.server.ask(f"CREATE DATABASE {copy} TEMPLATE {database.name} OWNER app")
    with Spy() as spy:
        async with QueueService(config_of(database.url)) as service:
            store, settlements = service.store, list[Settlement]()
            for seq in range(1, jobs // BATCH + 2):
                wants = Wants(limit=BATCH, others=BATCH)
                if seq == 2:
                    spy.log = []
                answer = await store.exchange(lease, seq, settlements, wants)
                settlements = [
                    Settlement(job.id, job.delivery, Kind.COMPLETE) for job in answer.claimed
                ]
        log = spy.log or []
    await _claim_first(database.server.dsn(copy), lease)
    return [entry for entry in log if "WITH clock" in entry[0]]


async def _claim_first(url: str, lease: Any) -> None:
    async with QueueService(config_of(url)) as service:
        await service.store.exchange(lease, 1, [], Wants(limit=BATCH, others=BATCH))


async def replay(url: str, log: Sequence[tuple[str, Sequence[Any]]]) -> float:
    """Return the seconds that a bare connection takes for what was recorded."""
    connection = await asyncpg.connect(url)
    began = time.perf_counter()
    for text, params in log:
        await connection.fetch(text, *params)
    took = time.perf_counter() - began
    left = await connection.fetchval("SELECT count(*) FROM litestar_queues_job")
    await connection.close()
    if left:
        raise RuntimeError(f"the replay has left {left} jobs")
    return took


def floor(running: PostgresServer, jobs: int) -> float:
    """Return jobs per second of the recorded statements on a bare connection."""
    with running.database() as database:
        copy = f"{database.name}_copy"
        log = asyncio.run(record(database, copy, jobs))
        took = asyncio.run(replay(running.dsn(copy), log))
        running.ask(f"DROP DATABASE {copy}")
        return jobs / took


def drain(running: PostgresServer, jobs: int, seen: Counter[str]) -> float:
    """Return jobs per second of one worker process; add its round trips to *seen*."""
    with running.database() as database:
        asyncio.run(fill(database.url, jobs))
        command = [sys.executable, __file__, "--worker", database.url]
        told = json.loads(
            subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        )
        seen.update(told["sent"])
        return jobs / float(told["seconds"])


async def work(url: str) -> None:
    """Be the worker process: run what waits, and tell how long and with how much it did that."""
    with Spy() as spy:
        async with QueueService(config_of(url)) as service:
            began = time.perf_counter()
            await run_worker(service, burst=True, concurrency=CONCURRENCY)
            took = time.perf_counter() - began
    print(json.dumps({"seconds": took, "sent": spy.sent}))


def log_volume(running: PostgresServer, jobs: int) -> float:
    """Return the bytes of the server's log for a job from its enqueue to its end."""
    with running.database() as database:
        asyncio.run(fill(database.url, BATCH))
        running.ask("CHECKPOINT")
        where = "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"
        ((before,),) = running.ask(where)
        asyncio.run(fill(database.url, jobs))
        command = [sys.executable, __file__, "--worker", database.url]
        subprocess.run(command, check=True, stdout=subprocess.PIPE)
        ((after,),) = running.ask(where)
        return float(after - before) / jobs


async def claims(url: str, times: int) -> float:
    """Return the median milliseconds of a claim of 100 jobs, which are given back each time."""
    lease, took = new_lease_id(), list[float]()
    async with QueueService(config_of(url)) as service:
        store = service.store
        await store.open_lease(lease, WorkerInfo(name="growth"), seconds=36_000)
        for seq in range(2, 2 * times + 2, 2):
            began = time.perf_counter()
            answer = await store.exchange(lease, seq, [], Wants(limit=BATCH, others=BATCH))
            took.append((time.perf_counter() - began) * 1000)
            back = [Settlement(job.id, job.delivery, Kind.RELEASE) for job in answer.claimed]
            await store.exchange(lease, seq + 1, back, NOTHING)
    return median(took[times // 4 :])


def growth(running: PostgresServer, number: int, times: int) -> float:
    """Return the milliseconds of a claim among *number* jobs of each kind."""
    with running.database() as database:
        asyncio.run(fill(database.url, 0))
        for text in (
            ENDED.format(base=0, number=number),
            JOB.format(base=10**9, number=number, status=0, due=0),
            JOB.format(base=2 * 10**9, number=number, status=1, due=TOMORROW_MS),
        ):
            database.ask(text)
        database.ask("VACUUM ANALYZE")
        return asyncio.run(claims(database.url, times))


def main() -> None:
    """Measure and print."""
    if "--worker" in sys.argv:
        return asyncio.run(work(sys.argv[-1]))
    given = arguments(__doc__, jobs=20_000, repeat=5, few=10_000, many=1_000_000, times=100)
    seen: Counter[str] = Counter()
    with server() as running:
        ours, bare = repeat(
            given.repeat,
            lambda: drain(running, given.jobs, seen),
            lambda: floor(running, given.jobs),
        )
    with server("-c", "full_page_writes=off") as running:
        volume = log_volume(running, given.jobs)
        few, many = (growth(running, one, given.times) for one in (given.few, given.many))
    trips = seen.total() / given.jobs / given.repeat
    report(
        "PostgreSQL + asyncpg: no-op jobs, concurrency 100",
        [
            Figure(what="one worker process", value=ours, unit="jobs/s"),
            Figure(what="bare asyncpg, same statements", value=bare, unit="jobs/s"),
            Figure(what="share of the floor", value=100 * ours / bare, unit="%", target=">= 40"),
            Figure(what="round trips per job", value=trips, unit="", target="<= 0.05"),
            Figure(what="log per job", value=volume, unit="bytes", target="<= 1600"),
            Figure(what=f"claim of 100 among {given.few}", value=few, unit="ms"),
            Figure(what=f"claim of 100 among {given.many}", value=many, unit="ms"),
            Figure(what="growth of the claim", value=many / few, unit="x", target="<= 2"),
        ],
        given.json,
    )
    return None


if __name__ == "__main__":
    main()
