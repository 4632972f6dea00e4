"""Steps that many tests of the suite take."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from litestar_queues_core.ids import JobId
from litestar_queues_core.model import Job
from litestar_queues_core.protocols import Store
from litestar_queues_core.settlements import Kind, MaintenancePolicy, Moved
from litestar_queues_core.testing.claimer import Claimer
from litestar_queues_core.testing.clock import shift_clock
from litestar_queues_core.testing.jobs import make_job

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


async def look(store: Store, job_id: JobId) -> Job:
    """Return a job that the store must know."""
    (job,) = await store.get([job_id])
    assert job is not None, f"the store does not know job {job_id}"
    return job


async def upkeep(store: Store, policy: MaintenancePolicy | None = None) -> list[Moved]:
    """Maintain until nothing is left to do; return all that moved."""
    moved: list[Moved] = []
    for _ in range(1000):
        done = await store.maintain(policy or MaintenancePolicy())
        moved += done.moved
        if not done.more:
            return moved
    raise AssertionError("maintain says after 1000 calls that there is more to do")


async def store_now(store: Store) -> int:
    """Return the store's clock."""
    return (await store.maintain(MaintenancePolicy(rescue=False, limit=1))).now_ms


async def die(store: Store, claimer: Claimer) -> list[Moved]:
    """Let the lease of *claimer* run out and its jobs be rescued."""
    await store.renew(claimer.lease, seconds=1)
    shift_clock(store, timedelta(seconds=2))
    return await upkeep(store)


async def running_job(store: Store, claimer: Claimer, **fields: Any) -> Job:
    """Enqueue a job and claim it."""
    job = make_job(**fields)
    (answer,) = await store.enqueue([job])
    assert answer.error is None
    return await claimer.claim_one(lanes=[(job.spec.lane, 1)], others=0)


async def suspect_job(store: Store, **fields: Any) -> Job:
    """Enqueue a job, let its first worker die, and return it as it waits again."""
    claimer = await Claimer(store, name="victim").open()
    job = await running_job(store, claimer, **fields)
    await die(store, claimer)
    return await look(store, job.id)


WAITING_KINDS = (Kind.RETRY, Kind.SNOOZE, Kind.RELEASE, Kind.PUT_BACK)
