"""Promoting, expiring and pruning: bounded, and right however often it is called."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from litestar_queues_core.model import Job, Retention, Status
from litestar_queues_core.protocols import Store
from litestar_queues_core.settlements import Kind, MaintenancePolicy
from litestar_queues_core.testing.claimer import Claimer
from litestar_queues_core.testing.clock import shift_clock
from litestar_queues_core.testing.conformance.steps import (
    HOUR,
    MINUTE,
    SECOND,
    look,
    running_job,
    store_now,
    upkeep,
)
from litestar_queues_core.testing.jobs import make_job, make_jobs, settled

NOTHING_KEPT = MaintenancePolicy(retention=Retention(completed=0, failed=0, max_finished=0))
NO_TIME = replace(NOTHING_KEPT, seconds=0.0)


async def finished_jobs(store: Store, count: int, kind: Kind = Kind.COMPLETE) -> list[Job]:
    """Enqueue jobs and run them to their end."""
    claimer = await Claimer(store).open(seconds=1e7)
    await store.enqueue(make_jobs(count))
    jobs = await claimer.claim(count)
    await claimer.exchange([settled(job, kind) for job in jobs])
    return list(jobs)


async def known(store: Store, jobs: list[Job]) -> list[bool]:
    """Whether the store still knows each of *jobs*."""
    return [one is not None for one in await store.get([job.id for job in jobs])]


class Maintaining:
    """``maintain``, but for rescue."""

    async def test_there_is_nothing_to_do_in_an_empty_store(self, store: Store) -> None:
        done = await store.maintain(MaintenancePolicy())

        assert not done.moved
        assert (done.pruned, done.more, done.next_due_ms) == (0, False, None)

    async def test_what_needs_nothing_is_left_alone(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        running = await running_job(store, claimer)
        pending = make_job(expires_in_ms=HOUR)
        scheduled = make_job(delay_ms=HOUR)
        await store.enqueue([pending, scheduled])
        ids = [running.id, pending.id, scheduled.id]
        before = await store.get(ids)

        done = await store.maintain(MaintenancePolicy())

        assert not done.moved
        assert not done.more
        assert list(await store.get(ids)) == list(before)

    async def test_due_jobs_are_promoted(self, store: Store) -> None:
        job = make_job(delay_ms=10 * SECOND, queue="mail")
        await store.enqueue([job, make_job(delay_ms=HOUR)])
        shift_clock(store, timedelta(seconds=11))

        moved = await upkeep(store)

        assert [(one.id, one.queue, one.old, one.new) for one in moved] == [
            (job.id, "mail", Status.SCHEDULED, Status.PENDING)
        ]
        assert (await look(store, job.id)).status is Status.PENDING
        assert not await upkeep(store)

    async def test_promotion_is_bounded_and_says_there_is_more(self, store: Store) -> None:
        await store.enqueue(make_jobs(25, delay_ms=10 * SECOND))
        shift_clock(store, timedelta(seconds=11))

        steps = [await store.maintain(MaintenancePolicy(limit=10)) for _ in range(4)]

        assert [len(one.moved) for one in steps] == [10, 10, 5, 0]
        assert [one.more for one in steps[:2]] == [True, True]
        assert not steps[-1].more

    async def test_the_longest_due_are_promoted_first(self, store: Store) -> None:
        late, early = make_job(delay_ms=9 * SECOND, priority=5), make_job(delay_ms=2 * SECOND)
        await store.enqueue([late, early])
        shift_clock(store, timedelta(seconds=11))

        done = await store.maintain(MaintenancePolicy(limit=1))

        assert [one.id for one in done.moved] == [early.id]

    async def test_maintenance_tells_when_the_next_job_falls_due(self, store: Store) -> None:
        now = await store_now(store)
        await store.enqueue([make_job(due_ms=now + 2 * HOUR), make_job(due_ms=now + HOUR)])

        assert (await store.maintain(MaintenancePolicy())).next_due_ms == now + HOUR

    async def test_without_time_some_of_all_there_is_to_do_is_done(self, store: Store) -> None:
        """So that nothing waits for ever behind something else, however slow the store is."""
        old = await finished_jobs(store, 2)
        claimer = await Claimer(store).open(seconds=60)
        held = await running_job(store, claimer)
        due, late = make_job(delay_ms=MINUTE), make_job(expires_in_ms=MINUTE)
        await store.enqueue([due, late])
        shift_clock(store, timedelta(minutes=2))

        done = await store.maintain(NO_TIME)

        assert {one.id: (one.old, one.new) for one in done.moved} == {
            held.id: (Status.RUNNING, Status.PENDING),
            due.id: (Status.SCHEDULED, Status.PENDING),
            late.id: (Status.PENDING, Status.EXPIRED),
        }
        assert done.pruned == 2
        assert await known(store, old) == [False, False]

    async def test_without_time_all_is_done_in_the_end(self, store: Store) -> None:
        jobs = make_jobs(300, delay_ms=SECOND)
        await store.enqueue(jobs)
        shift_clock(store, timedelta(seconds=2))

        moved = await upkeep(store, NO_TIME)

        assert sorted(one.id for one in moved) == sorted(job.id for job in jobs)

    async def test_concurrent_maintenance_moves_each_job_once(self, store: Store) -> None:
        jobs = make_jobs(30, delay_ms=SECOND) + make_jobs(30, expires_in_ms=SECOND)
        await store.enqueue(jobs)
        shift_clock(store, timedelta(seconds=2))

        rounds = await asyncio.gather(*(upkeep(store) for _ in range(5)))

        assert sorted(one.id for moved in rounds for one in moved) == sorted(job.id for job in jobs)

    async def test_a_waiting_job_expires(self, store: Store) -> None:
        job = make_job(expires_in_ms=MINUTE)
        await store.enqueue([job])
        shift_clock(store, timedelta(minutes=2))

        moved = await upkeep(store)
        stored = await look(store, job.id)

        assert [(one.id, one.old, one.new) for one in moved] == [
            (job.id, Status.PENDING, Status.EXPIRED)
        ]
        assert stored.status is Status.EXPIRED
        assert stored.details.finished_ms is not None
        assert not await upkeep(store)

    async def test_expiry_counts_from_when_the_job_is_due(self, store: Store) -> None:
        job = make_job(delay_ms=HOUR, expires_in_ms=MINUTE)
        await store.enqueue([job])
        shift_clock(store, timedelta(minutes=30))
        assert not await upkeep(store)

        shift_clock(store, timedelta(minutes=32))
        await upkeep(store)

        assert (await look(store, job.id)).status is Status.EXPIRED

    async def test_a_scheduled_job_can_expire_before_it_is_due(self, store: Store) -> None:
        now = await store_now(store)
        job = make_job(due_ms=now + HOUR, expires_ms=now + MINUTE)
        await store.enqueue([job])
        shift_clock(store, timedelta(minutes=2))

        moved = await upkeep(store)

        assert [(one.id, one.old, one.new) for one in moved] == [
            (job.id, Status.SCHEDULED, Status.EXPIRED)
        ]

    async def test_a_running_job_does_not_expire(self, store: Store) -> None:
        claimer = await Claimer(store).open(seconds=1e6)
        job = await running_job(store, claimer, expires_in_ms=MINUTE)
        shift_clock(store, timedelta(hours=1))

        assert not await upkeep(store)
        assert not (await claimer.settle(job, Kind.COMPLETE)).rejected

    async def test_a_job_expires_between_its_attempts(self, store: Store) -> None:
        claimer = await Claimer(store).open(seconds=1e6)
        job = await running_job(store, claimer, expires_in_ms=MINUTE)
        await claimer.settle(job, Kind.RETRY, delay_ms=HOUR)
        shift_clock(store, timedelta(minutes=2))

        await upkeep(store)

        assert (await look(store, job.id)).status is Status.EXPIRED

    async def test_a_retry_does_not_put_expiry_off(self, store: Store) -> None:
        claimer = await Claimer(store).open(seconds=1e6)
        job = await running_job(store, claimer, expires_in_ms=MINUTE)
        shift_clock(store, timedelta(seconds=50))

        await claimer.settle(job, Kind.RETRY, delay_ms=5 * SECOND)
        shift_clock(store, timedelta(seconds=15))
        await upkeep(store)

        stored = await look(store, job.id)
        assert (stored.status, stored.expires_ms) == (Status.EXPIRED, job.expires_ms)

    async def test_a_job_settled_after_its_expiry_does_not_run_again(self, store: Store) -> None:
        claimer = await Claimer(store).open(seconds=1e6)
        job = await running_job(store, claimer, expires_in_ms=MINUTE)
        shift_clock(store, timedelta(hours=1))
        await claimer.settle(job, Kind.RELEASE)

        assert not await claimer.claim()
        assert [(one.id, one.new) for one in await upkeep(store)] == [(job.id, Status.EXPIRED)]

    async def test_expiry_is_bounded_and_says_there_is_more(self, store: Store) -> None:
        await store.enqueue(make_jobs(15, expires_in_ms=SECOND))
        shift_clock(store, timedelta(seconds=2))

        first = await store.maintain(MaintenancePolicy(limit=10))
        second = await store.maintain(MaintenancePolicy(limit=10))

        assert (len(first.moved), first.more, len(second.moved)) == (10, True, 5)

    async def test_finished_jobs_are_known_until_they_are_too_old(self, store: Store) -> None:
        policy = MaintenancePolicy(retention=Retention(completed=600, failed=3600))
        jobs = await finished_jobs(store, 3)
        shift_clock(store, timedelta(minutes=9))
        await upkeep(store, policy)
        before = await known(store, jobs)

        shift_clock(store, timedelta(minutes=2))
        await upkeep(store, policy)

        assert before == [True] * 3
        assert await known(store, jobs) == [False] * 3

    async def test_failed_jobs_have_an_age_of_their_own(self, store: Store) -> None:
        policy = MaintenancePolicy(retention=Retention(completed=600, failed=3600))
        failed = await finished_jobs(store, 2, Kind.FAIL)
        cancelled = await finished_jobs(store, 2, Kind.CANCEL)
        shift_clock(store, timedelta(minutes=30))
        await upkeep(store, policy)
        at_first = await known(store, failed), await known(store, cancelled)

        shift_clock(store, timedelta(minutes=40))
        await upkeep(store, policy)

        assert at_first == ([True, True], [False, False])
        assert await known(store, failed) == [False, False]

    async def test_beyond_their_number_the_oldest_finished_jobs_go(self, store: Store) -> None:
        policy = MaintenancePolicy(retention=Retention(max_finished=3))
        oldest = await finished_jobs(store, 2, Kind.FAIL)
        shift_clock(store, timedelta(seconds=5))
        middle = await finished_jobs(store, 2)
        shift_clock(store, timedelta(seconds=5))
        youngest = await finished_jobs(store, 2, Kind.CANCEL)
        shift_clock(store, timedelta(minutes=2))

        await upkeep(store, policy)

        assert await known(store, oldest) == [False, False]
        assert sorted(await known(store, middle)) == [False, True]
        assert await known(store, youngest) == [True, True]

    async def test_no_job_is_pruned_in_the_minute_after_its_end(self, store: Store) -> None:
        jobs = await finished_jobs(store, 3)
        shift_clock(store, timedelta(seconds=50))
        await upkeep(store, NOTHING_KEPT)
        within = await store.get([job.id for job in jobs])

        shift_clock(store, timedelta(seconds=15))
        await upkeep(store, NOTHING_KEPT)

        assert [one and one.status for one in within] == [Status.COMPLETED] * 3
        assert await known(store, jobs) == [False] * 3

    async def test_pruning_is_bounded_and_counted(self, store: Store) -> None:
        await finished_jobs(store, 15)
        shift_clock(store, timedelta(minutes=2))
        policy = MaintenancePolicy(retention=NOTHING_KEPT.retention, limit=10)

        steps = [await store.maintain(policy) for _ in range(3)]

        assert [one.pruned for one in steps] == [10, 5, 0]
        assert steps[0].more
        assert not steps[-1].more

    async def test_pruning_takes_finished_jobs_only(self, store: Store) -> None:
        claimer = await Claimer(store).open(seconds=1e6)
        running = await running_job(store, claimer)
        pending, scheduled = make_job(), make_job(delay_ms=100 * HOUR)
        await store.enqueue([pending, scheduled])
        shift_clock(store, timedelta(hours=10))

        await upkeep(store, NOTHING_KEPT)

        found = await store.get([running.id, pending.id, scheduled.id])
        assert None not in found

    async def test_a_pruned_id_is_free_again(self, store: Store) -> None:
        (job,) = await finished_jobs(store, 1)
        shift_clock(store, timedelta(minutes=2))
        await upkeep(store, NOTHING_KEPT)

        (answer,) = await store.enqueue([job.new])

        assert (answer.created, answer.status) == (True, Status.PENDING)
        assert (await look(store, job.id)).status is Status.PENDING
