"""What each kind of settlement does, and the fence before it."""

from __future__ import annotations

from litestar_queues_core.ids import new_job_id
from litestar_queues_core.lifecycle import KEPT_ATTEMPTS
from litestar_queues_core.model import Failure, Status
from litestar_queues_core.protocols import Store
from litestar_queues_core.settlements import Kind, Settlement
from litestar_queues_core.testing.claimer import Claimer
from litestar_queues_core.testing.conformance.steps import (
    HOUR,
    WAITING_KINDS,
    look,
    running_job,
    store_now,
)
from litestar_queues_core.testing.jobs import make_job, make_jobs, settled

CRASH = Failure(
    outcome="failed",
    type="ValueError",
    message="no such file: 'Übersicht.txt'\nsecond line 漢字",
    traceback='Traceback (most recent call last):\n  File "x.py", line 1, in <module>\n',
)


class Settling:
    """The settlements of ``exchange``."""

    async def test_complete_ends_a_job_and_keeps_its_result(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        before = await store_now(store)

        await claimer.settle(job, Kind.COMPLETE, value=bytes(range(256)))
        stored = await look(store, job.id)

        assert stored.status is Status.COMPLETED
        assert stored.details.result == bytes(range(256))
        assert stored.details.finished_ms is not None
        assert stored.details.finished_ms >= before
        assert stored.details.worker == "tester"
        assert stored.details.started_ms == job.details.started_ms
        assert (stored.attempt, stored.delivery) == (0, 1)
        assert stored.error is None
        assert stored.new.payload == job.new.payload
        assert not await claimer.claim()

    async def test_a_result_is_dropped_if_the_task_does_not_keep_it(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer, keep_result=False)

        await claimer.settle(job, Kind.COMPLETE, value=b"42")
        stored = await look(store, job.id)

        assert stored.status is Status.COMPLETED
        assert stored.details.result is None

    async def test_fail_ends_a_job_with_evidence(self, store: Store) -> None:
        claimer = await Claimer(store, name="ada").open()
        job = await running_job(store, claimer)

        await claimer.settle(job, Kind.FAIL, failure=CRASH)
        stored = await look(store, job.id)

        assert stored.status is Status.FAILED
        assert stored.attempt == 1
        assert stored.details.finished_ms is not None
        assert stored.error == f"ValueError: {CRASH.message}"
        (record,) = stored.details.errors
        assert (record.delivery, record.worker, record.outcome) == (1, "ada", "failed")
        assert (record.message, record.traceback) == (CRASH.message, CRASH.traceback)
        assert record.started_ms == job.details.started_ms
        assert record.started_ms <= record.finished_ms <= stored.details.finished_ms
        assert not await claimer.claim()

    async def test_retry_with_a_delay_schedules_the_next_attempt(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer, retries=3)
        before = await store_now(store)

        await claimer.settle(job, Kind.RETRY, delay_ms=HOUR, failure=CRASH)
        stored = await look(store, job.id)

        assert stored.status is Status.SCHEDULED
        assert (stored.attempt, stored.snoozes, stored.put_backs, stored.rescues) == (1, 0, 0, 0)
        assert before + HOUR <= stored.due_ms <= await store_now(store) + HOUR
        assert stored.details.finished_ms is None
        assert len(stored.details.errors) == 1
        assert not await claimer.claim()

    async def test_without_a_delay_a_job_can_be_claimed_again_at_once(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        for kind in WAITING_KINDS:
            job = await running_job(store, claimer, queue=kind.value)

            await claimer.settle(job, kind)
            stored = await look(store, job.id)
            again = await claimer.claim_one()

            assert stored.status is Status.PENDING, kind
            assert stored.due_ms <= await store_now(store), kind
            assert (again.id, again.delivery) == (job.id, 2), kind

    async def test_every_kind_counts_what_it_should(self, store: Store) -> None:
        expected = {
            Kind.RETRY: (1, 0, 0),
            Kind.SNOOZE: (0, 1, 0),
            Kind.RELEASE: (0, 0, 0),
            Kind.PUT_BACK: (0, 0, 1),
        }
        claimer = await Claimer(store).open()
        for kind, counts in expected.items():
            job = await running_job(store, claimer, queue=kind.value)

            await claimer.settle(job, kind)
            once = await claimer.claim_one()
            await claimer.settle(once, kind, delay_ms=HOUR)
            twice = await look(store, job.id)

            assert (once.attempt, once.snoozes, once.put_backs) == counts, kind
            assert (twice.attempt, twice.snoozes, twice.put_backs) == tuple(
                2 * one for one in counts
            ), kind
            assert twice.status is Status.SCHEDULED, kind
            assert (twice.rescues, twice.lane) == (0, kind.value), kind

    async def test_a_released_job_keeps_its_place_in_the_line(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        now = await store_now(store)
        old, young = make_job(due_ms=now - 2 * HOUR), make_job(due_ms=now - HOUR)
        await store.enqueue([old, young])
        job = (await claimer.claim(1))[0]

        await claimer.settle(job, Kind.RELEASE)

        assert [one.id for one in await claimer.claim(2)] == [old.id, young.id]

    async def test_cancel_ends_a_job(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)

        answer = await claimer.settle(job, Kind.CANCEL, failure=Failure(outcome="cancelled"))
        stored = await look(store, job.id)

        assert not answer.rejected
        assert stored.status is Status.CANCELLED
        assert stored.attempt == 0
        assert stored.details.finished_ms is not None
        assert not await claimer.claim()

    async def test_progress_is_a_step_and_no_end(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)

        await claimer.settle(job, Kind.PROGRESS, value=b'{"current":1}')
        await claimer.settle(job, Kind.PROGRESS, value=b'{"current":2}')
        midway = await look(store, job.id)
        end = await claimer.settle(job, Kind.COMPLETE, value=b"done")

        assert midway.status is Status.RUNNING
        assert midway.details.progress == b'{"current":2}'
        assert (midway.attempt, midway.delivery) == (0, 1)
        assert not end.rejected
        assert (await look(store, job.id)).details.result == b"done"

    async def test_progress_and_end_may_come_in_one_exchange(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)

        answer = await claimer.exchange(
            [settled(job, Kind.PROGRESS, value=b"9"), settled(job, Kind.COMPLETE, value=b"10")]
        )
        stored = await look(store, job.id)

        assert not answer.rejected
        assert (stored.details.progress, stored.details.result) == (b"9", b"10")

    async def test_the_last_ten_attempt_records_are_kept_in_order(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        await store.enqueue([make_job(retries=99)])

        for number in range(1, 13):
            job = await claimer.claim_one()
            await claimer.settle(
                job, Kind.RETRY, failure=Failure(outcome="failed", message=f"no. {number}")
            )
        job = await claimer.claim_one()

        wanted = [f"no. {number}" for number in range(3, 13)]
        assert len(wanted) == KEPT_ATTEMPTS
        assert job.attempt == 12
        assert [one.message for one in job.details.errors] == wanted
        assert [one.message for one in (await look(store, job.id)).details.errors] == wanted
        assert [one.delivery for one in job.details.errors] == list(range(3, 13))

    async def test_evidence_stays_with_its_job(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        await store.enqueue(make_jobs(3))
        unlucky = (await claimer.claim(3))[1]
        await claimer.settle(unlucky, Kind.RETRY, failure=CRASH)
        await store.close_lease(claimer.lease)

        claimed = await (await Claimer(store).open()).claim(3)

        assert {one.id: len(one.details.errors) for one in claimed} == {
            one.id: int(one.id == unlucky.id) for one in claimed
        }
        assert len(claimed) == 3

    async def test_a_settlement_without_failure_leaves_no_record(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)

        await claimer.settle(job, Kind.SNOOZE, delay_ms=HOUR)

        assert not (await look(store, job.id)).details.errors

    async def test_earlier_evidence_survives_success(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        await claimer.settle(job, Kind.RETRY, failure=CRASH)

        await claimer.settle(await claimer.claim_one(), Kind.COMPLETE)
        stored = await look(store, job.id)

        assert [one.type for one in stored.details.errors] == ["ValueError"]
        assert stored.error is None

    async def test_follow_ups_are_enqueued_with_the_settlement(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        now_due, later = make_job(payload=b"follow"), make_job(delay_ms=HOUR)

        await claimer.settle(job, Kind.COMPLETE, follow_ups=[now_due, later])
        follower = await claimer.claim_one()

        assert (follower.id, follower.new.payload) == (now_due.id, b"follow")
        assert (await look(store, later.id)).status is Status.SCHEDULED

    async def test_a_settlement_that_is_rejected_leaves_no_trace(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        follow_up = make_job()
        late = Settlement(
            id=job.id,
            delivery=job.delivery + 1,
            kind=Kind.COMPLETE,
            value=b"late",
            failure=CRASH,
            follow_ups=[follow_up],
        )

        answer = await claimer.exchange([late])
        stored = await look(store, job.id)

        assert list(answer.rejected) == [(job.id, job.delivery + 1)]
        assert stored.status is Status.RUNNING
        assert stored.details.result is None
        assert not stored.details.errors
        assert await store.get([follow_up.id]) == [None]

    async def test_a_job_is_settled_once(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)

        first = await claimer.settle(job, Kind.COMPLETE, value=b"first")
        second = await claimer.settle(job, Kind.FAIL, failure=CRASH)
        stored = await look(store, job.id)

        assert not first.rejected
        assert list(second.rejected) == [(job.id, 1)]
        assert (stored.status, stored.details.result) == (Status.COMPLETED, b"first")

    async def test_of_two_ends_in_one_exchange_the_first_counts(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)

        answer = await claimer.exchange(
            [settled(job, Kind.COMPLETE, value=b"first"), settled(job, Kind.FAIL, failure=CRASH)]
        )

        assert list(answer.rejected) == [(job.id, 1)]
        assert (await look(store, job.id)).status is Status.COMPLETED

    async def test_only_the_lease_that_holds_a_job_can_settle_it(self, store: Store) -> None:
        holder, stranger = await Claimer(store).open(), await Claimer(store).open()
        job = await running_job(store, holder)

        for kind in (*WAITING_KINDS, Kind.COMPLETE, Kind.FAIL, Kind.CANCEL, Kind.PROGRESS):
            answer = await stranger.settle(job, kind, value=b"x")
            assert list(answer.rejected) == [(job.id, 1)], kind

        stored = await look(store, job.id)
        assert (stored.status, stored.details.progress) == (Status.RUNNING, None)
        assert not (await holder.settle(job, Kind.COMPLETE)).rejected

    async def test_an_earlier_delivery_cannot_settle_a_later_one(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        first = await running_job(store, claimer)
        await claimer.settle(first, Kind.RELEASE)
        second = await claimer.claim_one()

        answer = await claimer.settle(first, Kind.COMPLETE, value=b"old")

        assert list(answer.rejected) == [(first.id, 1)]
        assert (await look(store, first.id)).status is Status.RUNNING
        assert not (await claimer.settle(second, Kind.COMPLETE)).rejected

    async def test_a_waiting_job_cannot_be_settled(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        await claimer.settle(job, Kind.RELEASE)

        answer = await claimer.settle(job, Kind.COMPLETE)

        assert list(answer.rejected) == [(job.id, 1)]
        assert (await look(store, job.id)).status is Status.PENDING

    async def test_a_rejected_settlement_harms_no_neighbour(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        await store.enqueue(make_jobs(3))
        jobs = await claimer.claim()
        unknown = Settlement(id=new_job_id(), delivery=1, kind=Kind.COMPLETE)

        answer = await claimer.exchange(
            [unknown, *(settled(job, Kind.COMPLETE) for job in jobs), unknown]
        )

        assert list(answer.rejected) == [(unknown.id, 1)] * 2
        found = await store.get([job.id for job in jobs])
        assert {one and one.status for one in found} == {Status.COMPLETED}

    async def test_many_settlements_of_all_kinds_go_in_one_exchange(self, store: Store) -> None:
        claimer = await Claimer(store).open()
        await store.enqueue(make_jobs(490))
        jobs = await claimer.claim(490)
        ends = {
            Kind.COMPLETE: Status.COMPLETED,
            Kind.FAIL: Status.FAILED,
            Kind.CANCEL: Status.CANCELLED,
            Kind.RETRY: Status.SCHEDULED,
            Kind.SNOOZE: Status.SCHEDULED,
            Kind.RELEASE: Status.PENDING,
            Kind.PUT_BACK: Status.SCHEDULED,
        }
        kinds = list(ends) * 70
        delays = {kind: HOUR for kind, status in ends.items() if status is Status.SCHEDULED}

        answer = await claimer.exchange(
            [
                settled(job, kind, delay_ms=delays.get(kind, 0))
                for job, kind in zip(jobs, kinds, strict=True)
            ]
        )
        found = await store.get([job.id for job in jobs])

        assert not answer.rejected
        assert [one and one.status for one in found] == [ends[kind] for kind in kinds]
