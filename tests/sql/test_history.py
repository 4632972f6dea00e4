"""The number of finished jobs is known without counting them."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from litestar_queues_core.ids import JobId
from litestar_queues_core.model import Retention, Status
from litestar_queues_core.settlements import Kind, MaintenancePolicy
from litestar_queues_core.testing import Claimer, make_jobs, settled, shift_clock
from litestar_queues_sql import SQLiteStore
from litestar_queues_sql.prune import read_state

KINDS = (Kind.COMPLETE, Kind.FAIL, Kind.CANCEL)


def count(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        (number,) = connection.execute("SELECT count(*) FROM litestar_queues_history").fetchone()
    return int(number)


async def test_the_size_of_the_history_is_right_after_anything(
    store: SQLiteStore, path: Path
) -> None:
    chance = random.Random(7)  # noqa: S311
    claimer = await Claimer(store).open(seconds=1e8)
    ended: list[JobId] = []
    for _ in range(40):
        await store.enqueue(make_jobs(chance.randrange(8)))
        jobs = await claimer.claim(10)
        await claimer.exchange([settled(job, chance.choice(KINDS)) for job in jobs])
        ended += [job.id for job in jobs]
        shift_clock(store, timedelta(seconds=chance.randrange(60)))
        await store.revive([job.id for job in jobs[-2:]])
        retention = Retention(
            completed=chance.choice([90, 1e6]),
            failed=chance.choice([120, 1e6]),
            max_finished=chance.choice([5, 50, 10**6]),
        )
        await store.maintain(MaintenancePolicy(retention=retention, limit=7))

        assert (await store._database.read(read_state)).size == count(path)

    kept = await store.get(ended)
    found = {one.id for one in kept if one is not None and one.status.finished}
    assert len(found) == count(path) > 0


async def test_failed_jobs_in_between_do_not_hold_pruning_up(store: SQLiteStore) -> None:
    claimer = await Claimer(store).open(seconds=1e8)
    await store.enqueue(make_jobs(60))
    jobs = await claimer.claim(60)
    kinds = [Kind.FAIL if place % 20 < 15 else Kind.COMPLETE for place in range(60)]
    await claimer.exchange([settled(*pair) for pair in zip(jobs, kinds, strict=True)])
    shift_clock(store, timedelta(hours=2))
    policy = MaintenancePolicy(retention=Retention(completed=3600, failed=1e6), limit=10)

    rounds = [await store.maintain(policy) for _ in range(10)]
    kept = await store.get([job.id for job in jobs])

    assert sum(one.pruned for one in rounds) == 15
    assert not rounds[-1].more
    assert [one.status for one in kept if one is not None] == [Status.FAILED] * 45
