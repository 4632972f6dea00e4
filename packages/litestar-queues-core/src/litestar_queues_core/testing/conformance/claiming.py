"""What is handed out, to whom, and in which order."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from itertools import product

from litestar_queues_core.ids import new_job_ids
from litestar_queues_core.model import Status
from litestar_queues_core.protocols import Store
from litestar_queues_core.settlements import Kind, Wants
from litestar_queues_core.testing.claimer import Claimer
from litestar_queues_core.testing.clock import shift_clock
from litestar_queues_core.testing.conformance.steps import (
    HOUR,
    MINUTE,
    SECOND,
    look,
    store_now,
    upkeep,
)
from litestar_queues_core.testing.jobs import make_job, make_jobs, settled


class Claiming:
    """The claims of ``exchange``."""

    async def test_a_claimed_job_runs_under_the_lease(self, store: Store) -> None:
        job = make_job()
        await store.enqueue([job])
        claimer = await Claimer(store, name="ada").open()
        before = await store_now(store)

        claimed = await claimer.claim_one()
        stored = await look(store, job.id)

        for seen in (claimed, stored):
            assert seen.status is Status.RUNNING
            assert (seen.delivery, seen.attempt) == (1, 0)
            assert seen.details.worker == "ada"
            assert seen.details.started_ms is not None
            assert seen.details.started_ms >= before

    async def test_a_job_is_handed_out_once(self, store: Store) -> None:
        await store.enqueue([make_job()])
        first, second = await Claimer(store).open(), await Claimer(store).open()

        assert len(await first.claim()) == 1
        assert not await first.claim()
        assert not await second.claim()

    async def test_within_a_lane_priority_then_due_time_then_id_decides(self, store: Store) -> None:
        now = await store_now(store)
        ids = new_job_ids(27)
        shuffled = [ids[(7 * place) % 27] for place in range(27)]
        jobs = [
            make_job(job_id=job_id, priority=priority, due_ms=now - age)
            for job_id, (age, priority, _) in zip(
                shuffled, product((0, HOUR, 1), (-1000, 1000, 0), range(3)), strict=True
            )
        ]
        await store.enqueue(jobs[:13])
        await store.enqueue(jobs[13:])
        claimer = await Claimer(store).open()

        claimed = [one.id for number in (1, 10, 30) for one in await claimer.claim(number)]

        ranks = {job.id: (-job.spec.priority, job.due_ms, job.id) for job in jobs}
        assert claimed == sorted(ranks, key=ranks.__getitem__)

    async def test_a_named_lane_gives_its_jobs_in_order_too(self, store: Store) -> None:
        jobs = make_jobs(5, queue="mail")
        await store.enqueue(jobs[::-1])
        claimer = await Claimer(store).open()

        claimed = await claimer.claim(5, lanes=[("mail", 5)], others=0)

        assert [one.id for one in claimed] == [job.id for job in jobs]

    async def test_the_limit_bounds_the_total(self, store: Store) -> None:
        await store.enqueue(make_jobs(5, queue="a") + make_jobs(5, queue="b"))
        claimer = await Claimer(store).open()

        assert len(await claimer.claim(3, lanes=[("a", 9)], others=9)) == 3
        assert len(await claimer.claim(4, lanes=[("a", 9), ("b", 9)], others=0)) == 4
        assert not await claimer.claim(0, lanes=[("a", 9)], others=9)

    async def test_a_named_lane_gives_no_more_than_its_cap(self, store: Store) -> None:
        await store.enqueue(make_jobs(5, queue="mail") + make_jobs(5, queue="files"))
        claimer = await Claimer(store).open()

        claimed = await claimer.claim(10, lanes=[("mail", 2)], others=10)

        assert Counter(one.queue for one in claimed) == {"mail": 2, "files": 5}

    async def test_a_lane_with_cap_zero_gives_nothing(self, store: Store) -> None:
        await store.enqueue(make_jobs(2, queue="mail") + make_jobs(2, queue="files"))
        claimer = await Claimer(store).open()

        claimed = await claimer.claim(10, lanes=[("mail", 0)], others=10)

        assert {one.queue for one in claimed} == {"files"}

    async def test_only_named_lanes_give_jobs_if_no_others_are_wanted(self, store: Store) -> None:
        await store.enqueue(make_jobs(2, queue="mail") + make_jobs(2, queue="files"))
        claimer = await Claimer(store).open()

        claimed = await claimer.claim(10, lanes=[("mail", 10), ("nothing-here", 10)], others=0)

        assert [one.queue for one in claimed] == ["mail", "mail"]

    async def test_others_bounds_what_comes_from_unnamed_lanes(self, store: Store) -> None:
        await store.enqueue([job for name in "abc" for job in make_jobs(3, queue=name)])
        claimer = await Claimer(store).open()

        claimed = await claimer.claim(10, lanes=[("a", 10)], others=2)

        assert sum(one.queue == "a" for one in claimed) == 3
        assert sum(one.queue != "a" for one in claimed) == 2

    async def test_remote_work_goes_to_those_who_can_dispatch_it(self, store: Store) -> None:
        await store.enqueue(
            [
                make_job(queue="q"),
                make_job(queue="q", execution_backend="local"),
                make_job(queue="q", execution_backend="gpu"),
                make_job(queue="q", execution_backend="cloud"),
            ]
        )
        local, remote = await Claimer(store).open(), await Claimer(store).open()

        at_home = await local.claim()
        elsewhere = await remote.claim(executors=frozenset({"gpu"}))

        assert [one.lane for one in at_home] == ["q", "q"]
        assert [one.lane for one in elsewhere] == ["q@gpu"]

    async def test_a_remote_lane_can_be_named(self, store: Store) -> None:
        await store.enqueue([make_job(queue="q", execution_backend="gpu"), make_job(queue="q")])
        claimer = await Claimer(store).open()

        claimed = await claimer.claim(lanes=[("q@gpu", 5)], others=0, executors=frozenset({"gpu"}))

        assert [one.lane for one in claimed] == ["q@gpu"]

    async def test_work_of_one_lane_does_not_hide_that_of_another(self, store: Store) -> None:
        await store.enqueue(make_jobs(300, queue="loud", priority=1000))
        await store.enqueue([make_job(queue="quiet", priority=-1000)])
        claimer = await Claimer(store).open()

        claimed = await claimer.claim(5, lanes=[("quiet", 5)], others=0)

        assert [one.queue for one in claimed] == ["quiet"]

    async def test_no_lane_starves_among_the_others(self, store: Store) -> None:
        lanes = [f"lane{number}" for number in range(5)]
        await store.enqueue([job for name in lanes for job in make_jobs(50, queue=name)])
        claimer = await Claimer(store).open()

        served: set[str] = set()
        for stride in (1, 2, 3):
            for _ in range(10):
                claimer.seq += stride - 1
                served |= {one.queue for one in await claimer.claim(1)}

        assert served == set(lanes)

    async def test_no_named_lane_starves(self, store: Store) -> None:
        await store.enqueue(make_jobs(50, queue="first") + make_jobs(50, queue="second"))
        claimer = await Claimer(store).open()

        served = [
            one.queue
            for _ in range(20)
            for one in await claimer.claim(1, lanes=[("first", 1), ("second", 1)], others=0)
        ]

        assert set(served) == {"first", "second"}

    async def test_a_job_is_claimed_once_it_is_due(self, store: Store) -> None:
        job = make_job(delay_ms=10 * SECOND)
        await store.enqueue([job])
        claimer = await Claimer(store).open()

        shift_clock(store, timedelta(seconds=8))
        await upkeep(store)
        too_early = await claimer.claim()
        shift_clock(store, timedelta(seconds=3))
        await upkeep(store)

        assert not too_early
        assert (await claimer.claim_one()).id == job.id

    async def test_an_expired_job_is_never_handed_out(self, store: Store) -> None:
        expiring, lasting = make_job(expires_in_ms=MINUTE, priority=9), make_job()
        await store.enqueue([expiring, lasting])
        claimer = await Claimer(store).open()
        shift_clock(store, timedelta(minutes=2))

        assert [one.id for one in await claimer.claim(1)] == [lasting.id]
        assert not await claimer.claim()

    async def test_a_job_that_has_not_expired_yet_is_handed_out(self, store: Store) -> None:
        await store.enqueue([make_job(expires_in_ms=HOUR)])
        claimer = await Claimer(store).open()

        assert len(await claimer.claim()) == 1

    async def test_a_delivery_is_never_used_twice(self, store: Store) -> None:
        await store.enqueue([make_job(retries=9)])
        claimer = await Claimer(store).open()

        deliveries = list[int]()
        for kind in (Kind.RELEASE, Kind.RETRY, Kind.SNOOZE, Kind.PUT_BACK, Kind.RELEASE):
            job = await claimer.claim_one()
            deliveries.append(job.delivery)
            await claimer.settle(job, kind)
        await claimer.claim()
        await store.close_lease(claimer.lease)
        other = await Claimer(store).open()
        deliveries.append((await other.claim_one()).delivery)

        assert deliveries == [1, 2, 3, 4, 5, 7]

    async def test_concurrent_claimers_never_share_a_job(self, store: Store) -> None:
        jobs = make_jobs(200) + make_jobs(100, queue="mail", priority=5)
        await store.enqueue(jobs)
        claimers = [await Claimer(store).open() for _ in range(8)]

        async def drain(claimer: Claimer) -> list[str]:
            mine: list[str] = []
            while claimed := await claimer.claim(7):
                mine += [one.id for one in claimed]
            return mine

        shares = await asyncio.gather(*map(drain, claimers))

        assert sorted(one for share in shares for one in share) == sorted(job.id for job in jobs)

    async def test_everything_is_claimed_once_while_producers_are_at_work(
        self, store: Store
    ) -> None:
        jobs = make_jobs(120)
        claimers = [await Claimer(store).open() for _ in range(3)]
        produced = asyncio.Event()

        async def produce() -> None:
            for start in range(0, len(jobs), 10):
                await store.enqueue(jobs[start : start + 10])
                await asyncio.sleep(0)
            produced.set()

        async def drain(claimer: Claimer) -> list[str]:
            mine: list[str] = []
            while True:
                last_look = produced.is_set()
                claimed = await claimer.claim(4)
                mine += [one.id for one in claimed]
                if last_look and not claimed:
                    return mine
                await asyncio.sleep(0)

        producer = asyncio.create_task(produce())
        shares = await asyncio.gather(*map(drain, claimers))
        await producer

        assert sorted(one for share in shares for one in share) == [job.id for job in jobs]

    async def test_an_exchange_can_settle_and_claim(self, store: Store) -> None:
        await store.enqueue(make_jobs(2))
        claimer = await Claimer(store).open()
        first = (await claimer.claim(1))[0]

        step = await claimer.exchange([settled(first, Kind.COMPLETE)], Wants(limit=5, others=5))

        assert len(step.claimed) == 1
        assert step.claimed[0].id != first.id
        assert (await look(store, first.id)).status is Status.COMPLETED
