"""Leases that die, and what becomes of their jobs."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from litestar_queues_core.errors import LeaseLost
from litestar_queues_core.model import Status
from litestar_queues_core.protocols import Store
from litestar_queues_core.settlements import Kind, MaintenancePolicy, Moved
from litestar_queues_core.testing.claimer import Claimer
from litestar_queues_core.testing.clock import shift_clock
from litestar_queues_core.testing.conformance.steps import (
    HOUR,
    die,
    look,
    running_job,
    suspect_job,
    upkeep,
)
from litestar_queues_core.testing.jobs import make_job, make_jobs, settled


class Rescuing:
    """Rescue, suspects and quarantine."""

    async def test_a_job_of_a_dead_lease_waits_as_a_suspect(self, store: Store) -> None:
        claimer = await Claimer(store, name="ada").open()
        job = await running_job(store, claimer, queue="mail")

        moved = await die(store, claimer)
        stored = await look(store, job.id)

        assert moved == [
            Moved(
                id=job.id,
                task=job.task,
                queue="mail",
                old=Status.RUNNING,
                new=Status.PENDING,
            )
        ]
        assert (stored.status, stored.lane) == (Status.PENDING, "mail~")
        assert (stored.rescues, stored.attempt, stored.delivery) == (1, 0, 1)
        (record,) = stored.details.errors
        assert (record.outcome, record.worker, record.delivery) == ("rescued", "ada", 1)
        assert record.started_ms == job.details.started_ms
        assert record.finished_ms > record.started_ms
        assert "ada" in record.message

    async def test_a_healthy_lease_is_left_alone(self, store: Store) -> None:
        healthy = await Claimer(store).open(seconds=HOUR)
        dying = await Claimer(store).open()
        job = await running_job(store, healthy)
        lost = await running_job(store, dying)

        moved = await die(store, dying)

        assert [one.id for one in moved] == [lost.id]
        assert not (await healthy.settle(job, Kind.COMPLETE)).rejected

    async def test_no_rescue_happens_unless_the_policy_allows(self, store: Store) -> None:
        claimer = await Claimer(store).open(seconds=10)
        job = await running_job(store, claimer)
        shift_clock(store, timedelta(hours=1))

        moved = await upkeep(store, MaintenancePolicy(rescue=False))

        assert not moved
        assert not (await claimer.settle(job, Kind.COMPLETE)).rejected

    async def test_the_lease_is_dead_before_its_first_job_is_given_back(self, store: Store) -> None:
        claimer = await Claimer(store).open(seconds=10)
        await store.enqueue(make_jobs(5))
        jobs = await claimer.claim()
        shift_clock(store, timedelta(hours=1))

        step = await store.maintain(MaintenancePolicy(limit=1))
        try:
            await claimer.exchange([settled(job, Kind.COMPLETE) for job in jobs])
        except LeaseLost:
            lost = True
        else:
            lost = False
        rest = await upkeep(store)

        assert len(step.moved) <= 1
        assert step.more
        assert lost
        assert {one.id for one in (*step.moved, *rest)} == {job.id for job in jobs}
        found = await store.get([job.id for job in jobs])
        assert {one and (one.status, one.rescues) for one in found} == {(Status.PENDING, 1)}

    async def test_a_rescue_is_bounded_and_says_there_is_more(self, store: Store) -> None:
        claimer = await Claimer(store).open(seconds=10)
        await store.enqueue(make_jobs(25))
        await claimer.claim(25)
        shift_clock(store, timedelta(hours=1))

        sizes: list[int] = []
        more = True
        while more:
            step = await store.maintain(MaintenancePolicy(limit=10))
            sizes.append(len(step.moved))
            more = step.more

        assert max(sizes) <= 10
        assert sum(sizes) == 25

    async def test_concurrent_maintenance_rescues_each_job_once(self, store: Store) -> None:
        claimer = await Claimer(store).open(seconds=10)
        await store.enqueue(make_jobs(40))
        jobs = await claimer.claim(40)
        shift_clock(store, timedelta(hours=1))

        rounds = await asyncio.gather(*(upkeep(store) for _ in range(5)))

        assert sorted(one.id for moved in rounds for one in moved) == sorted(one.id for one in jobs)
        found = await store.get([job.id for job in jobs])
        assert {one and one.rescues for one in found} == {1}

    async def test_a_late_finisher_is_told_and_changes_nothing(self, store: Store) -> None:
        dead, alive = await Claimer(store).open(), await Claimer(store).open()
        job = await running_job(store, dead)
        await die(store, dead)
        again = await alive.claim_one(suspects=1)

        try:
            await dead.settle(job, Kind.COMPLETE, value=b"late")
        except LeaseLost:
            lost = True
        else:
            lost = False
        stale = await alive.settle(job, Kind.COMPLETE, value=b"stale")

        assert lost
        assert list(stale.rejected) == [(job.id, 1)]
        assert (again.id, again.delivery) == (job.id, 2)
        assert not (await alive.settle(again, Kind.COMPLETE, value=b"good")).rejected
        assert (await look(store, job.id)).details.result == b"good"

    async def test_more_rescues_than_allowed_end_a_job_with_evidence(self, store: Store) -> None:
        job = make_job(max_rescues=1)
        await store.enqueue([job])
        moved: list[Moved] = []
        for name in ("first", "second"):
            claimer = await Claimer(store, name=name).open()
            await claimer.claim_one(suspects=1)
            moved += await die(store, claimer)

        stored = await look(store, job.id)

        assert [one.new for one in moved] == [Status.PENDING, Status.FAILED]
        assert (stored.status, stored.rescues, stored.attempt) == (Status.FAILED, 2, 0)
        assert stored.details.finished_ms is not None
        assert [one.worker for one in stored.details.errors] == ["first", "second"]
        assert "quarantined" in (stored.error or "")
        assert not await (await Claimer(store).open()).claim(suspects=1)

    async def test_without_rescues_allowed_the_first_one_ends_a_job(self, store: Store) -> None:
        job = await suspect_job(store, max_rescues=0)

        assert (job.status, job.rescues) == (Status.FAILED, 1)

    async def test_suspects_are_claimed_only_if_wanted(self, store: Store) -> None:
        await suspect_job(store)
        claimer = await Claimer(store).open()

        without = await claimer.claim(lanes=[("default", 5)], others=5)
        wanted = await claimer.claim(suspects=1)

        assert not without
        assert len(wanted) == 1
        assert wanted[0].lane == "default~"

    async def test_at_most_one_suspect_is_claimed_and_it_comes_first(self, store: Store) -> None:
        dying = await Claimer(store).open()
        await store.enqueue(make_jobs(3))
        await dying.claim()
        await die(store, dying)
        await store.enqueue(make_jobs(5, priority=1000))
        claimer = await Claimer(store).open()

        claimed = await claimer.claim(4, suspects=1)
        only = await claimer.claim(1, suspects=1)

        assert [one.lane for one in claimed] == ["default~", "default", "default", "default"]
        assert [one.lane for one in only] == ["default~"]

    async def test_suspects_come_in_order(self, store: Store) -> None:
        dying = await Claimer(store).open()
        low, high = make_job(priority=-1), make_job(priority=1)
        await store.enqueue([low, high])
        await dying.claim()
        await die(store, dying)
        claimer = await Claimer(store).open()

        claimed = [(await claimer.claim(1, suspects=1))[0].id for _ in range(2)]

        assert claimed == [high.id, low.id]

    async def test_suspects_come_only_from_lanes_that_are_allowed(self, store: Store) -> None:
        await suspect_job(store, queue="mail")
        claimer = await Claimer(store).open()

        closed = await claimer.claim(lanes=[("mail", 0)], others=5, suspects=1)
        unnamed = await claimer.claim(lanes=[("files", 5)], others=0, suspects=1)
        named = await claimer.claim(lanes=[("mail", 5)], others=0, suspects=1)

        assert not closed
        assert not unnamed
        assert [one.lane for one in named] == ["mail~"]

    async def test_remote_suspects_go_to_those_who_can_dispatch_them(self, store: Store) -> None:
        dying = await Claimer(store).open()
        await store.enqueue([make_job(execution_backend="gpu")])
        await dying.claim_one(executors=frozenset({"gpu"}))
        await die(store, dying)
        claimer = await Claimer(store).open()

        local = await claimer.claim(suspects=1)
        remote = await claimer.claim(suspects=1, executors=frozenset({"gpu"}))

        assert not local
        assert [one.lane for one in remote] == ["default@gpu~"]

    async def test_a_suspect_counts_against_the_cap_of_its_lane(self, store: Store) -> None:
        await suspect_job(store, queue="mail")
        await store.enqueue(make_jobs(3, queue="mail"))
        claimer = await Claimer(store).open()

        claimed = await claimer.claim(lanes=[("mail", 1)], others=5, suspects=1)

        assert [one.lane for one in claimed] == ["mail~"]

    async def test_retry_and_snooze_clear_a_suspect(self, store: Store) -> None:
        for kind in (Kind.RETRY, Kind.SNOOZE):
            job = await suspect_job(store, queue=kind.value, retries=5)
            claimer = await Claimer(store).open()

            await claimer.settle(await claimer.claim_one(suspects=1), kind)
            stored = await look(store, job.id)

            assert (stored.lane, stored.rescues) == (kind.value, 1), kind
            assert (await claimer.claim_one()).id == job.id, kind

    async def test_a_delayed_suspect_is_cleared_too(self, store: Store) -> None:
        job = await suspect_job(store)
        claimer = await Claimer(store).open()
        await claimer.settle(await claimer.claim_one(suspects=1), Kind.SNOOZE, delay_ms=5000)
        shift_clock(store, timedelta(seconds=6))
        await upkeep(store)

        assert (await claimer.claim_one()).id == job.id

    async def test_release_and_put_back_keep_the_suspicion(self, store: Store) -> None:
        for kind in (Kind.RELEASE, Kind.PUT_BACK):
            job = await suspect_job(store, queue=kind.value)
            claimer = await Claimer(store).open()

            await claimer.settle(await claimer.claim_one(suspects=1), kind, delay_ms=5000)
            waiting = await look(store, job.id)
            shift_clock(store, timedelta(seconds=6))
            await upkeep(store)

            assert (waiting.status, waiting.lane) == (Status.SCHEDULED, f"{kind.value}~"), kind
            assert not await claimer.claim(), kind
            assert (await claimer.claim_one(suspects=1)).id == job.id, kind

    async def test_a_suspect_may_complete(self, store: Store) -> None:
        job = await suspect_job(store)
        claimer = await Claimer(store).open()

        await claimer.settle(await claimer.claim_one(suspects=1), Kind.COMPLETE, value=b"1")

        assert (await look(store, job.id)).details.result == b"1"

    async def test_a_suspect_may_be_cancelled(self, store: Store) -> None:
        job = await suspect_job(store)

        await store.cancel([job.id], running=False)

        assert (await look(store, job.id)).status is Status.CANCELLED
        assert not await (await Claimer(store).open()).claim(suspects=1)
