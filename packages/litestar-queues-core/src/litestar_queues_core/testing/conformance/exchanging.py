"""Exchanges: numbers, replays, and leases that are not there."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from litestar_queues_core.errors import LeaseLost, StaleExchange
from litestar_queues_core.ids import new_job_id
from litestar_queues_core.model import Failure, Status
from litestar_queues_core.protocols import Store
from litestar_queues_core.settlements import NOTHING, Kind, MaintenancePolicy, Settlement, Wants
from litestar_queues_core.testing.claimer import Claimer
from litestar_queues_core.testing.clock import shift_clock
from litestar_queues_core.testing.conformance.steps import HOUR, look, running_job, store_now
from litestar_queues_core.testing.jobs import make_job, make_jobs, settled

PLENTY = Wants(limit=10, others=10)


async def refused(store: Store, claimer: Claimer, settlement: Settlement) -> bool:
    """Whether an exchange with the lease of *claimer* raises ``LeaseLost``."""
    with suppress(LeaseLost):
        await store.exchange(claimer.lease, 1000, [settlement], PLENTY)
        return False
    return True


class Exchanging:
    """``exchange`` as such."""

    async def test_an_empty_exchange_tells_the_time_and_nothing_else(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        before = await store_now(store)

        first, again = await claimer.exchange(), await claimer.replay()

        for answer in (first, again):
            assert answer.now_ms >= before
            assert not answer.claimed
            assert not answer.rejected
            assert not answer.busy
            assert not answer.ended
            assert not answer.cancelled
            assert answer.next_due_ms is None

    async def test_an_exchange_that_wants_nothing_claims_nothing(self, store: Store) -> None:
        await store.enqueue([make_job()])
        claimer = await Claimer(store).open()

        answer = await claimer.exchange(wants=NOTHING)

        assert not answer.claimed

    async def test_a_replay_applies_nothing_twice(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        follow_up = make_job(queue="later")
        retry = settled(job, Kind.RETRY, failure=Failure(outcome="failed"), follow_ups=[follow_up])

        first = await claimer.exchange([retry])
        again = await claimer.replay([retry])
        stored = await look(store, job.id)

        assert not first.rejected
        assert not again.rejected
        assert (stored.attempt, stored.delivery) == (1, 1)
        assert len(stored.details.errors) == 1
        assert len(await claimer.claim(lanes=[("later", 9)], others=0)) == 1

    async def test_a_replay_does_not_settle_a_job_claimed_since(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        release = settled(job, Kind.RELEASE)

        first = await claimer.exchange([release], PLENTY)
        again = await claimer.replay([release], PLENTY)

        assert [(one.id, one.delivery) for one in first.claimed] == [(job.id, 2)]
        assert [(one.id, one.delivery) for one in again.claimed] == [(job.id, 2)]
        assert (await look(store, job.id)).status is Status.RUNNING

    async def test_a_replay_repeats_what_was_rejected(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        batch = [
            settled(job, Kind.COMPLETE),
            Settlement(id=job.id, delivery=7, kind=Kind.FAIL),
            Settlement(id=new_job_id(), delivery=1, kind=Kind.FAIL),
        ]

        first = await claimer.exchange(batch)
        again = await claimer.replay(batch)

        assert sorted(first.rejected) == sorted((one.id, one.delivery) for one in batch[1:])
        assert sorted(again.rejected) == sorted(first.rejected)
        assert sorted(again.busy) == sorted(first.busy)
        assert (await look(store, job.id)).status is Status.COMPLETED

    async def test_a_replay_repeats_what_the_cancel_rule_ended(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        await store.cancel([job.id], running=True)
        retry = settled(job, Kind.RETRY)

        first = await claimer.exchange([retry])
        again = await claimer.replay([retry])

        assert list(first.ended) == list(again.ended) == [(job.id, 1)]

    async def test_a_replay_returns_all_jobs_the_lease_holds(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        other = await Claimer(store).open()
        await store.enqueue(make_jobs(6))
        settled_since = (await claimer.claim(1))[0]
        kept = (await claimer.claim(1))[0]
        await other.claim(1)
        wants = Wants(limit=2, others=2)

        first = await claimer.exchange([settled(settled_since, Kind.COMPLETE)], wants)
        again = await claimer.replay([settled(settled_since, Kind.COMPLETE)], wants)

        assert len(first.claimed) == 2
        assert {one.id for one in again.claimed} == {kept.id, *(one.id for one in first.claimed)}
        assert all(one.delivery == 1 for one in again.claimed)
        assert all(one.status is Status.RUNNING for one in again.claimed)

    async def test_an_exchange_that_did_nothing_is_not_remembered(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        stale = settled(await running_job(store, await Claimer(store).open()), Kind.COMPLETE)
        await claimer.exchange([stale])
        last = claimer.seq

        nothing = await claimer.exchange()
        again = await store.exchange(claimer.lease, last, [stale], PLENTY)

        assert not nothing.rejected
        assert list(again.rejected) == [(stale.id, stale.delivery)]
        assert [one.id for one in again.claimed] == [job.id]

    async def test_a_replay_claims_nothing_new(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        await store.enqueue(make_jobs(3))
        first = await claimer.exchange(wants=Wants(limit=1, others=1))

        again = await claimer.replay(wants=PLENTY)
        left = await claimer.claim()

        assert [one.id for one in again.claimed] == [one.id for one in first.claimed]
        assert len(left) == 2

    async def test_an_older_exchange_is_stale_and_changes_nothing(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        await store.enqueue([make_job()])
        claimer.seq = 10
        await claimer.claim(1)
        await store.enqueue([make_job()])

        try:
            await store.exchange(claimer.lease, 9, [settled(job, Kind.COMPLETE)], PLENTY)
        except StaleExchange:
            stale = True
        else:
            stale = False

        assert stale
        assert (await look(store, job.id)).status is Status.RUNNING
        assert len(await claimer.claim()) == 1

    async def test_a_stale_exchange_keeps_no_lease_alive(self, store: Store) -> None:
        claimer = await Claimer(store).open(seconds=60)
        claimer.seq = 10
        job = await running_job(store, claimer)
        shift_clock(store, timedelta(seconds=200))

        with suppress(StaleExchange):
            await store.exchange(claimer.lease, claimer.seq - 1, [], NOTHING)
        await store.maintain(MaintenancePolicy())

        assert (await look(store, job.id)).status is Status.PENDING

    async def test_a_gap_in_the_numbers_is_legal(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        claimer.seq += 1000

        await claimer.settle(job, Kind.COMPLETE)

        assert (await look(store, job.id)).status is Status.COMPLETED

    async def test_every_lease_has_numbers_of_its_own(self, store: Store) -> None:
        first, second = await Claimer(store).open(), await Claimer(store).open()
        first.seq = 50
        await store.enqueue(make_jobs(2))

        assert len(await first.claim(1)) == 1
        assert len(await second.claim(1)) == 1

    async def test_an_unknown_lease_is_lost_and_changes_nothing(self, store: Store) -> None:
        holder, stranger = await Claimer(store).open(), Claimer(store)
        job = await running_job(store, holder)
        waiting = make_job()
        await store.enqueue([waiting])

        lost = await refused(store, stranger, settled(job, Kind.COMPLETE))

        assert lost
        assert (await look(store, job.id)).status is Status.RUNNING
        assert (await look(store, waiting.id)).status is Status.PENDING

    async def test_a_closed_lease_is_lost(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        await store.close_lease(claimer.lease)

        lost = await refused(store, claimer, settled(job, Kind.COMPLETE))

        assert lost
        assert (await look(store, job.id)).status is Status.PENDING

    async def test_what_is_settled_is_free_for_the_claims_of_the_exchange(
        self, store: Store
    ) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)

        answer = await claimer.exchange([settled(job, Kind.RELEASE)], PLENTY)

        assert [(one.id, one.delivery) for one in answer.claimed] == [(job.id, 2)]

    async def test_the_next_due_time_is_told(self, store: Store) -> None:
        now = await store_now(store)
        await store.enqueue([make_job(due_ms=now + 2 * HOUR), make_job(due_ms=now + HOUR)])
        claimer = await Claimer(store).open()

        assert (await claimer.exchange()).next_due_ms == now + HOUR
