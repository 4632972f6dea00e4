"""Completing a job in a transaction with data of the application: both or neither."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any

from litestar_queues_core.errors import LeaseLost
from litestar_queues_core.model import Event, Job, Status
from litestar_queues_core.protocols import Store
from litestar_queues_core.settlements import CancelOutcome, Kind
from litestar_queues_core.testing.claimer import Claimer
from litestar_queues_core.testing.clock import shift_clock
from litestar_queues_core.testing.conformance.abilities import (
    with_event_log,
    with_keys,
    with_signals,
)
from litestar_queues_core.testing.conformance.application import (
    Application,
    RolledBack,
    with_transactions,
)
from litestar_queues_core.testing.conformance.keys import KEY, is_free
from litestar_queues_core.testing.conformance.signals import waiting, woken
from litestar_queues_core.testing.conformance.steps import (
    die,
    look,
    running_job,
    upkeep,
)
from litestar_queues_core.testing.jobs import make_job, settled


async def complete_in(store: Store, session: Any, claimer: Claimer, job: Job) -> None:
    """Complete *job* as the last statement of *session*."""
    settlement = settled(job, Kind.COMPLETE, value=b"1[5]")
    await with_transactions(store).settle_in(session, claimer.lease, settlement)


async def is_lost(store: Store, application: Application, claimer: Claimer, job: Job) -> LeaseLost:
    """Count and complete in one transaction; return the error which that must raise."""
    try:
        async with with_transactions(store).transaction() as session:
            await application.count(session)
            await complete_in(store, session, claimer, job)
    except LeaseLost as error:
        return error
    raise AssertionError("a settlement was applied though its fence does not hold")


async def runs_on(store: Store, job: Job) -> bool:
    """Whether *job* runs, and under the same delivery."""
    found = await look(store, job.id)
    return (found.status, found.delivery) == (Status.RUNNING, job.delivery)


class Completing:
    """:meth:`SupportsTransactions.transaction` and ``settle_in``."""

    async def test_data_and_completion_are_committed_together(
        self, store: Store, application: Application
    ) -> None:
        claimer = await Claimer(store, name="ada").open()
        job = await running_job(store, claimer)
        async with with_transactions(store).transaction() as session:
            await application.count(session)
            await complete_in(store, session, claimer, job)
            before = await look(store, job.id)
        after = await look(store, job.id)
        held = await claimer.exchange()

        assert before.status is Status.RUNNING
        assert (after.status, after.details.result) == (Status.COMPLETED, b"1[5]")
        assert after.details.worker == "ada"
        assert not held.claimed
        assert await application.counted() == 1

    async def test_rolled_back_after_the_settlement_the_job_runs_on(
        self, store: Store, application: Application
    ) -> None:
        with_keys(store)
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer, key=KEY)
        with suppress(RolledBack):
            async with with_transactions(store).transaction() as session:
                await application.count(session)
                await complete_in(store, session, claimer, job)
                raise RolledBack
        untouched = await runs_on(store, job)
        free = await is_free(store)
        answer = await claimer.settle(job, Kind.COMPLETE)

        assert untouched
        assert not free
        assert not answer.rejected
        assert await application.counted() == 0

    async def test_keys_follow_ups_and_events_ride_along(
        self, store: Store, application: Application
    ) -> None:
        log = with_event_log(store)
        with_keys(store)
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer, key=KEY)
        next_job = make_job(key="next", queue="later")
        event = Event(
            job_id=job.id,
            type="job.completed",
            task=job.task,
            queue=job.queue,
            occurred_ms=1,
            delivery=job.delivery,
            sequence=1,
        )
        settlement = settled(job, Kind.COMPLETE, follow_ups=[next_job], closing=event)
        async with with_transactions(store).transaction() as session:
            await with_transactions(store).settle_in(session, claimer.lease, settlement)
        stored, _ = await log.read_events({"job": job.id}, after=None, limit=10)

        assert await is_free(store)
        assert [one.id for one in await claimer.claim()] == [next_job.id]
        assert [one.type for one in stored] == ["job.completed"]

    async def test_progress_can_go_before(self, store: Store, application: Application) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        progress = settled(job, Kind.PROGRESS, value=b'{"current":9}')
        async with with_transactions(store).transaction() as session:
            await with_transactions(store).settle_in(session, claimer.lease, progress)
            await complete_in(store, session, claimer, job)
        after = await look(store, job.id)

        assert (after.status, after.details.progress) == (Status.COMPLETED, b'{"current":9}')

    async def test_the_end_is_signalled_after_the_commit(
        self, store: Store, application: Application
    ) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        end = await waiting(with_signals(store), f"job:{job.id}")
        async with with_transactions(store).transaction() as session:
            await complete_in(store, session, claimer, job)
            early = end.done()

        assert not early
        assert await woken(end)

    async def test_a_dead_lease_undoes_the_data(
        self, store: Store, application: Application
    ) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        await die(store, claimer)

        error = await is_lost(store, application, claimer, job)

        assert (error.lease, error.job) == (claimer.lease, None)
        assert (await look(store, job.id)).status is Status.PENDING
        assert await application.counted() == 0

    async def test_another_delivery_undoes_the_data(
        self, store: Store, application: Application
    ) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        await claimer.settle(job, Kind.RELEASE)
        again = await claimer.claim_one()

        error = await is_lost(store, application, claimer, job)

        assert error.job == job.id
        assert await runs_on(store, again)
        assert await application.counted() == 0

    async def test_a_job_under_another_lease_undoes_the_data(
        self, store: Store, application: Application
    ) -> None:
        claimer, other = await Claimer(store).open(), await Claimer(store).open()
        job = await running_job(store, claimer)

        error = await is_lost(store, application, other, job)

        assert error.job == job.id
        assert await runs_on(store, job)
        assert await application.counted() == 0

    async def test_a_job_that_has_ended_undoes_the_data(
        self, store: Store, application: Application
    ) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        await claimer.settle(job, Kind.COMPLETE)

        assert (await is_lost(store, application, claimer, job)).job == job.id
        assert await application.counted() == 0

    async def test_rescue_waits_for_the_commit_and_then_finds_nothing(
        self, store: Store, application: Application
    ) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        await store.renew(claimer.lease, seconds=1)
        async with with_transactions(store).transaction() as session:
            await application.count(session)
            await complete_in(store, session, claimer, job)
            shift_clock(store, timedelta(seconds=2))
            rescue = asyncio.create_task(upkeep(store))
            await store.get([job.id])
        moved = await rescue

        assert not moved
        assert (await look(store, job.id)).status is Status.COMPLETED
        assert await application.counted() == 1

    async def test_an_exchange_meanwhile_does_not_settle_it_too(
        self, store: Store, application: Application
    ) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        async with with_transactions(store).transaction() as session:
            await complete_in(store, session, claimer, job)
            exchange = asyncio.create_task(claimer.settle(job, Kind.RETRY))
            await store.get([job.id])
        first = await exchange
        second = await claimer.settle(job, Kind.RETRY)

        assert [*first.busy, *first.rejected] == [(job.id, job.delivery)]
        assert list(second.rejected) == [(job.id, job.delivery)]
        assert (await look(store, job.id)).status is Status.COMPLETED

    async def test_a_cancel_after_the_settlement_comes_too_late(
        self, store: Store, application: Application
    ) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        async with with_transactions(store).transaction() as session:
            await complete_in(store, session, claimer, job)
            cancel = asyncio.create_task(store.cancel([job.id], running=True))
            await store.get([job.id])

        assert list(await cancel) == [CancelOutcome.ALREADY_FINISHED]
        assert (await look(store, job.id)).status is Status.COMPLETED

    async def test_a_connection_that_fails_before_the_settlement_undoes_both(
        self, store: Store, application: Application
    ) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        failed = False
        try:
            async with with_transactions(store).transaction() as session:
                await application.count(session)
                await application.cut(session)
                await complete_in(store, session, claimer, job)
        except Exception:  # noqa: BLE001  (of the driver)
            failed = True

        assert failed
        assert await runs_on(store, job)
        assert await application.counted() == 0

    async def test_a_connection_that_fails_after_the_settlement_undoes_both(
        self, store: Store, application: Application
    ) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        failed = False
        try:
            async with with_transactions(store).transaction() as session:
                await application.count(session)
                await complete_in(store, session, claimer, job)
                await application.cut(session)
        except Exception:  # noqa: BLE001  (of the driver)
            failed = True

        assert failed
        assert await runs_on(store, job)
        assert await application.counted() == 0
        assert not (await claimer.settle(job, Kind.COMPLETE)).rejected

    async def test_transactions_of_many_jobs_at_once_each_count_once(
        self, store: Store, application: Application
    ) -> None:
        claimer = await Claimer(store).open()
        jobs = [await running_job(store, claimer) for _ in range(8)]

        async def complete(job: Job) -> None:
            async with with_transactions(store).transaction() as session:
                await application.count(session)
                await complete_in(store, session, claimer, job)

        await asyncio.gather(*map(complete, jobs))
        ended = await store.get([job.id for job in jobs])

        assert {one.status for one in ended if one} == {Status.COMPLETED}
        assert await application.counted() == 8


class CompletingTogether:
    """The same, while others write in between: for databases that let several do so."""

    async def test_a_lease_that_dies_in_between_undoes_the_data(
        self, store: Store, application: Application
    ) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        lost: LeaseLost | None = None
        try:
            async with with_transactions(store).transaction() as session:
                await application.count(session)
                await die(store, claimer)
                await complete_in(store, session, claimer, job)
        except LeaseLost as error:
            lost = error

        assert lost is not None
        assert (await look(store, job.id)).rescues == 1
        assert await application.counted() == 0

    async def test_a_requested_cancel_does_not_undo_a_completion(
        self, store: Store, application: Application
    ) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        async with with_transactions(store).transaction() as session:
            await application.count(session)
            (asked,) = await store.cancel([job.id], running=True)
            await complete_in(store, session, claimer, job)

        assert asked is CancelOutcome.REQUESTED
        assert (await look(store, job.id)).status is Status.COMPLETED
        assert not (await claimer.exchange()).cancelled
