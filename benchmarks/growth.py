"""Whether a claim costs more when there is more: waiting, finished, and due tomorrow.

For each store, the median time of a claim of 100 jobs (cache warm) with *few* jobs of each kind,
and with *many*.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from measuring import Figure, arguments, report

from litestar_queues_core import QueueConfig, QueueService, Retention, task
from litestar_queues_core.ids import LeaseId, new_lease_id
from litestar_queues_core.model import Job, WorkerInfo
from litestar_queues_core.protocols import BackendConfig
from litestar_queues_core.settlements import NOTHING, Kind, Settlement, Wants
from litestar_queues_core.stores.memory import MemoryBackendConfig
from litestar_queues_sql.sqlite import SQLiteBackendConfig

BATCH = 1000
CLAIM = 100
TOMORROW = 86_400.0


@task("bench.noop")
async def noop() -> None:
    """Do nothing."""


class Filler:
    """Fills a store, claims from it, and gives back.

    Args:
        service: On the store.
    """

    def __init__(self, service: QueueService) -> None:
        self.service = service
        self.lease: LeaseId = new_lease_id()
        self.seq = 0

    async def fill(self, number: int) -> None:
        """Add *number* finished jobs, as many that wait, and as many that are due tomorrow."""
        store = self.service.store
        await store.open_lease(self.lease, WorkerInfo(name="growth"), seconds=36_000)
        for _ in range(number // BATCH):
            await self.service.enqueue_many([noop.call()] * BATCH)
            await self.settle(await self.claim(BATCH), Kind.COMPLETE)
        for _ in range(number // BATCH):
            await self.service.enqueue_many([noop.call()] * BATCH)
            await self.service.enqueue_many([noop.using(run_after=TOMORROW).call()] * BATCH)

    async def claim(self, number: int) -> Sequence[Job]:
        """Claim so many jobs."""
        self.seq += 1
        wants = Wants(limit=number, others=number)
        return (await self.service.store.exchange(self.lease, self.seq, (), wants)).claimed

    async def settle(self, jobs: Sequence[Job], kind: Kind) -> None:
        """Settle them all in one way."""
        self.seq += 1
        settlements = [Settlement(id=job.id, delivery=job.delivery, kind=kind) for job in jobs]
        await self.service.store.exchange(self.lease, self.seq, settlements, NOTHING)

    async def claim_time(self, times: int) -> float:
        """Return the median milliseconds of a claim, whose jobs are given back each time."""
        took: list[float] = []
        for _ in range(times):
            began = time.perf_counter()
            jobs = await self.claim(CLAIM)
            took.append((time.perf_counter() - began) * 1000)
            if len(jobs) != CLAIM:
                raise RuntimeError(f"claimed {len(jobs)} jobs instead of {CLAIM}")
            await self.settle(jobs, Kind.RELEASE)
        return median(took)


async def claim_time(backend: BackendConfig, number: int, times: int) -> float:
    """Return the median milliseconds of a claim with *number* jobs of each kind."""
    retention = Retention(max_finished=10 * number)
    async with QueueService(QueueConfig(queue_backend=backend, retention=retention)) as service:
        filler = Filler(service)
        await filler.fill(number)
        await filler.claim_time(times // 5)
        return await filler.claim_time(times)


async def figures(few: int, many: int, times: int) -> list[Figure]:
    """Measure both stores."""
    found: list[Figure] = []
    with tempfile.TemporaryDirectory() as directory:
        for name in ("memory", "SQLite"):
            took: list[float] = []
            for number in (few, many):
                path = Path(directory, f"{number}.db")
                backend = (
                    MemoryBackendConfig() if name == "memory" else SQLiteBackendConfig(path=path)
                )
                took.append(await claim_time(backend, number, times))
                what = f"{name}: claim of {CLAIM} with {number:,} each"
                found.append(Figure(what=what, value=took[-1], unit="ms"))
            growth = took[1] / took[0]
            found.append(Figure(what=f"{name}: growth", value=growth, unit="x", target="<= 2"))
    return found


def main() -> None:
    """Measure and print."""
    given = arguments(__doc__, few=10_000, many=1_000_000, times=100)
    found = asyncio.run(figures(given.few, given.many, given.times))
    report("growth: waiting, finished and future jobs", found, given.json)


if __name__ == "__main__":
    main()
