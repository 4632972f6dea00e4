"""Kill workers in the middle of their jobs, again and again, and count what is left.

``python tests/chaos/kill.py --jobs 10000 --kills 20``: two worker processes run the jobs; each time
another share of them is done, one of the two is ended by SIGKILL and replaced.  Prints the
invariants as a table; the exit code is 0 only if every one holds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from litestar_queues_core import JobQuery, QueueService, Status

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import kill_app  # noqa: E402

WORKERS = 2
RECOVERY = kill_app.LEASE + 5.0


@dataclass(kw_only=True)
class Report:
    """What a run left behind.

    Attributes:
        enqueued: Jobs handed in.
        completed: Jobs whose record says completed.
        lost: Jobs that are not known.
        stuck: Jobs that are known and have not ended.
        settled_twice: Deliveries whose end was recorded twice, or jobs completed twice.
        executed_again: Times that a job ran which had run before; each was held by a killed worker.
        kills: Workers ended by SIGKILL.
        rescued: Jobs given back from dead leases.
        slowest_recovery: Seconds from a kill until nothing of the dead lease was held any more.
        seconds: The whole run.
    """

    enqueued: int
    completed: int
    lost: int
    stuck: int
    settled_twice: int
    executed_again: int
    kills: int
    rescued: int
    slowest_recovery: float
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether every promise was kept."""
        return (
            self.completed == self.enqueued
            and not (self.lost or self.stuck or self.settled_twice)
            and self.slowest_recovery <= RECOVERY
            and self.rescued >= self.kills
        )


async def worker() -> asyncio.subprocess.Process:
    """Start one worker process."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "litestar_queues_core",
        "worker",
        "kill_app:service",
        "--lease",
        str(kill_app.LEASE),
        "--concurrency",
        "20",
        "--log-level",
        "error",
        cwd=HERE,
    )


async def run(jobs: int, kills: int, directory: Path, *, seconds: float = 0.4) -> Report:
    """Enqueue *jobs* of *seconds* each, run them with two workers, and kill one *kills* times."""
    os.environ[kill_app.SECONDS] = str(seconds)
    os.environ[kill_app.DATABASE] = str(directory / "queue.db")
    os.environ[kill_app.JOURNAL] = str(directory / "journal")
    Path(os.environ[kill_app.JOURNAL]).touch()
    began = time.monotonic()
    async with kill_app.service() as service:
        results = await service.enqueue_many([kill_app.work.call(n) for n in range(jobs)])
        workers = [await worker() for _ in range(WORKERS)]
        recoveries: list[float] = []
        try:
            for number in range(1, kills + 1):
                await _until_run(jobs * number // (kills + 1))
                victim = workers.pop(0)
                victim.send_signal(signal.SIGKILL)
                await victim.wait()
                recoveries.append(await _recovery(service, victim.pid))
                workers.append(await worker())
            await _finished(service, jobs)
        finally:
            for process in workers:
                process.terminate()
            await asyncio.gather(*(process.wait() for process in workers))
        return await _report(service, [r.id for r in results], recoveries, began)


def _journal() -> list[tuple[str, int]]:
    lines = Path(os.environ[kill_app.JOURNAL]).read_text().splitlines()
    return [(job, int(delivery)) for job, delivery in map(str.split, lines)]


async def _until_run(number: int) -> None:
    async with asyncio.timeout(300):
        while len({job for job, _ in _journal()}) < number:
            await asyncio.sleep(0.05)


async def _recovery(service: QueueService, pid: int) -> float:
    """Wait until no lease of the killed process holds a job; return how long that took."""
    began = time.monotonic()
    async with asyncio.timeout(60):
        while True:
            leases = (await service.count()).leases
            if not any(lease.pid == pid and lease.held for lease in leases):
                return time.monotonic() - began
            await asyncio.sleep(0.05)


async def _finished(service: QueueService, jobs: int) -> None:
    async with asyncio.timeout(600):
        while True:
            counts = (await service.count()).counts
            if sum(one.value for one in counts if one.status.finished) >= jobs:
                return
            await asyncio.sleep(0.1)


async def _report(
    service: QueueService, ids: Sequence[str], recoveries: list[float], began: float
) -> Report:
    records = []
    for start in range(0, len(ids), 500):
        records += await service.store.get(ids[start : start + 500])
    found = [record for record in records if record is not None]
    completed = Counter(
        [job.id async for job in service.find_all(JobQuery(status=(Status.COMPLETED,), limit=500))]
    )
    runs = Counter(job for job, _ in _journal())
    deliveries = Counter(_journal())
    recorded_twice = sum(
        len(keys) - len(set(keys))
        for keys in ([one.delivery for one in job.details.errors] for job in found)
    )
    return Report(
        enqueued=len(ids),
        completed=sum(job.status is Status.COMPLETED for job in found),
        lost=len(records) - len(found),
        stuck=sum(not job.status.finished for job in found),
        settled_twice=sum(number - 1 for number in completed.values())
        + recorded_twice
        + sum(number - 1 for number in deliveries.values()),
        executed_again=sum(number - 1 for number in runs.values()),
        kills=len(recoveries),
        rescued=sum(job.rescues for job in found),
        slowest_recovery=round(max(recoveries, default=0.0), 2),
        seconds=round(time.monotonic() - began, 1),
    )


def main() -> int:
    """Run once and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=0.4, help="how long each job takes")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        report = asyncio.run(
            run(arguments.jobs, arguments.kills, Path(directory), seconds=arguments.seconds)
        )
    if arguments.json:
        print(json.dumps(asdict(report)))
    else:
        for name, value in asdict(report).items():
            print(f"{name:>18} {value}")
        print("every promise kept" if report.holds else "A PROMISE IS BROKEN")
    return 0 if report.holds else 1


if __name__ == "__main__":
    sys.exit(main())
