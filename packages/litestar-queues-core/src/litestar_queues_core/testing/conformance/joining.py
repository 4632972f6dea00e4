"""Enqueueing inside a transaction of the application."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from litestar_queues_core.errors import KeyBusyError, KeyConflictError
from litestar_queues_core.model import NewJob, Status
from litestar_queues_core.protocols import Store
from litestar_queues_core.settlements import Enqueued, Kind
from litestar_queues_core.testing.claimer import Claimer
from litestar_queues_core.testing.conformance.abilities import with_keys, with_signals
from litestar_queues_core.testing.conformance.application import (
    Application,
    BlockingApplication,
    RolledBack,
    with_transactions,
)
from litestar_queues_core.testing.conformance.keys import KEY, is_free
from litestar_queues_core.testing.conformance.signals import waiting, woken
from litestar_queues_core.testing.conformance.steps import look, running_job
from litestar_queues_core.testing.jobs import make_job, make_jobs


async def enqueue_in(store: Store, session: Any, job: NewJob) -> Enqueued:
    """Enqueue one job in the transaction of *session*."""
    (answer,) = await with_transactions(store).enqueue_in(session, [job])
    return answer


class Joining:
    """:meth:`SupportsTransactions.enqueue_in`."""

    async def test_a_committed_job_is_there_with_the_data(
        self, store: Store, application: Application
    ) -> None:
        job = make_job(payload=b"1[7]", queue="mail", priority=3)
        async with application.transaction() as session:
            await application.count(session)
            answer = await enqueue_in(store, session, job)
            before = await store.get([job.id])
        claimer = await Claimer(store).open()
        claimed = await claimer.claim_one()

        assert answer == Enqueued(job.id)
        assert list(before) == [None]
        assert (claimed.id, claimed.new.payload, claimed.queue) == (job.id, b"1[7]", "mail")
        assert await application.counted() == 1

    async def test_rolled_back_means_no_job_and_no_key(
        self, store: Store, application: Application
    ) -> None:
        job = make_job(key=KEY)
        answers: list[Enqueued] = []
        with suppress(RolledBack):
            async with application.transaction() as session:
                await application.count(session)
                answers.append(await enqueue_in(store, session, job))
                raise RolledBack
        claimer = await Claimer(store).open()

        assert answers == [Enqueued(job.id)]
        assert list(await store.get([job.id])) == [None]
        assert not await claimer.claim()
        assert await is_free(store)
        assert await application.counted() == 0

    async def test_a_scheduled_job_waits(self, store: Store, application: Application) -> None:
        job = make_job(delay_ms=60_000)
        async with application.transaction() as session:
            answer = await enqueue_in(store, session, job)

        assert answer.status is Status.SCHEDULED
        assert (await look(store, job.id)).status is Status.SCHEDULED

    async def test_workers_are_woken_after_the_commit_and_not_before(
        self, store: Store, application: Application
    ) -> None:
        lane = await waiting(with_signals(store), "lane:mail")

        async with application.transaction() as session:
            await enqueue_in(store, session, make_job(queue="mail"))
            await store.get([make_job().id])
            early = lane.done()

        assert not early
        assert await woken(lane)

    async def test_all_of_a_batch_are_answered_in_order(
        self, store: Store, application: Application
    ) -> None:
        with_keys(store)
        jobs = [make_job(), make_job(key="b"), make_job(), make_job(key="a"), make_job(key="b")]
        async with application.transaction() as session:
            answers = await with_transactions(store).enqueue_in(session, jobs)

        assert [one.id for one in answers] == [*(job.id for job in jobs[:4]), jobs[1].id]
        assert [one.created for one in answers] == [True] * 4 + [False]

    async def test_a_large_batch_is_taken(self, store: Store, application: Application) -> None:
        jobs = make_jobs(1000)
        async with application.transaction() as session:
            answers = await with_transactions(store).enqueue_in(session, jobs)

        assert [one.id for one in answers] == [job.id for job in jobs]
        assert all(await store.get([job.id for job in jobs]))

    async def test_an_id_is_taken_once(self, store: Store, application: Application) -> None:
        claimer = await Claimer(store).open()
        ended = await running_job(store, claimer)
        await claimer.settle(ended, Kind.COMPLETE)
        waits = make_job()
        await store.enqueue([waits])

        async with application.transaction() as session:
            answers = await with_transactions(store).enqueue_in(session, [ended.new, waits])

        assert [one.id for one in answers] == [ended.id, waits.id]
        assert [one.id for one in await claimer.claim()] == [waits.id]

    async def test_a_held_key_gives_its_job_and_the_transaction_goes_on(
        self, store: Store, application: Application
    ) -> None:
        with_keys(store)
        (holder,) = await store.enqueue([make_job(key=KEY)])
        async with application.transaction() as session:
            await application.count(session)
            other = await enqueue_in(store, session, make_job(key="another"))
            again = await enqueue_in(store, session, make_job(key="another"))
            known = await enqueue_in(store, session, make_job(key=KEY))
            conflict = await enqueue_in(store, session, make_job(key=KEY, task="tests.other"))
            await application.count(session)

        assert (again.id, again.created) == (other.id, False)
        assert (known.id, known.created, known.error) == (holder.id, False, None)
        assert isinstance(conflict.error, KeyConflictError)
        assert await application.counted() == 2

    async def test_a_key_that_an_open_transaction_has_is_waited_for(
        self, store: Store, application: Application
    ) -> None:
        with_keys(store)
        first, second = make_job(key=KEY), make_job(key=KEY)

        async def follow() -> Enqueued:
            async with application.transaction() as session:
                return await enqueue_in(store, session, second)

        async with application.transaction() as session:
            await enqueue_in(store, session, first)
            following = asyncio.create_task(follow())
            await store.get([first.id])
            early = following.done()
        answer = await following

        assert not early
        assert (answer.id, answer.created) == (first.id, False)

    async def test_a_key_of_a_transaction_that_is_rolled_back_goes_to_who_waits(
        self, store: Store, application: Application
    ) -> None:
        with_keys(store)
        first, second = make_job(key=KEY), make_job(key=KEY)

        async def follow() -> Enqueued:
            async with application.transaction() as session:
                return await enqueue_in(store, session, second)

        following: list[asyncio.Task[Enqueued]] = []
        with suppress(RolledBack):
            async with application.transaction() as session:
                await enqueue_in(store, session, first)
                following.append(asyncio.create_task(follow()))
                await store.get([first.id])
                raise RolledBack
        answer = await following[0]

        assert (answer.id, answer.created) == (second.id, True)

    async def test_of_many_who_want_one_key_at_once_one_gets_it(
        self, store: Store, application: Application
    ) -> None:
        with_keys(store)

        async def enqueue() -> Enqueued:
            async with application.transaction() as session:
                await application.count(session)
                return await enqueue_in(store, session, make_job(key=KEY))

        answers: list[Enqueued] = await asyncio.gather(*(enqueue() for _ in range(4)))

        assert sum(one.created for one in answers) == 1
        assert len({one.id for one in answers}) == 1
        assert await application.counted() == 4

    async def test_what_is_no_session_is_not_accepted(self, store: Store) -> None:
        transactions = with_transactions(store)

        assert not transactions.accepts(object())
        assert transactions.sessions

    async def test_a_session_of_the_application_is_accepted(
        self, store: Store, application: Application
    ) -> None:
        async with application.transaction() as session:
            assert with_transactions(store).accepts(session)


class JoiningTogether:
    """The same, while another transaction has written: for databases that let several do so."""

    async def test_a_key_that_stays_locked_is_busy_and_the_transaction_goes_on(
        self, store: Store, application: Application
    ) -> None:
        with_keys(store)
        async with application.transaction() as session:
            await enqueue_in(store, session, make_job(key=KEY))
            async with application.transaction() as other:
                await application.count(other)
                busy = await enqueue_in(store, other, make_job(key=KEY))
                await enqueue_in(store, other, make_job(key="free"))

        assert isinstance(busy.error, KeyBusyError)
        assert await application.counted() == 1
        assert not await is_free(store, "free")


class BlockingJoining:
    """:meth:`SupportsTransactions.enqueue_in_sync`, in a thread."""

    async def test_a_job_of_a_blocking_session_is_there_once_it_has_committed(
        self, store: Store, blocking: BlockingApplication
    ) -> None:
        transactions = with_transactions(store)
        lane = await waiting(with_signals(store), "lane:mail")
        jobs = [make_job(queue="mail", key=KEY), make_job(queue="mail")]

        def enqueue() -> list[Enqueued]:
            with blocking.transaction() as session:
                blocking.count(session)
                return list(transactions.enqueue_in_sync(session, jobs))

        answers = await asyncio.to_thread(enqueue)

        assert answers == [Enqueued(job.id) for job in jobs]
        assert await woken(lane)
        assert len(await (await Claimer(store).open()).claim()) == 2
        assert await asyncio.to_thread(blocking.counted) == 1

    async def test_a_job_of_a_blocking_session_that_rolls_back_is_not_there(
        self, store: Store, blocking: BlockingApplication
    ) -> None:
        transactions = with_transactions(store)
        job = make_job(key=KEY)

        def enqueue() -> None:
            with suppress(RolledBack), blocking.transaction() as session:
                blocking.count(session)
                transactions.enqueue_in_sync(session, [job])
                raise RolledBack

        await asyncio.to_thread(enqueue)

        assert list(await store.get([job.id])) == [None]
        assert await is_free(store)
        assert await asyncio.to_thread(blocking.counted) == 0
