"""Ending a wait early."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import timedelta

from litestar_queues_core.protocols import Store, SupportsSignals
from litestar_queues_core.settlements import Kind
from litestar_queues_core.testing.claimer import Claimer
from litestar_queues_core.testing.clock import shift_clock
from litestar_queues_core.testing.conformance.abilities import with_browse, with_signals
from litestar_queues_core.testing.conformance.steps import (
    HOUR,
    SECOND,
    die,
    running_job,
    upkeep,
)
from litestar_queues_core.testing.jobs import make_job

LONG, SHORT = 10.0, 0.05


async def waiting(
    signals: SupportsSignals, *topics: str, timeout: float = LONG
) -> asyncio.Task[bool]:
    """Begin to wait, and return once the wait has begun."""
    task = asyncio.create_task(signals.wait(topics, timeout))
    await asyncio.sleep(0)
    return task


async def woken(task: asyncio.Task[bool]) -> bool:
    """Whether the wait was ended by a signal."""
    async with asyncio.timeout(2 * LONG):
        return await task


class Signals:
    """:class:`SupportsSignals`."""

    async def test_a_wait_ends_after_its_time(self, store: Store) -> None:
        signals = with_signals(store)
        started = asyncio.get_running_loop().time()

        assert await signals.wait({"lane:default", "lane:*"}, SHORT) is False
        assert asyncio.get_running_loop().time() - started >= SHORT * 0.9

    async def test_an_enqueue_wakes_those_who_wait_for_its_lane_or_any(self, store: Store) -> None:
        signals = with_signals(store)
        named = await waiting(signals, "lane:mail")
        several = await waiting(signals, "lane:files", "lane:mail")
        anything = await waiting(signals, "lane:*")

        await store.enqueue([make_job(queue="mail")])

        assert [await woken(task) for task in (named, several, anything)] == [True] * 3

    async def test_a_remote_lane_is_a_topic_of_its_own(self, store: Store) -> None:
        signals = with_signals(store)
        remote = await waiting(signals, "lane:mail@gpu")

        await store.enqueue([make_job(queue="mail", execution_backend="gpu")])

        assert await woken(remote)

    async def test_work_in_one_lane_does_not_wake_another(self, store: Store) -> None:
        signals = with_signals(store)
        other = await waiting(signals, "lane:files", timeout=SHORT)

        await store.enqueue([make_job(queue="mail")])

        assert not await woken(other)

    async def test_a_job_due_soon_wakes_and_one_due_late_does_not(self, store: Store) -> None:
        signals = with_signals(store)
        late = await waiting(signals, "lane:late", timeout=SHORT)
        soon = await waiting(signals, "lane:soon")

        await store.enqueue(
            [make_job(queue="late", delay_ms=HOUR), make_job(queue="soon", delay_ms=SECOND)]
        )

        assert not await woken(late)
        assert await woken(soon)

    async def test_every_end_of_a_job_wakes_those_who_wait_for_it(self, store: Store) -> None:
        signals = with_signals(store)
        claimer = await Claimer(store).open()
        for kind in (Kind.COMPLETE, Kind.FAIL, Kind.CANCEL):
            job = await running_job(store, claimer)
            end = await waiting(signals, f"job:{job.id}")
            await claimer.settle(job, kind)
            assert await woken(end), kind

    async def test_a_job_that_waits_again_has_not_ended(self, store: Store) -> None:
        signals = with_signals(store)
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        end = await waiting(signals, f"job:{job.id}", timeout=SHORT)

        await claimer.settle(job, Kind.RETRY, delay_ms=HOUR)

        assert not await woken(end)

    async def test_the_end_of_another_job_wakes_nobody(self, store: Store) -> None:
        signals = with_signals(store)
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        end = await waiting(signals, f"job:{make_job().id}", timeout=SHORT)

        await claimer.settle(job, Kind.COMPLETE)

        assert not await woken(end)

    async def test_cancelling_a_waiting_job_is_its_end(self, store: Store) -> None:
        signals = with_signals(store)
        job = make_job()
        await store.enqueue([job])
        end = await waiting(signals, f"job:{job.id}")

        await store.cancel([job.id], running=False)

        assert await woken(end)

    async def test_the_cancel_rule_ends_a_job(self, store: Store) -> None:
        signals = with_signals(store)
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        await store.cancel([job.id], running=True)
        end = await waiting(signals, f"job:{job.id}")

        await claimer.settle(job, Kind.RETRY)

        assert await woken(end)

    async def test_expiry_and_quarantine_are_ends(self, store: Store) -> None:
        signals = with_signals(store)
        claimer = await Claimer(store).open()
        poisonous = await running_job(store, claimer, max_rescues=0)
        expiring = make_job(expires_in_ms=SECOND)
        await store.enqueue([expiring])
        ends = [await waiting(signals, f"job:{one.id}") for one in (poisonous, expiring)]

        await die(store, claimer)
        await upkeep(store)

        assert [await woken(end) for end in ends] == [True, True]

    async def test_a_cancel_request_wakes_the_holder(self, store: Store) -> None:
        signals = with_signals(store)
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        holder = await waiting(signals, f"lease:{claimer.lease}")

        await store.cancel([job.id], running=True)

        assert await woken(holder)

    async def test_jobs_that_wait_again_wake_their_lane(self, store: Store) -> None:
        signals = with_signals(store)
        claimer = await Claimer(store).open()
        for kind in (Kind.RETRY, Kind.SNOOZE, Kind.RELEASE, Kind.PUT_BACK):
            job = await running_job(store, claimer, queue=kind.value)
            lane = await waiting(signals, f"lane:{kind.value}")
            await claimer.settle(job, kind)
            assert await woken(lane), kind

    async def test_a_closed_lease_wakes_the_lanes_of_its_jobs(self, store: Store) -> None:
        signals = with_signals(store)
        claimer = await Claimer(store).open()
        await running_job(store, claimer, queue="mail")
        lane = await waiting(signals, "lane:mail")

        await store.close_lease(claimer.lease)

        assert await woken(lane)

    async def test_rescued_jobs_wake_somebody(self, store: Store) -> None:
        signals = with_signals(store)
        claimer = await Claimer(store).open()
        await running_job(store, claimer)
        anything = await waiting(signals, "lane:*")

        await die(store, claimer)

        assert await woken(anything)

    async def test_promoted_jobs_wake_their_lane(self, store: Store) -> None:
        signals = with_signals(store)
        await store.enqueue([make_job(delay_ms=HOUR, queue="mail")])
        lane = await waiting(signals, "lane:mail")
        shift_clock(store, timedelta(hours=2))

        await upkeep(store)

        assert await woken(lane)

    async def test_follow_ups_and_revivals_wake_their_lane(self, store: Store) -> None:
        signals = with_signals(store)
        browse = with_browse(store)
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        followed = await waiting(signals, "lane:next")
        revived = await waiting(signals, "lane:default")

        await claimer.settle(job, Kind.COMPLETE, follow_ups=[make_job(queue="next")])
        await browse.revive([job.id])

        assert await woken(followed)
        assert await woken(revived)

    async def test_topics_can_be_raised_by_hand(self, store: Store) -> None:
        signals = with_signals(store)
        lane = await waiting(signals, "lane:mail")
        anything = await waiting(signals, "lane:*")
        other = await waiting(signals, "lane:files", timeout=SHORT)

        await signals.notify({"lane:mail"})

        assert await woken(lane)
        assert await woken(anything)
        assert not await woken(other)

    async def test_all_who_wait_are_woken(self, store: Store) -> None:
        signals = with_signals(store)
        tasks = [await waiting(signals, "lane:default") for _ in range(20)]

        await store.enqueue([make_job()])

        assert [await woken(task) for task in tasks] == [True] * 20

    async def test_a_worker_that_waits_between_two_looks_misses_nothing(self, store: Store) -> None:
        signals = with_signals(store)
        claimer = await Claimer(store).open()
        jobs = [make_job() for _ in range(30)]
        claimed: list[str] = []

        async def work() -> None:
            while len(claimed) < len(jobs):
                found = await claimer.claim(5)
                claimed.extend(one.id for one in found)
                if not found:
                    assert await signals.wait({"lane:default"}, LONG), "a signal was missed"

        worker = asyncio.create_task(work())
        for job in jobs:
            await store.enqueue([job])
            await asyncio.sleep(0)
        async with asyncio.timeout(2 * LONG):
            await worker

        assert sorted(claimed) == [job.id for job in jobs]

    async def test_a_cancelled_wait_leaves_the_others_in_peace(self, store: Store) -> None:
        signals = with_signals(store)
        gone, stays = [await waiting(signals, "lane:default") for _ in range(2)]
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)

        await store.enqueue([make_job()])

        assert gone.cancelled()
        assert await woken(stays)

    async def test_waiting_for_nothing_just_rests(self, store: Store) -> None:
        signals = with_signals(store)
        topics: Collection[str] = ()

        assert await signals.wait(topics, SHORT) is False
