"""Our store on Redis or Valkey: against a floor, on the server's account, and as it fills.

Every measurement has a private server with an append-only file, synced each second.  The floor
sends the commands of a worker, recorded in batches of 100, with the same client, and runs no job.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from statistics import median
from typing import Any

import servers
from measuring import Figure, percentile, repeat, report

from litestar_queues_core import QueueConfig, QueueService, Worker, task
from litestar_queues_core.ids import new_lease_id
from litestar_queues_core.model import Job, WorkerInfo
from litestar_queues_core.settlements import NOTHING, Kind, Settlement, Wants
from litestar_queues_core.testing import make_jobs
from litestar_queues_core.worker.standalone import run_worker
from litestar_queues_redis import RedisBackendConfig
from litestar_queues_resp import RespStore

BATCH = 100
CONCURRENCY = 100
PAYLOAD = b"x" * 200
GAP = 0.02


@task("bench.noop")
async def noop(number: int) -> None:
    """Do nothing."""


@task("bench.now")
async def now() -> float:
    """Return when this began, by the monotonic clock, which all processes of a host share."""
    return time.monotonic()


def opened(url: str) -> AbstractAsyncContextManager[RespStore]:
    """Open our store with its defaults."""
    return RedisBackendConfig(url=url).open()


def service_on(url: str) -> QueueService:
    """Return a service on our store."""
    return QueueService(QueueConfig(queue_backend=RedisBackendConfig(url=url)))


class Claimer:
    """Does the exchanges of a worker."""

    def __init__(self, store: RespStore) -> None:
        self.store = store
        self.lease = new_lease_id()
        self.seq = 0

    async def begin(self) -> Claimer:
        """Open the lease."""
        await self.store.open_lease(self.lease, WorkerInfo(name="benchmark"), seconds=3600)
        return self

    async def exchange(self, done: Sequence[Job], wants: Wants) -> Sequence[Job]:
        """Complete jobs and claim others."""
        self.seq += 1
        ends = [Settlement(job.id, job.delivery, Kind.COMPLETE) for job in done]
        return (await self.store.exchange(self.lease, self.seq, ends, wants)).claimed

    async def drain(self) -> int:
        """Claim and complete everything in batches; return how many that were."""
        number, held = 0, await self.exchange([], Wants(limit=BATCH, others=BATCH))
        while held:
            number += len(held)
            held = await self.exchange(held, Wants(limit=BATCH, others=BATCH))
        return number


async def fill(store: RespStore, jobs: int, **options: Any) -> None:
    """Enqueue so many jobs in batches."""
    for _ in range(jobs // BATCH):
        await store.enqueue(make_jobs(BATCH, payload=PAYLOAD, **options))


async def info(store: RespStore, section: str) -> dict[str, str]:
    """Return what the server says of itself."""
    text = (await store.client.call("INFO", section)).decode()
    return dict(re.findall(r"(\w+):(\S*)", text))


def drain(binary: str, jobs: int) -> float:
    """Return jobs per second of one worker process."""
    with servers.server(binary) as url:
        asyncio.run(_fill_with_noops(url, jobs))
        command = [sys.executable, __file__, "--worker", url]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return jobs / float(output)


async def _fill_with_noops(url: str, jobs: int) -> None:
    async with service_on(url) as service:
        await service.enqueue_many([noop.call(number) for number in range(jobs)])


async def work(url: str) -> None:
    """Be the worker process: run what waits, and print the seconds that took."""
    async with service_on(url) as service:
        began = time.perf_counter()
        await run_worker(service, burst=True, concurrency=CONCURRENCY)
        print(time.perf_counter() - began)


def floor(binary: str, jobs: int) -> float:
    """Return jobs per second of the same commands, when nobody makes them or runs anything."""
    with servers.server(binary) as url:
        taken, exchanged = asyncio.run(_record(url, jobs))
    with servers.server(binary) as url:
        return jobs / asyncio.run(_replay(url, taken, exchanged))


async def _record(url: str, jobs: int) -> tuple[list[Any], list[Any]]:
    """Return the commands that fill the store, and those of a worker that drains it."""
    async with service_on(url) as service:
        store: Any = service.store
        log: list[Any] = []
        call = store.client.call

        async def recorded(*words: Any) -> Any:
            log.append(words)
            return await call(*words)

        store.client.call = recorded
        await service.enqueue_many([noop.call(number) for number in range(jobs)])
        claimer = await Claimer(store).begin()
        filled = len(log)
        await claimer.drain()
        return log[:filled], log[filled:]


async def _replay(url: str, taken: Sequence[Any], exchanged: Sequence[Any]) -> float:
    async with opened(url) as store:
        await (await Claimer(store).begin()).drain()  # the server knows the scripts from now on
        await store.enqueue(make_jobs(1))
        await (await Claimer(store).begin()).drain()
        call = store.client.call
        for words in taken:
            await call(*words)
        began = time.perf_counter()
        for words in exchanged:
            await call(*words)
        return time.perf_counter() - began


async def server_cost(url: str, jobs: int) -> float:
    """Return microseconds of the server's CPU per job, enqueued to settled."""
    async with opened(url) as store:
        claimer = await Claimer(store).begin()

        async def used() -> float:
            told = await info(store, "cpu")
            return float(told["used_cpu_user"]) + float(told["used_cpu_sys"])

        await fill(store, jobs // 10)
        await claimer.drain()
        before = await used()
        await fill(store, jobs)
        if await claimer.drain() != jobs:
            raise RuntimeError("some jobs were not handed out")
        return (await used() - before) / jobs * 1e6


async def pickups(url: str, jobs: int) -> list[float]:
    """Return the milliseconds from each enqueue to the start in another process."""
    command = [sys.executable, __file__, "--idle", url]
    async with service_on(url) as service:
        process = subprocess.Popen(  # noqa: ASYNC220  (started once, before anything is timed)
            command, stdin=subprocess.PIPE
        )
        try:
            await (await service.enqueue(now)).value(30)
            waits: list[float] = []
            for _ in range(jobs):
                await asyncio.sleep(GAP)
                began = time.monotonic()
                result = await service.enqueue(now)
                waits.append((await result.value(30) - began) * 1000)
            return waits
        finally:
            await asyncio.to_thread(process.communicate, b"\n")


async def idle(url: str) -> None:
    """Be the idle worker, until a line comes."""
    async with service_on(url) as service, Worker(service, own_process=True):
        await asyncio.to_thread(sys.stdin.readline)


async def claim_time(url: str, jobs: int, elsewhere: int = 0) -> tuple[float, float]:
    """Return the median milliseconds of a claim of 100, and bytes of memory per waiting job."""
    async with opened(url) as store:
        before = int((await info(store, "memory"))["used_memory"])
        await fill(store, jobs)
        taken = int((await info(store, "memory"))["used_memory"]) - before
        await fill(store, elsewhere, queue="another")
        claimer = await Claimer(store).begin()
        times: list[float] = []
        for _ in range(min(50, jobs // BATCH)):
            began = time.perf_counter()
            held = await claimer.exchange([], Wants(limit=BATCH, lanes=[("default", BATCH)]))
            times.append((time.perf_counter() - began) * 1000)
            await claimer.exchange(held, NOTHING)
        return median(times), taken / jobs


def on_server(binary: str, measure: Callable[[str], Awaitable[Any]]) -> Any:
    """Measure something on a server of its own."""

    async def measured(url: str) -> Any:
        return await measure(url)

    with servers.server(binary) as url:
        return asyncio.run(measured(url))


def figures(given: argparse.Namespace) -> list[Figure]:
    """Measure everything."""
    binary = given.server
    ours, bare = repeat(
        given.repeat, lambda: drain(binary, given.jobs), lambda: floor(binary, given.jobs)
    )
    (cost,) = repeat(
        given.repeat, lambda: float(on_server(binary, lambda url: server_cost(url, given.jobs)))
    )
    waits = on_server(binary, lambda url: pickups(url, given.pickups))
    few, _ = on_server(binary, lambda url: claim_time(url, given.few))
    many, size = on_server(binary, lambda url: claim_time(url, given.many))
    beside, _ = on_server(binary, lambda url: claim_time(url, given.few, given.many))
    few_of, many_of = f"{given.few:,}", f"{given.many:,}"
    return [
        Figure(what="one worker process", value=ours, unit="jobs/s"),
        Figure(what="floor: the same commands, no job run", value=bare, unit="jobs/s"),
        Figure(what="share of the floor", value=100 * ours / bare, unit="%", target=">= 40"),
        Figure(what="server CPU, enqueue to settled", value=cost, unit="us/job", target="<= 15"),
        Figure(what="pickup, p50", value=percentile(waits, 0.5), unit="ms", target="<= 2"),
        Figure(what="pickup, p95", value=percentile(waits, 0.95), unit="ms", target="<= 5"),
        Figure(what=f"claim of 100, {few_of} waiting", value=few, unit="ms"),
        Figure(what=f"claim of 100, {many_of} waiting", value=many, unit="ms"),
        Figure(what="growth", value=many / few, unit="x", target="<= 2"),
        Figure(what=f"claim of 100, {many_of} in another queue", value=beside, unit="ms"),
        Figure(what="growth", value=beside / few, unit="x", target="<= 2"),
        Figure(what="memory per waiting job", value=size, unit="bytes", target="<= 600"),
    ]


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["--worker"]:
        return asyncio.run(work(sys.argv[2]))
    if sys.argv[1:2] == ["--idle"]:
        return asyncio.run(idle(sys.argv[2]))
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    for name, default in {
        "jobs": 20_000,
        "repeat": 5,
        "pickups": 200,
        "few": 10_000,
        "many": 1_000_000,
    }.items():
        add(f"--{name}", type=int, default=default, help=f"default: {default}")
    add("--server", help="the program; default: redis-server or valkey-server on the path")
    add("--json", type=Path, help="write the figures to this file too")
    given = parser.parse_args()
    given.server = servers.program(given.server)
    version = servers.version(given.server)
    report(f"{version}: no-op jobs, concurrency {CONCURRENCY}", figures(given), given.json)
    return None


if __name__ == "__main__":
    main()
