"""Walking through jobs that were enqueued one by one and together, pruned and enqueued again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from litestar_queues_core.ids import JobId
from litestar_queues_core.model import NewJob, Retention, Status
from litestar_queues_core.settlements import JobQuery, Kind, MaintenancePolicy
from litestar_queues_core.testing import Claimer, make_job, make_jobs, settled, shift_clock
from litestar_queues_resp import RespStore

NOTHING_KEPT = MaintenancePolicy(retention=Retention(completed=0, failed=0, max_finished=0))


async def all_ids(store: RespStore, limit: int, *status: Status) -> list[JobId]:
    """Return the ids on all pages."""
    found: list[JobId] = []
    cursor: str | None = None
    while True:
        page = await store.find(JobQuery(status=status, limit=limit, cursor=cursor))
        found += [job.id for job in page.jobs]
        cursor = page.cursor
        if cursor is None:
            return found


async def enqueue(store: RespStore, jobs: list[NewJob]) -> list[JobId]:
    await store.enqueue(jobs)
    shift_clock(store, timedelta(milliseconds=5))
    return [job.id for job in jobs]


@pytest.mark.parametrize("limit", [1, 7, 50, 5000])
async def test_each_is_found_once_the_newest_first(store: RespStore, limit: int) -> None:
    ids: list[JobId] = []
    for number in range(40):
        ids += await enqueue(store, make_jobs(1 if number % 4 else 40))

    assert await all_ids(store, limit) == ids[::-1]


async def test_what_was_pruned_is_not_found_and_what_came_again_is_found_once(
    store: RespStore,
) -> None:
    claimer = await Claimer(store).open(seconds=1e6)
    again = make_job()
    await enqueue(store, [again, *make_jobs(150)])
    kept = await enqueue(store, make_jobs(3, delay_ms=10_000_000))
    held = await claimer.claim(1000)
    await claimer.exchange([settled(job, Kind.COMPLETE) for job in held])
    shift_clock(store, timedelta(minutes=2))
    while (await store.maintain(NOTHING_KEPT)).more:
        pass

    await enqueue(store, [again])

    assert await all_ids(store, 2) == [again.id, *kept[::-1]]


async def test_what_has_failed_is_found_among_many_that_have_not(store: RespStore) -> None:
    claimer = await Claimer(store).open()
    jobs = make_jobs(1200)
    await store.enqueue(jobs)
    held = await claimer.claim(1200)
    await claimer.exchange(
        [settled(job, Kind.FAIL if n % 100 == 0 else Kind.COMPLETE) for n, job in enumerate(held)]
    )

    failed = await all_ids(store, 5, Status.FAILED)
    both = await all_ids(store, 100, Status.FAILED, Status.COMPLETED)

    assert failed == sorted((job.id for job in jobs[::100]), reverse=True)
    assert both == sorted((job.id for job in jobs), reverse=True)


async def test_a_journal_that_has_grown_is_cut_and_what_lives_stays_known(
    store: RespStore,
) -> None:
    claimer = await Claimer(store).open(seconds=1e9)
    kept: list[JobId] = []
    for _ in range(15):
        kept += await enqueue(store, [make_job(delay_ms=10**10)])
        await store.enqueue(make_jobs(500))
        await store.enqueue(make_jobs(500))
        held = await claimer.claim(1000)
        await claimer.exchange([settled(job, Kind.COMPLETE) for job in held])
    shift_clock(store, timedelta(minutes=2))
    pieces = f"{store._caller.key}:ib"
    before = await store.client.call("ZCARD", pieces)
    while (await store.maintain(NOTHING_KEPT)).more:
        pass
    await store.maintain(NOTHING_KEPT)

    assert await store.client.call("ZCARD", pieces) < before * 3 / 4  # 10,000 ids may stay
    assert await all_ids(store, 4) == kept[::-1]
