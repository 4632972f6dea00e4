"""How soon an idle worker starts a job, and what idling and importing cost.  SQLite store."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import Figure, arguments, percentile, repeat, report

from litestar_queues_core import QueueConfig, QueueService, Worker, task
from litestar_queues_sql.sqlite import SQLiteBackendConfig

GAP = 0.02
IDLE = 10.0


@task("bench.now")
async def now() -> float:
    """Return when this began, by the monotonic clock, which all processes of a host share."""
    return time.monotonic()


def service_on(path: Path) -> QueueService:
    """Return a service on the file at *path*."""
    return QueueService(QueueConfig(queue_backend=SQLiteBackendConfig(path=path)))


async def _pickups(service: QueueService, jobs: int) -> list[float]:
    """Return the milliseconds from each enqueue to the start, one job at a time."""
    waits: list[float] = []
    for _ in range(jobs):
        await asyncio.sleep(GAP)
        began = time.monotonic()
        result = await service.enqueue(now)
        waits.append((await result.value(30) - began) * 1000)
    return waits


async def in_one_process(path: Path, jobs: int) -> list[float]:
    """Measure with the worker in this process."""
    async with service_on(path) as service, Worker(service):
        return await _pickups(service, jobs)


async def from_another_process(path: Path, jobs: int) -> tuple[list[float], float]:
    """Measure with the worker elsewhere; also return the share of a core that it idles away."""
    command = [sys.executable, __file__, "--worker", str(path)]
    async with service_on(path) as service:
        process = subprocess.Popen(  # noqa: ASYNC220  (started once, before anything is timed)
            command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
        )
        try:
            await (await service.enqueue(now)).value(30)
            waits = await _pickups(service, jobs)
        finally:
            output, _ = await asyncio.to_thread(process.communicate, "\n")
    return waits, float(output)


async def _work(path: Path) -> None:
    """Be the worker process: work until a line comes, then idle, and print what that cost."""
    async with service_on(path) as service, Worker(service, own_process=True):
        await asyncio.to_thread(sys.stdin.readline)
        await asyncio.sleep(1)
        began = time.process_time()
        await asyncio.sleep(IDLE)
        print((time.process_time() - began) / IDLE * 100)


def importing(module: str) -> float:
    """Return the milliseconds that ``import`` takes in a new interpreter, with bytecode cached."""
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir(), "pyc"))}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    output = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    ).stdout
    return float(output) * 1000


def main() -> None:
    """Measure and print."""
    if "--worker" in sys.argv:
        return asyncio.run(_work(Path(sys.argv[-1])))
    given = arguments(__doc__, jobs=200, repeat=5)
    with tempfile.TemporaryDirectory() as directory:
        here = asyncio.run(in_one_process(Path(directory, "here.db"), given.jobs))
        there, idle = asyncio.run(from_another_process(Path(directory, "there.db"), given.jobs))
    importing("asyncio, litestar_queues_core")
    ours, theirs = repeat(
        given.repeat,
        lambda: importing("asyncio, litestar_queues_core"),
        lambda: importing("asyncio"),
    )
    report(
        "latency: from enqueue to start on an idle worker, SQLite",
        [
            Figure(what="same process, p50", value=percentile(here, 0.5), unit="ms"),
            Figure(
                what="same process, p95", value=percentile(here, 0.95), unit="ms", target="<= 10"
            ),
            Figure(what="other process, p50", value=percentile(there, 0.5), unit="ms"),
            Figure(
                what="other process, p95", value=percentile(there, 0.95), unit="ms", target="<= 60"
            ),
            Figure(what="an idle worker's share of a core", value=idle, unit="%", target="<= 1"),
            Figure(what="import beyond asyncio", value=ours - theirs, unit="ms", target="<= 40"),
        ],
        given.json,
    )
    return None


if __name__ == "__main__":
    main()
