"""Taking jobs, and giving them back unchanged."""

from __future__ import annotations

import asyncio
from typing import Any

from litestar_queues_core.ids import new_job_id
from litestar_queues_core.model import Backoff, JobMeta, Status
from litestar_queues_core.protocols import Store
from litestar_queues_core.settlements import Kind
from litestar_queues_core.testing.claimer import Claimer
from litestar_queues_core.testing.conformance.steps import HOUR, MINUTE, look, store_now
from litestar_queues_core.testing.jobs import make_job, make_jobs

EVERY_OPTION: dict[str, Any] = {
    "task": "files.process",
    "queue": "files/big",
    "priority": -7,
    "timeout": 12.5,
    "retries": 4,
    "backoff": Backoff(first=0.5, factor=3.0, ceiling=60.0, jitter=0.25),
    "max_rescues": 9,
    "keep_result": False,
    "description": 'Process "one" file — 处理文件 🗂',
    "log_level": "debug",
    "quiet_success": True,
    "execution_backend": "cloudrun",
    "execution_profile": "worker-heavy",
}


class Enqueueing:
    """``enqueue`` and ``get``."""

    async def test_an_enqueued_job_waits_in_its_lane(self, store: Store) -> None:
        job = make_job(queue="mail", priority=3)
        before = await store_now(store)

        (answer,) = await store.enqueue([job])
        stored = await look(store, job.id)
        after = await store_now(store)

        assert (answer.id, answer.created, answer.error) == (job.id, True, None)
        assert answer.status is stored.status is Status.PENDING
        assert (stored.lane, stored.priority) == ("mail", 3)
        assert (stored.attempt, stored.delivery, stored.rescues) == (0, 0, 0)
        assert before <= stored.due_ms <= after
        assert before <= stored.details.enqueued_ms <= after
        assert stored.expires_ms is None
        assert stored.details.finished_ms is stored.details.started_ms is None

    async def test_a_job_due_later_is_scheduled(self, store: Store) -> None:
        now = await store_now(store)
        delayed, dated = make_job(delay_ms=HOUR), make_job(due_ms=now + HOUR, delay_ms=1)

        answers = await store.enqueue([delayed, dated])

        assert [one.status for one in answers] == [Status.SCHEDULED] * 2
        assert (await look(store, delayed.id)).status is Status.SCHEDULED
        assert now + HOUR <= (await look(store, delayed.id)).due_ms <= now + HOUR + MINUTE
        assert (await look(store, dated.id)).due_ms == now + HOUR

    async def test_a_job_due_in_the_past_is_pending(self, store: Store) -> None:
        due = await store_now(store) - HOUR
        job = make_job(due_ms=due)

        (answer,) = await store.enqueue([job])

        assert answer.status is Status.PENDING
        assert (await look(store, job.id)).due_ms == due

    async def test_an_instant_of_expiry_beats_a_time_to_expiry(self, store: Store) -> None:
        now = await store_now(store)
        counted = make_job(due_ms=now + HOUR, expires_in_ms=MINUTE)
        dated = make_job(expires_ms=now + HOUR, expires_in_ms=MINUTE)

        await store.enqueue([counted, dated])

        assert (await look(store, counted.id)).expires_ms == now + HOUR + MINUTE
        assert (await look(store, dated.id)).expires_ms == now + HOUR

    async def test_answers_come_in_the_order_of_the_requests(self, store: Store) -> None:
        jobs = make_jobs(20)
        mixed = jobs[::2] + jobs[1::2]

        answers = await store.enqueue(mixed)
        found = await store.get([job.id for job in mixed])

        assert [one.id for one in answers] == [job.id for job in mixed]
        assert [one and one.id for one in found] == [job.id for job in mixed]

    async def test_empty_batches_are_no_error(self, store: Store) -> None:
        assert not await store.enqueue([])
        assert not await store.get([])
        assert not await store.cancel([], running=True)

    async def test_an_unknown_id_is_none_in_its_place(self, store: Store) -> None:
        job = make_job()
        await store.enqueue([job])

        first, second, third = await store.get([new_job_id(), job.id, new_job_id()])

        assert first is third is None
        assert second is not None
        assert second.id == job.id

    async def test_an_id_may_be_asked_for_twice(self, store: Store) -> None:
        job = make_job()
        await store.enqueue([job])

        first, second = await store.get([job.id, job.id])

        assert first == second
        assert first is not None

    async def test_a_known_id_is_not_taken_twice(self, store: Store) -> None:
        job = make_job()
        await store.enqueue([job])

        again = await store.enqueue([job, job])
        claimer = await Claimer(store).open()
        claimed = await claimer.claim()

        assert [(one.id, one.created, one.error) for one in again] == [(job.id, True, None)] * 2
        assert [one.id for one in claimed] == [job.id]

    async def test_an_id_given_twice_in_a_batch_is_one_job(self, store: Store) -> None:
        job = make_job()

        answers = await store.enqueue([job, make_job(), job])
        claimer = await Claimer(store).open()
        claimed = await claimer.claim()

        assert [one.created for one in answers] == [True] * 3
        assert len(claimed) == 2

    async def test_an_id_known_as_running_or_finished_is_not_taken_again(
        self, store: Store
    ) -> None:
        job = make_job()
        await store.enqueue([job])
        claimer = await Claimer(store).open()
        claimed = await claimer.claim_one()

        (while_running,) = await store.enqueue([job])
        nothing = await claimer.claim()
        await claimer.settle(claimed, Kind.COMPLETE)
        (after_its_end,) = await store.enqueue([job])

        assert while_running.created
        assert after_its_end.created
        assert not nothing
        assert not await claimer.claim()
        assert (await look(store, job.id)).status is Status.COMPLETED

    async def test_concurrent_enqueues_of_one_id_make_one_job(self, store: Store) -> None:
        job = make_job()

        answers = await asyncio.gather(*(store.enqueue([job]) for _ in range(10)))
        claimer = await Claimer(store).open()

        assert {(one.id, one.created) for (one,) in answers} == {(job.id, True)}
        assert len(await claimer.claim()) == 1

    async def test_every_field_of_a_job_survives(self, store: Store) -> None:
        meta = JobMeta(
            group="tenant-7",
            headers={"traceparent": "00-abc-01", "naïve key": "ß\n\t'\"\\ 漢字"},
            schedule_key="schedule:files.process:2",
            schedule_ms=1_700_000_000_123,
        )
        job = make_job(payload=b'1{"a":1}', meta=meta, **EVERY_OPTION)
        await store.enqueue([job])
        claimer = await Claimer(store).open()

        stored = await look(store, job.id)
        claimed = await claimer.claim_one(executors=frozenset({"cloudrun"}))

        for seen in (stored, claimed):
            assert seen.new.spec == job.spec
            assert seen.new.payload == job.payload
            assert seen.new.meta == meta
            assert seen.lane == job.spec.lane == "files/big@cloudrun"

    async def test_the_defaults_of_a_job_survive(self, store: Store) -> None:
        job = make_job()
        await store.enqueue([job])
        claimer = await Claimer(store).open()

        stored, claimed = await look(store, job.id), await claimer.claim_one()

        assert stored.new.spec == claimed.new.spec == job.spec
        assert stored.new.meta is claimed.new.meta is None
        assert not stored.headers

    async def test_a_payload_of_any_bytes_survives(self, store: Store) -> None:
        payloads = [b"", bytes(range(256)), b"\x00", "漢字🗂\x00".encode(), bytes(range(256)) * 4096]
        jobs = [make_job(payload=payload) for payload in payloads]
        await store.enqueue(jobs)
        claimer = await Claimer(store).open()

        claimed = {one.id: one.new.payload for one in await claimer.claim()}
        stored = await store.get([job.id for job in jobs])

        assert [claimed[job.id] for job in jobs] == payloads
        assert [one and one.new.payload for one in stored] == payloads

    async def test_a_large_batch_is_taken_whole(self, store: Store) -> None:
        jobs = make_jobs(1500)

        answers = await store.enqueue(jobs)
        found = await store.get([job.id for job in jobs])

        assert [one.id for one in answers] == [job.id for job in jobs]
        assert [one and one.id for one in found] == [job.id for job in jobs]
