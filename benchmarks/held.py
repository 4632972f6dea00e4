"""What an open transaction costs: claims of PostgreSQL while one is held for minutes under load.

Rows that the transaction might still want to see cannot be removed, nor can the entries of the
index that lead to them.  Jobs are enqueued at a steady rate and run by one worker process; the time
of each exchange that claimed something is noted, before the transaction is opened and while it is
held.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from statistics import mean, median
from typing import Any, NamedTuple

import asyncpg
from measuring import Figure, arguments, percentile, report
from postgres import CONCURRENCY, config_of, noop, server

from litestar_queues_core import QueueService, Worker
from litestar_queues_core.model import Status
from litestar_queues_sql.postgres import PostgresStore

BURST = 0.1
"""So many seconds' worth of jobs are enqueued at once."""
LAST = 60.0
WARMING = 10.0


class Claim(NamedTuple):
    """An exchange that claimed something: when it began, how long it took, how many jobs."""

    began: float
    seconds: float
    jobs: int


async def work(url: str) -> None:
    """Be the worker process: run what comes until the input ends, then tell of each claim."""
    claims: list[Claim] = []
    exchange = PostgresStore.exchange

    async def timed(*given: Any) -> Any:
        began, clock = time.time(), time.perf_counter()
        answer = await exchange(*given)
        if answer.claimed:
            claims.append(Claim(began, time.perf_counter() - clock, len(answer.claimed)))
        return answer

    PostgresStore.exchange = timed  # type: ignore[method-assign]
    async with (
        QueueService(config_of(url)) as service,
        Worker(service, own_process=True, concurrency=CONCURRENCY),
    ):
        print("runs", flush=True)
        await asyncio.to_thread(sys.stdin.read)
    print(json.dumps(claims))


async def enqueue(service: QueueService, rate: int, until: float) -> None:
    """Enqueue *rate* jobs a second, in bursts; a burst that is late is not left out."""
    calls = [noop.call(number) for number in range(max(1, round(rate * BURST)))]
    next_at = time.time()
    while next_at < until:
        await asyncio.sleep(max(0.0, next_at - time.time()))
        await service.enqueue_many(calls)
        next_at += BURST


async def waits(service: QueueService) -> bool:
    """Return whether any job has not been claimed yet."""
    return any(one.status is Status.PENDING for one in (await service.count()).counts)


@asynccontextmanager
async def open_transaction(url: str) -> AsyncIterator[None]:
    """Hold a snapshot, doing nothing."""
    connection = await asyncpg.connect(url)
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.fetchval("SELECT count(*) FROM litestar_queues_lease")
        yield
    await connection.close()


async def measure(url: str, rate: int, before: int, held: int) -> tuple[list[Claim], float]:
    """Return the claims of a worker, and when the transaction was opened."""
    command = [sys.executable, __file__, "--worker", url]
    pipe = asyncio.subprocess.PIPE
    async with QueueService(config_of(url)) as service:
        worker = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe, limit=2**30
        )
        assert worker.stdout is not None
        await worker.stdout.readline()
        await enqueue(service, rate, time.time() + WARMING + before)
        opened = time.time()
        async with open_transaction(url):
            await enqueue(service, rate, opened + held)
        async with asyncio.timeout(LAST):
            while await waits(service):  # noqa: ASYNC110
                await asyncio.sleep(BURST)
        told, _ = await worker.communicate(b"")
    if worker.returncode:
        raise RuntimeError(f"the worker has failed with code {worker.returncode}")
    return [Claim(*one) for one in json.loads(told)], opened


def took(claims: Sequence[Claim]) -> float:
    """Return the median milliseconds of a claim."""
    return 1000 * median(one.seconds for one in claims)


def figures(claims: Sequence[Claim], opened: float, before: int, held: int) -> list[Figure]:
    """Compare what was before with what was under the transaction, and with its end."""
    free = [one for one in claims if opened - before < one.began < opened]
    under = [one for one in claims if opened <= one.began < opened + held]
    last = [one for one in under if one.began > opened + held - min(LAST, held / 2)]
    found = [
        Figure(what="before: claim, median", value=took(free), unit="ms"),
        Figure(what="before: jobs in a claim", value=mean(one.jobs for one in free), unit=""),
        Figure(what="held: claim, median", value=took(under), unit="ms"),
        Figure(what="held, last minute: claim, median", value=took(last), unit="ms"),
        Figure(
            what="held, last minute: jobs in a claim", value=mean(one.jobs for one in last), unit=""
        ),
        Figure(
            what="held, last minute: claim, p95",
            value=1000 * percentile([one.seconds for one in last], 0.95),
            unit="ms",
        ),
    ]
    for what, some in ("held: growth of the claim", under), ("the same, last minute", last):
        ratio = took(some) / took(free)
        found.append(Figure(what=what, value=ratio, unit="x", target="<= 3"))
    return found


def main() -> None:
    """Measure and print."""
    if "--worker" in sys.argv:
        return asyncio.run(work(sys.argv[-1]))
    given = arguments(__doc__, rate=1000, before=60, held=480)
    with server() as running, running.database() as database:
        claims, opened = asyncio.run(measure(database.url, given.rate, given.before, given.held))
    report(
        f"PostgreSQL + asyncpg: {given.rate:,} jobs/s, a transaction held for {given.held} s",
        figures(claims, opened, given.before, given.held),
        given.json,
    )
    return None


if __name__ == "__main__":
    main()
