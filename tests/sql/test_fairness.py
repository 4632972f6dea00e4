"""More lanes than one look takes in."""

from __future__ import annotations

from litestar_queues_core.testing import Claimer, make_job
from litestar_queues_sql import SQLiteStore
from litestar_queues_sql.claim import LANES_AT_ONCE


async def test_none_of_many_lanes_starves(store: SQLiteStore) -> None:
    lanes = [f"tenant-{number:04}" for number in range(LANES_AT_ONCE * 5 // 2)]
    await store.enqueue([make_job(queue=lane) for lane in lanes for _ in range(3)])
    claimer = await Claimer(store).open()

    served: set[str] = set()
    for _ in range(len(lanes) // 10 + 1):
        served |= {job.queue for job in await claimer.claim(30)}

    assert served == set(lanes)


async def test_lanes_that_are_not_for_us_hide_no_others(store: SQLiteStore) -> None:
    foreign = [f"a{number:04}" for number in range(LANES_AT_ONCE * 2)]
    await store.enqueue([make_job(queue=lane, execution_backend="gpu") for lane in foreign])
    await store.enqueue([ours := make_job(queue="z")])
    claimer = await Claimer(store).open()

    claimed = [job.id for _ in range(4) for job in await claimer.claim(5)]

    assert claimed == [ours.id]
