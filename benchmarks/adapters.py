"""The same database through each adapter: what it costs to let the application's own be used.

Each figure is the rate of one worker process with no-op jobs at a concurrency of 100.  PostgreSQL
is a private server, durable and with the settings it comes with; SQLite is a file.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import postgres_servers
from advanced_alchemy.config import SQLAlchemyAsyncConfig
from measuring import Figure, arguments, repeat, report
from sqlspec.adapters.aiosqlite import AiosqliteConfig
from sqlspec.adapters.asyncpg import AsyncpgConfig
from sqlspec.adapters.psycopg import PsycopgAsyncConfig

from litestar_queues_advanced_alchemy import AdvancedAlchemyBackendConfig
from litestar_queues_core import QueueConfig, QueueService, task
from litestar_queues_core.worker.standalone import run_worker
from litestar_queues_sql.sqlite import SQLiteBackendConfig
from litestar_queues_sqlspec import SQLSpecBackendConfig

CONCURRENCY = 100
HALF = ">= 0.5"


@task("bench.noop")
async def noop(number: int) -> None:
    """Do nothing."""


def _sqlspec(config: Any) -> Any:
    return SQLSpecBackendConfig(config=config, create_schema=True)


def _alchemy(url: str) -> Any:
    config = SQLAlchemyAsyncConfig(connection_string=url)
    return AdvancedAlchemyBackendConfig(config=config, create_schema=True)


def _with(driver: str, url: str) -> str:
    return url.replace("postgresql://", f"postgresql+{driver}://")


ON_POSTGRES: dict[str, Callable[[str], Any]] = {
    "SQLSpec, asyncpg": lambda url: _sqlspec(AsyncpgConfig(connection_config={"dsn": url})),
    "SQLSpec, psycopg": lambda url: _sqlspec(
        PsycopgAsyncConfig(connection_config={"conninfo": url})
    ),
    "Advanced Alchemy, asyncpg": lambda url: _alchemy(_with("asyncpg", url)),
    "Advanced Alchemy, psycopg": lambda url: _alchemy(_with("psycopg", url)),
}
ON_SQLITE: dict[str, Callable[[str], Any]] = {
    "the embedded store": lambda path: SQLiteBackendConfig(path=Path(path)),
    "SQLSpec, aiosqlite": lambda path: _sqlspec(
        AiosqliteConfig(connection_config={"database": path})
    ),
    "Advanced Alchemy, aiosqlite": lambda path: _alchemy(f"sqlite+aiosqlite:///{path}"),
}
ALL = ON_POSTGRES | ON_SQLITE


def service_on(adapter: str, place: str) -> QueueService:
    """Return a service on the database at *place* through an adapter."""
    return QueueService(QueueConfig(queue_backend=ALL[adapter](place)))


def drain(adapter: str, place: str, jobs: int) -> float:
    """Return jobs per second of one worker process."""
    asyncio.run(_fill(adapter, place, jobs))
    command = [sys.executable, __file__, "--worker", adapter, place]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return jobs / float(output)


async def _fill(adapter: str, place: str, jobs: int) -> None:
    async with service_on(adapter, place) as service:
        await service.enqueue_many([noop.call(number) for number in range(jobs)])


async def work(adapter: str, place: str) -> None:
    """Be the worker process: run what waits, and print the seconds that took."""
    async with service_on(adapter, place) as service:
        began = time.perf_counter()
        await run_worker(service, burst=True, concurrency=CONCURRENCY)
        print(time.perf_counter() - began)


def on_server(adapter: str, jobs: int) -> float:
    """Measure on a server of its own."""
    with postgres_servers.server(postgres_servers.program(None)) as url:
        return drain(adapter, url, jobs)


def on_file(adapter: str, jobs: int) -> float:
    """Measure on a file of its own."""
    with tempfile.TemporaryDirectory() as directory:
        return drain(adapter, str(Path(directory, "queue.db")), jobs)


def compared(
    adapters: dict[str, Callable[[str], Any]],
    measure: Callable[[str, int], float],
    jobs: int,
    times: int,
) -> list[Figure]:
    """Measure adapters in turns; return their rates, and what each is of that of the first."""
    rates = repeat(times, *(lambda name=name: measure(name, jobs) for name in adapters))
    first, *others = adapters
    return [
        *map(_rate, adapters, rates),
        *(
            Figure(what=f"{name}, of {first}", value=rate / rates[0], unit="x", target=HALF)
            for name, rate in zip(others, rates[1:], strict=True)
        ),
    ]


def _rate(adapter: str, rate: float) -> Figure:
    return Figure(what=adapter, value=rate, unit="jobs/s")


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["--worker"]:
        return asyncio.run(work(*sys.argv[2:]))
    given = arguments(__doc__, jobs=20_000, repeat=5)
    report(
        "adapters: no-op jobs, concurrency 100",
        [
            *compared(ON_POSTGRES, on_server, given.jobs, given.repeat),
            *compared(ON_SQLITE, on_file, given.jobs, given.repeat),
        ],
        given.json,
    )
    return None


if __name__ == "__main__":
    main()
