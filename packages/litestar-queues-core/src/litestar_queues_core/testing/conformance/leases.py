"""The life of a lease, apart from its violent end."""

from __future__ import annotations

from datetime import timedelta

from litestar_queues_core.errors import LeaseLost
from litestar_queues_core.ids import new_lease_id
from litestar_queues_core.model import Status
from litestar_queues_core.protocols import Store
from litestar_queues_core.settlements import Kind, MaintenancePolicy
from litestar_queues_core.testing.claimer import Claimer
from litestar_queues_core.testing.clock import shift_clock
from litestar_queues_core.testing.conformance.steps import (
    die,
    look,
    running_job,
    suspect_job,
    upkeep,
)
from litestar_queues_core.testing.jobs import make_job, make_jobs


class Leases:
    """``open_lease``, ``renew`` and ``close_lease``."""

    async def test_opening_a_lease_again_changes_nothing_it_holds(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)

        await claimer.open()
        again = await claimer.replay()

        assert [one.id for one in again.claimed] == [job.id]
        assert not (await claimer.settle(job, Kind.COMPLETE)).rejected

    async def test_a_renewed_lease_lasts_on(self, store: Store) -> None:
        claimer = await Claimer(store).open(seconds=10)
        job = await running_job(store, claimer)

        for _ in range(4):
            shift_clock(store, timedelta(seconds=8))
            assert (await store.renew(claimer.lease, seconds=10)).alive
            assert not await upkeep(store)

        assert not (await claimer.settle(job, Kind.COMPLETE)).rejected

    async def test_an_exchange_extends_the_lease(self, store: Store) -> None:
        claimer = await Claimer(store).open(seconds=10)
        job = await running_job(store, claimer)

        for _ in range(4):
            shift_clock(store, timedelta(seconds=8))
            await claimer.exchange()
            assert not await upkeep(store)

        assert (await look(store, job.id)).status is Status.RUNNING

    async def test_a_replay_extends_the_lease(self, store: Store) -> None:
        claimer = await Claimer(store).open(seconds=10)
        await running_job(store, claimer)

        for _ in range(4):
            shift_clock(store, timedelta(seconds=8))
            await claimer.replay()
            assert not await upkeep(store)

    async def test_an_exchange_extends_by_the_time_last_given(self, store: Store) -> None:
        claimer = await Claimer(store).open(seconds=10)
        job = await running_job(store, claimer)
        await store.renew(claimer.lease, seconds=100)

        shift_clock(store, timedelta(seconds=50))
        await claimer.exchange()
        shift_clock(store, timedelta(seconds=90))
        kept = await upkeep(store)
        shift_clock(store, timedelta(seconds=20))
        lost = await upkeep(store)

        assert not kept
        assert [one.id for one in lost] == [job.id]

    async def test_opening_again_sets_the_time_anew(self, store: Store) -> None:
        claimer = await Claimer(store).open(seconds=10)
        await running_job(store, claimer)

        await claimer.open(seconds=100)
        shift_clock(store, timedelta(seconds=50))

        assert not await upkeep(store)

    async def test_a_late_renewal_revives_a_lease(self, store: Store) -> None:
        claimer = await Claimer(store).open(seconds=10)
        job = await running_job(store, claimer)
        shift_clock(store, timedelta(hours=1))

        renewal = await store.renew(claimer.lease, seconds=10)

        assert renewal.alive
        assert not await upkeep(store)
        assert not (await claimer.settle(job, Kind.COMPLETE)).rejected

    async def test_a_late_exchange_revives_a_lease(self, store: Store) -> None:
        claimer = await Claimer(store).open(seconds=10)
        job = await running_job(store, claimer)
        shift_clock(store, timedelta(hours=1))

        answer = await claimer.settle(job, Kind.PROGRESS, value=b"1")

        assert not answer.rejected
        assert not await upkeep(store)

    async def test_the_renewal_of_an_unknown_lease_says_so(self, store: Store) -> None:
        renewal = await store.renew(new_lease_id(), seconds=10)

        assert not renewal.alive
        assert not renewal.cancelled

    async def test_a_dead_lease_stays_dead(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        await running_job(store, claimer)
        await die(store, claimer)

        assert not (await store.renew(claimer.lease, seconds=600)).alive
        for attempt in (claimer.open, claimer.exchange, claimer.claim, claimer.open):
            try:
                await attempt()
            except LeaseLost:
                continue
            raise AssertionError(f"{attempt.__name__} did not raise LeaseLost")

    async def test_a_lease_without_jobs_can_die_too(self, store: Store) -> None:
        claimer = await Claimer(store).open()

        assert not await die(store, claimer)
        assert not (await store.renew(claimer.lease, seconds=600)).alive

    async def test_closing_a_lease_gives_its_jobs_back_unharmed(self, store: Store) -> None:
        jobs = make_jobs(3)
        await store.enqueue(jobs)
        claimer = await Claimer(store).open()
        await claimer.claim()

        await store.close_lease(claimer.lease)
        back = await store.get([job.id for job in jobs])
        again = await (await Claimer(store).open()).claim()

        for one in back:
            assert one is not None
            assert (one.status, one.lane) == (Status.PENDING, "default")
            assert (one.rescues, one.attempt, one.snoozes, one.put_backs) == (0, 0, 0, 0)
        assert [one.id for one in again] == [job.id for job in jobs]
        assert {one.delivery for one in again} == {2}

    async def test_a_job_given_back_keeps_its_place_in_the_line(self, store: Store) -> None:
        old, young = make_jobs(2)
        await store.enqueue([old])
        claimer = await Claimer(store).open()
        await claimer.claim_one()
        shift_clock(store, timedelta(seconds=1))
        await store.enqueue([young])

        await store.close_lease(claimer.lease)

        other = await Claimer(store).open()
        assert [one.id for one in await other.claim()] == [old.id, young.id]

    async def test_settled_jobs_do_not_come_back_when_the_lease_is_closed(
        self, store: Store
    ) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        await claimer.settle(job, Kind.COMPLETE)

        await store.close_lease(claimer.lease)

        assert (await look(store, job.id)).status is Status.COMPLETED

    async def test_closing_an_unknown_lease_does_nothing(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)

        await store.close_lease(new_lease_id())

        assert (await look(store, job.id)).status is Status.RUNNING

    async def test_closing_a_lease_twice_does_nothing_more(self, store: Store) -> None:
        first, second = await Claimer(store).open(), await Claimer(store).open()
        job = await running_job(store, first)
        await store.close_lease(first.lease)
        await second.claim_one()

        await store.close_lease(first.lease)

        assert (await look(store, job.id)).status is Status.RUNNING

    async def test_closing_a_dead_lease_does_nothing(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        await store.enqueue(make_jobs(3))
        jobs = await claimer.claim()
        await store.renew(claimer.lease, seconds=1)
        shift_clock(store, timedelta(seconds=2))
        await store.maintain(MaintenancePolicy(limit=1))

        await store.close_lease(claimer.lease)
        await upkeep(store)

        found = await store.get([job.id for job in jobs])
        assert [one and (one.status, one.rescues) for one in found] == [(Status.PENDING, 1)] * 3

    async def test_a_suspect_given_back_is_still_a_suspect(self, store: Store) -> None:
        job = await suspect_job(store)
        claimer = await Claimer(store).open()
        await claimer.claim_one(suspects=1)

        await store.close_lease(claimer.lease)

        stored = await look(store, job.id)
        assert (stored.status, stored.lane, stored.rescues) == (Status.PENDING, "default~", 1)

    async def test_a_job_given_back_may_expire(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer, expires_in_ms=5000)
        shift_clock(store, timedelta(seconds=10))

        await store.close_lease(claimer.lease)
        moved = await upkeep(store)

        assert [(one.id, one.new) for one in moved] == [(job.id, Status.EXPIRED)]

    async def test_two_leases_hold_their_own_jobs(self, store: Store) -> None:
        first, second = await Claimer(store).open(), await Claimer(store).open()
        await store.enqueue([make_job(), make_job()])
        (mine,), (yours,) = await first.claim(1), await second.claim(1)

        await store.close_lease(first.lease)

        assert (await look(store, mine.id)).status is Status.PENDING
        assert (await look(store, yours.id)).status is Status.RUNNING
