"""Looking through a store, and reviving what has ended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from litestar_queues_core.errors import KeyConflictError, QueueError
from litestar_queues_core.ids import JobId, new_job_id, new_lease_id
from litestar_queues_core.model import Failure, Job, Status, WorkerInfo
from litestar_queues_core.protocols import Store
from litestar_queues_core.settlements import JobQuery, Kind, QueueCounts
from litestar_queues_core.testing.claimer import Claimer
from litestar_queues_core.testing.clock import shift_clock
from litestar_queues_core.testing.conformance.abilities import with_browse, with_keys
from litestar_queues_core.testing.conformance.steps import (
    HOUR,
    MINUTE,
    die,
    look,
    running_job,
    store_now,
    suspect_job,
    upkeep,
)
from litestar_queues_core.testing.jobs import make_job, make_jobs


def ids(jobs: Sequence[Job]) -> list[JobId]:
    """Return the ids of *jobs*."""
    return [one.id for one in jobs]


def number(counts: QueueCounts, queue: str, status: Status) -> int:
    """Return how many jobs of *queue* there are; finished ones perhaps of all queues."""
    return sum(
        one.value for one in counts.counts if one.status is status and one.queue in {queue, "*"}
    )


class Browsing:
    """:class:`SupportsBrowse`."""

    async def test_jobs_are_found_newest_first(self, store: Store) -> None:
        browse = with_browse(store)
        jobs = make_jobs(5)
        await store.enqueue(jobs[:3])
        await store.enqueue(jobs[3:])

        page = await browse.find(JobQuery())

        assert ids(page.jobs) == [job.id for job in reversed(jobs)]
        assert page.cursor is None

    async def test_a_found_job_is_complete(self, store: Store) -> None:
        browse = with_browse(store)
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        await claimer.settle(
            job, Kind.FAIL, failure=Failure(outcome="failed", type="ValueError", message="no")
        )

        page = await browse.find(JobQuery())

        assert list(page.jobs) == [await look(store, job.id)]
        assert page.jobs[0].error == "ValueError: no"

    async def test_a_cursor_leads_through_all_pages(self, store: Store) -> None:
        browse = with_browse(store)
        jobs = make_jobs(10)
        await store.enqueue(jobs)

        found: list[JobId] = []
        cursor: str | None = None
        for _ in range(5):
            page = await browse.find(JobQuery(limit=4, cursor=cursor))
            assert len(page.jobs) <= 4
            found += ids(page.jobs)
            cursor = page.cursor
            if cursor is None:
                break

        assert cursor is None
        assert found == [job.id for job in reversed(jobs)]

    async def test_a_cursor_is_a_position_and_not_a_number_of_rows(self, store: Store) -> None:
        browse = with_browse(store)
        jobs = make_jobs(6)
        await store.enqueue(jobs)
        first = await browse.find(JobQuery(limit=3))

        await store.enqueue(make_jobs(4))
        second = await browse.find(JobQuery(limit=3, cursor=first.cursor))

        assert ids(second.jobs) == [job.id for job in reversed(jobs[:3])]

    async def test_status_and_queue_are_exact(self, store: Store) -> None:
        browse = with_browse(store)
        claimer = await Claimer(store).open()
        running = await running_job(store, claimer, queue="mail")
        done = await running_job(store, claimer, queue="mail")
        await claimer.settle(done, Kind.COMPLETE)
        pending, other = make_job(queue="mail"), make_job(queue="mailbox")
        remote = make_job(queue="mail", execution_backend="gpu", delay_ms=HOUR)
        await store.enqueue([pending, other, remote])

        async def find(*status: Status, queue: str | None = "mail") -> set[JobId]:
            return set(ids((await browse.find(JobQuery(status=status, queue=queue))).jobs))

        assert await find() == {running.id, done.id, pending.id, remote.id}
        assert await find(Status.RUNNING) == {running.id}
        assert await find(Status.COMPLETED, Status.SCHEDULED) == {done.id, remote.id}
        assert await find(Status.PENDING, queue=None) == {pending.id, other.id}
        assert await find(Status.FAILED) == set()

    async def test_suspects_belong_to_their_queue(self, store: Store) -> None:
        browse = with_browse(store)
        job = await suspect_job(store, queue="mail")

        page = await browse.find(JobQuery(queue="mail", status=[Status.PENDING]))

        assert ids(page.jobs) == [job.id]

    async def test_jobs_are_found_by_task_and_text(self, store: Store) -> None:
        browse = with_browse(store)
        claimer = await Claimer(store).open()
        failed = await running_job(store, claimer, task="files.process")
        await claimer.settle(
            failed, Kind.FAIL, failure=Failure(outcome="failed", message="disk is full")
        )
        other = make_job(task="mail.send")
        await store.enqueue([other])

        async def find(query: JobQuery) -> list[JobId]:
            return ids((await browse.find(query)).jobs)

        assert await find(JobQuery(task="files.process")) == [failed.id]
        assert await find(JobQuery(task="files")) == []
        assert await find(JobQuery(text="disk is")) == [failed.id]
        assert await find(JobQuery(text="mail.s")) == [other.id]
        assert await find(JobQuery(text=other.id[5:])) == [other.id]
        assert await find(JobQuery(text="nowhere")) == []

    async def test_the_holder_of_a_key_is_found(self, store: Store) -> None:
        browse = with_browse(store)
        with_keys(store)
        job, freed = make_job(key="file:7"), make_job(key="file:8")
        await store.enqueue([job, make_job(), freed])
        await store.cancel([freed.id], running=False)

        assert ids((await browse.find(JobQuery(key="file:7"))).jobs) == [job.id]
        assert not (await browse.find(JobQuery(key="file:8"))).jobs
        assert not (await browse.find(JobQuery(key="file:9"))).jobs

    async def test_jobs_are_counted_where_they_stand(self, store: Store) -> None:
        browse = with_browse(store)
        claimer = await Claimer(store).open()
        await running_job(store, claimer, queue="mail")
        for kind in (Kind.COMPLETE, Kind.COMPLETE, Kind.FAIL, Kind.CANCEL):
            await claimer.settle(await running_job(store, claimer, queue="mail"), kind)
        await store.enqueue(make_jobs(3, queue="mail"))
        await store.enqueue(make_jobs(2, queue="mail", delay_ms=HOUR))
        await store.enqueue(make_jobs(4, queue="files"))

        counts = await browse.count()

        assert number(counts, "mail", Status.PENDING) == 3
        assert number(counts, "files", Status.PENDING) == 4
        assert number(counts, "mail", Status.SCHEDULED) == 2
        assert number(counts, "mail", Status.RUNNING) == 1
        assert number(counts, "files", Status.RUNNING) == 0
        assert number(counts, "mail", Status.COMPLETED) == 2
        assert number(counts, "mail", Status.FAILED) == 1
        assert number(counts, "mail", Status.CANCELLED) == 1
        assert number(counts, "mail", Status.EXPIRED) == 0

    async def test_counts_follow_every_change(self, store: Store) -> None:
        browse = with_browse(store)
        job = await suspect_job(store)
        claimer = await Claimer(store).open()
        suspect = await browse.count()
        await claimer.settle(await claimer.claim_one(suspects=1), Kind.SNOOZE, delay_ms=HOUR)
        snoozed = await browse.count()
        await store.cancel([job.id], running=False)
        cancelled = await browse.count()
        await browse.revive([job.id])
        revived = await browse.count()

        assert number(suspect, "default", Status.PENDING) == 1
        assert number(snoozed, "default", Status.PENDING) == 0
        assert number(snoozed, "default", Status.SCHEDULED) == 1
        assert number(cancelled, "default", Status.SCHEDULED) == 0
        assert number(cancelled, "default", Status.CANCELLED) == 1
        assert number(revived, "default", Status.CANCELLED) == 0
        assert number(revived, "default", Status.PENDING) == 1

    async def test_expired_jobs_are_counted_as_such(self, store: Store) -> None:
        browse = with_browse(store)
        await store.enqueue([make_job(expires_in_ms=1000), make_job()])
        shift_clock(store, timedelta(seconds=2))
        await upkeep(store)

        counts = await browse.count()

        assert number(counts, "default", Status.PENDING) == 1
        assert number(counts, "default", Status.EXPIRED) == 1

    async def test_an_empty_store_counts_nothing(self, store: Store) -> None:
        browse = with_browse(store)

        counts = await browse.count()

        assert sum(one.value for one in counts.counts) == 0
        assert not counts.leases
        assert counts.oldest_pending_ms is None
        assert abs(counts.now_ms - await store_now(store)) < MINUTE

    async def test_the_oldest_pending_job_tells_how_far_the_workers_are_behind(
        self, store: Store
    ) -> None:
        browse = with_browse(store)
        now = await store_now(store)
        await store.enqueue([make_job(due_ms=now - HOUR), make_job(due_ms=now - 2 * HOUR)])
        await store.enqueue([make_job(delay_ms=HOUR)])

        assert (await browse.count()).oldest_pending_ms == now - 2 * HOUR

    async def test_leases_are_shown_with_what_they_hold(self, store: Store) -> None:
        browse = with_browse(store)
        busy, idle = (
            await Claimer(store, name="busy").open(seconds=100),
            Claimer(store, name="idle"),
        )
        await idle.open(seconds=50)
        await store.enqueue(make_jobs(3))
        await busy.claim(2)

        views = {one.worker: one for one in (await browse.count()).leases}

        assert set(views) == {"busy", "idle"}
        assert (views["busy"].lease, views["busy"].held) == (busy.lease, 2)
        assert (views["idle"].lease, views["idle"].held) == (idle.lease, 0)
        assert 90 < views["busy"].expires_in <= 100
        assert not views["busy"].dead

    async def test_leases_show_the_queues_of_their_workers(self, store: Store) -> None:
        browse = with_browse(store)
        for worker in (WorkerInfo(name="some", queues=("a", "b")), WorkerInfo(name="every")):
            await store.open_lease(new_lease_id(), worker, seconds=100)

        queues = {one.worker: one.queues for one in (await browse.count()).leases}

        assert (list(queues["some"]), list(queues["every"])) == (["a", "b"], [])

    async def test_closed_leases_are_not_shown_and_dead_ones_as_dead(self, store: Store) -> None:
        browse = with_browse(store)
        closed, dead = await Claimer(store).open(), await Claimer(store).open()
        await store.close_lease(closed.lease)
        await die(store, dead)

        leases = (await browse.count()).leases

        assert closed.lease not in {one.lease for one in leases}
        assert all(one.dead for one in leases)

    async def test_a_finished_job_is_revived_as_new_with_its_past(self, store: Store) -> None:
        browse = with_browse(store)
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer, expires_in_ms=HOUR, queue="mail")
        await claimer.settle(job, Kind.FAIL, failure=Failure(outcome="failed", message="no"))
        shift_clock(store, timedelta(hours=2))
        now = await store_now(store)

        (answer,) = await browse.revive([job.id])
        stored = await look(store, job.id)
        again = await claimer.claim_one()

        assert (answer.id, answer.created, answer.error) == (job.id, True, None)
        assert answer.status is stored.status is Status.PENDING
        assert (stored.attempt, stored.rescues, stored.delivery) == (0, 0, 1)
        assert (stored.lane, stored.expires_ms) == ("mail", None)
        assert stored.due_ms >= now
        assert stored.details.finished_ms is None
        assert [one.message for one in stored.details.errors] == ["no"]
        assert (again.id, again.delivery) == (job.id, 2)

    async def test_a_revived_job_is_put_back_as_often_as_a_new_one(self, store: Store) -> None:
        browse = with_browse(store)
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        await claimer.settle(job, Kind.PUT_BACK)
        again = await claimer.claim_one()
        await claimer.settle(again, Kind.FAIL)

        await browse.revive([job.id])
        stored = await look(store, job.id)
        revived = await claimer.claim_one()

        assert again.put_backs == 1
        assert stored.put_backs == revived.put_backs == 0

    async def test_every_kind_of_end_can_be_revived(self, store: Store) -> None:
        browse = with_browse(store)
        claimer = await Claimer(store).open(seconds=1e6)
        jobs: list[Job] = []
        for kind in (Kind.COMPLETE, Kind.FAIL, Kind.CANCEL):
            job = await running_job(store, claimer)
            await claimer.settle(job, kind, value=b"1")
            jobs.append(job)
        expired = make_job(expires_in_ms=1000)
        await store.enqueue([expired])
        shift_clock(store, timedelta(seconds=2))
        await upkeep(store)

        answers = await browse.revive([*ids(jobs), expired.id])

        assert [one.error for one in answers] == [None] * 4
        assert len(await claimer.claim()) == 4
        assert not await upkeep(store)

    async def test_a_suspect_is_revived_in_its_ordinary_lane(self, store: Store) -> None:
        browse = with_browse(store)
        job = await suspect_job(store)
        claimer = await Claimer(store).open()
        await claimer.settle(await claimer.claim_one(suspects=1), Kind.FAIL)

        await browse.revive([job.id])
        stored = await look(store, job.id)

        assert (stored.lane, stored.rescues) == ("default", 0)
        assert (await claimer.claim_one()).id == job.id

    async def test_a_quarantined_job_can_be_revived(self, store: Store) -> None:
        browse = with_browse(store)
        job = await suspect_job(store, max_rescues=0)

        await browse.revive([job.id])

        assert (await (await Claimer(store).open()).claim_one()).id == job.id

    async def test_a_revival_forgets_a_requested_cancel(self, store: Store) -> None:
        browse = with_browse(store)
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        await store.cancel([job.id], running=True)
        await claimer.settle(job, Kind.CANCEL)
        await browse.revive([job.id])
        again = await claimer.claim_one()

        answer = await claimer.settle(again, Kind.RELEASE)

        assert not answer.ended
        assert (await look(store, job.id)).status is Status.PENDING

    async def test_what_is_not_finished_or_not_known_cannot_be_revived(self, store: Store) -> None:
        browse = with_browse(store)
        claimer = await Claimer(store).open()
        running = await running_job(store, claimer)
        pending = make_job()
        await store.enqueue([pending])

        answers = await browse.revive([running.id, new_job_id(), pending.id])

        assert all(isinstance(one.error, QueueError) for one in answers)
        assert not any(one.created for one in answers)
        assert (await look(store, running.id)).status is Status.RUNNING
        assert len(await claimer.claim()) == 1

    async def test_a_job_is_not_revived_while_another_task_has_its_key(self, store: Store) -> None:
        with_keys(store)
        browse = with_browse(store)
        first, second = make_job(key="k", task="mail.send"), make_job(key="k", task="files.scan")
        await store.enqueue([first])
        await store.cancel([first.id], running=False)
        await store.enqueue([second])

        (answer,) = await browse.revive([first.id])

        assert isinstance(answer.error, KeyConflictError)
        assert not answer.created
        assert (await look(store, first.id)).status is Status.CANCELLED

    async def test_a_revived_job_can_end_again_and_is_pruned_once(self, store: Store) -> None:
        browse = with_browse(store)
        claimer = await Claimer(store).open(seconds=1e7)
        job = await running_job(store, claimer)
        await claimer.settle(job, Kind.COMPLETE, value=b"1")
        await browse.revive([job.id])
        again = await claimer.claim_one()
        await claimer.settle(again, Kind.COMPLETE, value=b"2")
        ended = await look(store, job.id)
        shift_clock(store, timedelta(days=2))

        await upkeep(store)

        assert (ended.status, ended.details.result) == (Status.COMPLETED, b"2")
        assert await store.get([job.id]) == [None]
        assert sum(one.value for one in (await browse.count()).counts) == 0
