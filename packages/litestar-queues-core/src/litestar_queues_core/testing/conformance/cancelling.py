"""Cancelling what waits and what runs.  Cancel beats waiting."""

from __future__ import annotations

from litestar_queues_core.ids import new_job_id
from litestar_queues_core.model import Status
from litestar_queues_core.protocols import Store
from litestar_queues_core.settlements import CancelOutcome, Kind
from litestar_queues_core.testing.claimer import Claimer
from litestar_queues_core.testing.conformance.steps import (
    HOUR,
    WAITING_KINDS,
    die,
    look,
    running_job,
)
from litestar_queues_core.testing.jobs import make_job


class Cancelling:
    """``cancel`` and the cancel rule."""

    async def test_cancel_says_what_it_did_with_each(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        finished = await running_job(store, claimer)
        await claimer.settle(finished, Kind.COMPLETE)
        running = await running_job(store, claimer)
        pending, scheduled = make_job(), make_job(delay_ms=HOUR)
        await store.enqueue([pending, scheduled])

        outcomes = await store.cancel(
            [new_job_id(), running.id, pending.id, finished.id, scheduled.id], running=True
        )

        assert list(outcomes) == [
            CancelOutcome.NOT_FOUND,
            CancelOutcome.REQUESTED,
            CancelOutcome.CANCELLED,
            CancelOutcome.ALREADY_FINISHED,
            CancelOutcome.CANCELLED,
        ]

    async def test_a_waiting_job_ends_at_once_and_is_not_handed_out(self, store: Store) -> None:
        first, cancelled, last = make_job(), make_job(), make_job()
        await store.enqueue([first, cancelled, last])
        claimer = await Claimer(store).open()

        await store.cancel([cancelled.id], running=False)
        stored = await look(store, cancelled.id)

        assert stored.status is Status.CANCELLED
        assert stored.details.finished_ms is not None
        assert [one.id for one in await claimer.claim()] == [first.id, last.id]

    async def test_a_running_job_is_left_alone_if_asked(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)

        (outcome,) = await store.cancel([job.id], running=False)
        answer = await claimer.exchange()
        await claimer.settle(job, Kind.RELEASE)

        assert outcome is CancelOutcome.NOT_WAITING
        assert not answer.cancelled
        assert (await look(store, job.id)).status is Status.PENDING

    async def test_a_request_can_be_seen_on_the_job(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)

        await store.cancel([job.id], running=True)
        stored = await look(store, job.id)

        assert stored.status is Status.RUNNING
        assert stored.details.cancel_requested

    async def test_a_request_reaches_the_holder_and_nobody_else(self, store: Store) -> None:
        holder, other = await Claimer(store).open(), await Claimer(store).open()
        job = await running_job(store, holder)
        await running_job(store, other)

        await store.cancel([job.id], running=True)

        assert list((await holder.exchange()).cancelled) == [job.id]
        assert list((await holder.replay()).cancelled) == [job.id]
        assert list((await store.renew(holder.lease, seconds=600)).cancelled) == [job.id]
        assert not (await other.exchange()).cancelled
        assert not (await store.renew(other.lease, seconds=600)).cancelled

    async def test_a_request_is_told_until_the_job_is_settled(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        await store.cancel([job.id], running=True)

        told = [list((await claimer.exchange()).cancelled) for _ in range(2)]
        await claimer.settle(job, Kind.CANCEL)

        assert told == [[job.id]] * 2
        assert not (await claimer.exchange()).cancelled
        assert not (await store.renew(claimer.lease, seconds=600)).cancelled

    async def test_cancelling_twice_is_no_error(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        waiting = make_job()
        await store.enqueue([waiting])

        first = await store.cancel([job.id, waiting.id, waiting.id], running=True)
        second = await store.cancel([job.id, waiting.id], running=True)

        assert list(first) == [
            CancelOutcome.REQUESTED,
            CancelOutcome.CANCELLED,
            CancelOutcome.ALREADY_FINISHED,
        ]
        assert list(second) == [CancelOutcome.REQUESTED, CancelOutcome.ALREADY_FINISHED]

    async def test_cancel_beats_every_way_of_waiting_again(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        for kind in WAITING_KINDS:
            for delay_ms in (0, HOUR):
                job = await running_job(store, claimer)
                await store.cancel([job.id], running=True)
                follow_up = make_job()

                answer = await claimer.settle(job, kind, delay_ms=delay_ms, follow_ups=[follow_up])
                stored = await look(store, job.id)

                assert list(answer.ended) == [(job.id, job.delivery)], kind
                assert not answer.rejected, kind
                assert stored.status is Status.CANCELLED, kind
                assert stored.details.finished_ms is not None, kind
                assert await store.get([follow_up.id]) == [None], kind
                assert not await claimer.claim(), kind

    async def test_completed_and_failed_stand_against_a_request(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        for kind, status in ((Kind.COMPLETE, Status.COMPLETED), (Kind.FAIL, Status.FAILED)):
            job = await running_job(store, claimer)
            await store.cancel([job.id], running=True)
            follow_up = make_job(delay_ms=HOUR)

            answer = await claimer.settle(job, kind, value=b"1", follow_ups=[follow_up])

            assert not answer.ended, kind
            assert (await look(store, job.id)).status is status
            assert (await look(store, follow_up.id)).status is Status.SCHEDULED

    async def test_cancel_beats_giving_back_at_the_close_of_a_lease(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        cancelled = await running_job(store, claimer)
        other = await running_job(store, claimer)
        await store.cancel([cancelled.id], running=True)

        await store.close_lease(claimer.lease)

        assert (await look(store, cancelled.id)).status is Status.CANCELLED
        assert (await look(store, other.id)).status is Status.PENDING

    async def test_cancel_beats_a_rescue(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        await store.cancel([job.id], running=True)

        (moved,) = await die(store, claimer)

        stored = await look(store, job.id)
        assert (moved.id, moved.old, moved.new) == (job.id, Status.RUNNING, Status.CANCELLED)
        assert stored.status is Status.CANCELLED
        assert [one.outcome for one in stored.details.errors] == ["rescued"]

    async def test_many_jobs_are_cancelled_at_once(self, store: Store) -> None:
        jobs = [make_job() for _ in range(600)]
        await store.enqueue(jobs)

        outcomes = await store.cancel([job.id for job in jobs], running=True)
        claimer = await Claimer(store).open()

        assert set(outcomes) == {CancelOutcome.CANCELLED}
        assert not await claimer.claim()
