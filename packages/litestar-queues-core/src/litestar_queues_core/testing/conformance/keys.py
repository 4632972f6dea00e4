"""Uniqueness keys."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Literal

from litestar_queues_core.errors import KeyConflictError
from litestar_queues_core.model import KeyRule, Status
from litestar_queues_core.protocols import Store
from litestar_queues_core.settlements import Enqueued, Kind
from litestar_queues_core.testing.claimer import Claimer
from litestar_queues_core.testing.clock import shift_clock
from litestar_queues_core.testing.conformance.abilities import with_browse, with_keys
from litestar_queues_core.testing.conformance.maintenance import NOTHING_KEPT
from litestar_queues_core.testing.conformance.steps import (
    HOUR,
    MINUTE,
    SECOND,
    die,
    look,
    running_job,
    upkeep,
)
from litestar_queues_core.testing.jobs import make_job, settled

KEY = "file:7"

Until = Literal["started", "finished", "forever"] | int


async def enqueue_keyed(
    store: Store, until: Until = "finished", *, key: str = KEY, task: str = "tests.echo"
) -> Enqueued:
    """Enqueue a job with a key."""
    (answer,) = await store.enqueue([make_job(key=KeyRule(key=key, until=until), task=task)])
    return answer


async def is_free(store: Store, key: str = KEY) -> bool:
    """Whether a job can be had under the key; it is cancelled again, which frees the key."""
    answer = await enqueue_keyed(store, key=key)
    if answer.created:
        await store.cancel([answer.id], running=False)
    return answer.created


class Keys:
    """``NewJob.key`` and :class:`SupportsKeys`."""

    async def test_a_held_key_gives_the_job_that_holds_it(self, store: Store) -> None:
        with_keys(store)
        first = await enqueue_keyed(store)

        second = await enqueue_keyed(store)
        claimer = await Claimer(store).open()

        assert (first.created, first.error) == (True, None)
        assert (second.id, second.created, second.error) == (first.id, False, None)
        assert second.status is Status.PENDING
        assert len(await claimer.claim()) == 1

    async def test_the_holder_is_returned_with_its_status(self, store: Store) -> None:
        with_keys(store)
        claimer = await Claimer(store).open()
        await running_job(store, claimer, key=KEY)

        assert (await enqueue_keyed(store)).status is Status.RUNNING

    async def test_different_keys_do_not_meet(self, store: Store) -> None:
        with_keys(store)
        keys = ["a", "A", "a ", " a", "ä", "a\u0308", "ß", "ss", "é", "x" * 255, "x" * 254, "漢字"]

        answers = [await enqueue_keyed(store, key=key) for key in keys]

        assert [one.created for one in answers] == [True] * len(keys)

    async def test_one_key_twice_in_a_batch_is_one_job(self, store: Store) -> None:
        with_keys(store)
        jobs = [make_job(key=KEY), make_job(), make_job(key=KEY)]

        answers = await store.enqueue(jobs)
        claimer = await Claimer(store).open()

        assert [one.created for one in answers] == [True, True, False]
        assert answers[2].id == jobs[0].id
        assert len(await claimer.claim()) == 2

    async def test_of_concurrent_enqueues_with_one_key_one_wins(self, store: Store) -> None:
        with_keys(store)

        answers = await asyncio.gather(*(enqueue_keyed(store) for _ in range(20)))
        claimer = await Claimer(store).open()

        assert sum(one.created for one in answers) == 1
        assert len({one.id for one in answers}) == 1
        assert len(await claimer.claim(20)) == 1

    async def test_an_enqueue_sent_again_keeps_its_key(self, store: Store) -> None:
        with_keys(store)
        job = make_job(key=KEY)

        (first,), (again,) = await store.enqueue([job]), await store.enqueue([job])

        assert (first.id, first.created) == (again.id, again.created) == (job.id, True)

    async def test_a_key_of_another_task_is_a_conflict_that_harms_no_neighbour(
        self, store: Store
    ) -> None:
        with_keys(store)
        await enqueue_keyed(store, task="files.process")
        jobs = [make_job(), make_job(key=KEY, task="mail.send"), make_job()]

        good, bad, fine = await store.enqueue(jobs)

        assert (good.created, good.error, fine.created, fine.error) == (True, None, True, None)
        assert isinstance(bad.error, KeyConflictError)
        assert not bad.created
        assert "files.process" in str(bad.error)
        assert "mail.send" in str(bad.error)
        assert await store.get([jobs[1].id]) == [None]

    async def test_until_finished_holds_until_the_end(self, store: Store) -> None:
        with_keys(store)
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer, key=KEY, retries=1)

        while_running = await is_free(store)
        await claimer.settle(job, Kind.RETRY)
        while_waiting = await is_free(store)
        await claimer.settle(await claimer.claim_one(), Kind.COMPLETE)

        assert (while_running, while_waiting) == (False, False)
        assert await is_free(store)

    async def test_every_end_frees_a_key(self, store: Store) -> None:
        with_keys(store)
        claimer = await Claimer(store).open()
        for kind in (Kind.COMPLETE, Kind.FAIL, Kind.CANCEL):
            job = await running_job(store, claimer, key=KEY)
            await claimer.settle(job, kind)
            assert await is_free(store), kind

    async def test_the_cancel_rule_frees_a_key(self, store: Store) -> None:
        with_keys(store)
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer, key=KEY)
        await store.cancel([job.id], running=True)
        held = await is_free(store)

        await claimer.settle(job, Kind.RETRY, delay_ms=HOUR)

        assert not held
        assert await is_free(store)

    async def test_cancelling_a_waiting_job_frees_its_key(self, store: Store) -> None:
        with_keys(store)
        for until in ("started", "finished"):
            answer = await enqueue_keyed(store, until)
            await store.cancel([answer.id], running=False)
            assert await is_free(store), until

    async def test_expiry_frees_a_key(self, store: Store) -> None:
        with_keys(store)
        await store.enqueue([make_job(key=KEY, expires_in_ms=SECOND)])
        shift_clock(store, timedelta(seconds=2))

        await upkeep(store)

        assert await is_free(store)

    async def test_quarantine_frees_a_key_and_a_rescue_does_not(self, store: Store) -> None:
        with_keys(store)
        await store.enqueue([make_job(key=KEY, max_rescues=1)])
        free: list[bool] = []
        for _ in range(2):
            claimer = await Claimer(store).open()
            await claimer.claim_one(suspects=1)
            await die(store, claimer)
            free.append(await is_free(store))

        assert free == [False, True]

    async def test_closing_a_lease_frees_the_keys_of_jobs_it_cancels(self, store: Store) -> None:
        with_keys(store)
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer, key=KEY)
        await store.cancel([job.id], running=True)

        await store.close_lease(claimer.lease)

        assert await is_free(store)

    async def test_until_started_frees_at_the_first_claim(self, store: Store) -> None:
        with_keys(store)
        claimer = await Claimer(store).open()
        await enqueue_keyed(store, "started")
        while_waiting = await is_free(store)

        job = await claimer.claim_one()
        while_running = await is_free(store)
        await claimer.settle(job, Kind.RETRY)

        assert (while_waiting, while_running) == (False, True)
        assert await is_free(store)

    async def test_the_end_of_a_job_does_not_free_a_key_that_another_has_taken(
        self, store: Store
    ) -> None:
        with_keys(store)
        claimer = await Claimer(store).open()
        await enqueue_keyed(store, "started")
        first = await claimer.claim_one()
        second = await enqueue_keyed(store, "finished")

        await claimer.settle(first, Kind.COMPLETE)
        third = await enqueue_keyed(store)

        assert second.created
        assert (third.id, third.created) == (second.id, False)

    async def test_until_forever_holds_beyond_the_end_and_beyond_pruning(
        self, store: Store
    ) -> None:
        keys = with_keys(store)
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer, key=KeyRule(key=KEY, until="forever"))
        await claimer.settle(job, Kind.COMPLETE)
        after_its_end = await enqueue_keyed(store)
        shift_clock(store, timedelta(minutes=2))
        await upkeep(store, NOTHING_KEPT)
        after_pruning = await enqueue_keyed(store)

        released = list(await keys.release_keys([KEY]))

        assert (after_its_end.id, after_its_end.created) == (job.id, False)
        assert after_its_end.status is Status.COMPLETED
        assert (after_pruning.id, after_pruning.created) == (job.id, False)
        assert after_pruning.status is None
        assert released == [True]
        assert await is_free(store)

    async def test_an_instant_frees_a_key_whatever_becomes_of_the_job(self, store: Store) -> None:
        with_keys(store)
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer, key=KeyRule(key=KEY, until=10 * MINUTE))
        await claimer.settle(job, Kind.COMPLETE)
        shift_clock(store, timedelta(minutes=9))
        within = await enqueue_keyed(store)

        shift_clock(store, timedelta(minutes=2))

        assert (within.id, within.created, within.status) == (job.id, False, Status.COMPLETED)
        assert await is_free(store)

    async def test_an_instant_frees_the_key_of_a_waiting_job(self, store: Store) -> None:
        with_keys(store)
        first = await enqueue_keyed(store, MINUTE)
        shift_clock(store, timedelta(minutes=2))
        await upkeep(store)

        second = await enqueue_keyed(store)

        assert second.created
        assert (await look(store, first.id)).status is Status.PENDING

    async def test_a_later_holder_outlives_the_instant_of_an_earlier_one(
        self, store: Store
    ) -> None:
        keys = with_keys(store)
        await enqueue_keyed(store, MINUTE)
        await keys.release_keys([KEY])
        second = await enqueue_keyed(store, "finished")
        shift_clock(store, timedelta(minutes=2))
        await upkeep(store)

        assert (await enqueue_keyed(store)).id == second.id

    async def test_release_says_what_was_held(self, store: Store) -> None:
        keys = with_keys(store)
        await enqueue_keyed(store, "finished", key="a")
        await enqueue_keyed(store, "forever", key="b")

        released = await keys.release_keys(["a", "nobody", "b", "a"])

        assert list(released) == [True, False, True, False]
        assert await is_free(store, "a")
        assert await is_free(store, "b")

    async def test_a_key_released_by_hand_is_not_acquired_by_a_retry(self, store: Store) -> None:
        keys = with_keys(store)
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer, key=KEY)
        await keys.release_keys([KEY])

        await claimer.settle(job, Kind.RETRY)

        assert await is_free(store)

    async def test_a_key_freed_at_the_start_is_not_acquired_by_a_rescue(self, store: Store) -> None:
        with_keys(store)
        claimer = await Claimer(store).open()
        await running_job(store, claimer, key=KeyRule(key=KEY, until="started"))

        await die(store, claimer)

        assert await is_free(store)

    async def test_a_follow_up_takes_its_key(self, store: Store) -> None:
        with_keys(store)
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        follow_up = make_job(key=KEY)

        await claimer.settle(job, Kind.COMPLETE, follow_ups=[follow_up])

        assert (await enqueue_keyed(store)).id == follow_up.id

    async def test_a_follow_up_may_take_over_the_key_of_the_job_that_ends(
        self, store: Store
    ) -> None:
        with_keys(store)
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer, key=KEY)
        follow_up = make_job(key=KEY)

        await claimer.settle(job, Kind.COMPLETE, follow_ups=[follow_up])

        assert (await enqueue_keyed(store)).id == follow_up.id

    async def test_a_follow_up_whose_key_is_held_is_not_enqueued(self, store: Store) -> None:
        with_keys(store)
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        await enqueue_keyed(store)
        follow_up = make_job(key=KEY)

        answer = await claimer.exchange([settled(job, Kind.COMPLETE, follow_ups=[follow_up])])

        assert not answer.rejected
        assert (await look(store, job.id)).status is Status.COMPLETED
        assert await store.get([follow_up.id]) == [None]

    async def test_a_revival_acquires_the_key_again(self, store: Store) -> None:
        with_keys(store)
        browse = with_browse(store)
        answer = await enqueue_keyed(store)
        await store.cancel([answer.id], running=False)

        (revived,) = await browse.revive([answer.id])
        second = await enqueue_keyed(store)

        assert (revived.id, revived.created, revived.error) == (answer.id, True, None)
        assert (second.id, second.created) == (answer.id, False)

    async def test_a_job_that_still_holds_its_key_can_be_revived(self, store: Store) -> None:
        with_keys(store)
        browse = with_browse(store)
        rules: tuple[Until, ...] = ("forever", HOUR)
        for until in rules:
            answer = await enqueue_keyed(store, until, key=str(until))
            await store.cancel([answer.id], running=False)

            (revived,) = await browse.revive([answer.id])

            assert (revived.id, revived.created, revived.error) == (answer.id, True, None), until
            assert (await look(store, answer.id)).status is Status.PENDING, until

    async def test_a_revival_gives_the_job_that_took_the_key_since(self, store: Store) -> None:
        with_keys(store)
        browse = with_browse(store)
        first = await enqueue_keyed(store)
        await store.cancel([first.id], running=False)
        second = await enqueue_keyed(store)

        (revived,) = await browse.revive([first.id])

        assert (revived.id, revived.created, revived.error) == (second.id, False, None)
        assert (await look(store, first.id)).status is Status.CANCELLED

    async def test_a_job_keeps_its_key_rule(self, store: Store) -> None:
        with_keys(store)
        rules = [
            KeyRule(key="a", until="started"),
            KeyRule(key="b", until="finished"),
            KeyRule(key="c", until="forever"),
            KeyRule(key="d", until=MINUTE),
        ]
        jobs = [make_job(key=rule) for rule in rules]

        await store.enqueue(jobs)

        found = await store.get([job.id for job in jobs])
        assert [one and one.new.key for one in found] == rules
