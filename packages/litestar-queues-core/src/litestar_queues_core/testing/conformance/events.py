"""Keeping events."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from litestar_queues_core.ids import JobId, new_job_id
from litestar_queues_core.model import Event, Job, Progress
from litestar_queues_core.protocols import Store, SupportsEventLog
from litestar_queues_core.settlements import Kind
from litestar_queues_core.testing.claimer import Claimer
from litestar_queues_core.testing.clock import shift_clock
from litestar_queues_core.testing.conformance.abilities import with_event_log
from litestar_queues_core.testing.conformance.steps import (
    HOUR,
    WAITING_KINDS,
    running_job,
    store_now,
)


def make_event(job: Job | None = None, **fields: Any) -> Event:
    """Return an event about *job*, or about no job in particular."""
    about: dict[str, Any] = {
        "job_id": job.id if job else new_job_id(),
        "type": "task.log",
        "task": job.task if job else "tests.echo",
        "queue": job.queue if job else "default",
        "occurred_ms": 1_700_000_000_000,
        "delivery": job.delivery if job else 1,
    }
    return Event(**about | fields)


async def kept_types(log: SupportsEventLog, job_id: JobId) -> list[str]:
    """Return the types of the events kept about one job."""
    events, _ = await log.read_events({"job": job_id}, after=None, limit=100)
    return [one.type for one in events]


class EventLog:
    """:class:`SupportsEventLog`."""

    async def test_an_event_survives(self, store: Store) -> None:
        log = with_event_log(store)
        event = make_event(
            type="files.thumbnail_made",
            worker="ada",
            attempt=2,
            delivery=3,
            sequence=4,
            level="warning",
            message="Übergröße 漢字\n'\"",
            progress=Progress(current=1.5, total=3, message="halfway"),
            payload={"file": "ä.png", "sizes": [1, 2.5, None, True], "nested": {"a": []}},
        )
        plain = make_event()

        await log.append_events([event, plain])
        events, _ = await log.read_events({}, after=None, limit=10)

        assert list(events) == [event, plain]

    async def test_events_come_oldest_first_and_a_cursor_goes_on(self, store: Store) -> None:
        log = with_event_log(store)
        now = await store_now(store)
        events = [make_event(sequence=one, occurred_ms=now + one) for one in range(5)]
        await log.append_events(events)

        first, cursor = await log.read_events({}, after=None, limit=2)
        second, cursor = await log.read_events({}, after=cursor, limit=2)
        third, cursor = await log.read_events({}, after=cursor, limit=2)
        nothing, cursor = await log.read_events({}, after=cursor, limit=2)
        late = make_event(sequence=9, occurred_ms=now + 9)
        await log.append_events([late])
        fourth, _ = await log.read_events({}, after=cursor, limit=2)

        assert [*first, *second, *third] == events
        assert not nothing
        assert list(fourth) == [late]

    async def test_an_empty_log_can_be_followed(self, store: Store) -> None:
        log = with_event_log(store)
        nothing, cursor = await log.read_events({}, after=None, limit=10)
        event = make_event()

        await log.append_events([event])
        events, _ = await log.read_events({}, after=cursor, limit=10)

        assert not nothing
        assert list(events) == [event]

    async def test_filters_are_exact(self, store: Store) -> None:
        log = with_event_log(store)
        wanted = make_event(task="a", queue="q", type="job.failed", level="error", sequence=1)
        others = [
            make_event(task="ab", queue="q2", type="job.failed.x", level="info", sequence=number)
            for number in range(2, 5)
        ]
        await log.append_events([others[0], wanted, *others[1:]])

        for name, value in {
            "job": wanted.job_id,
            "task": "a",
            "queue": "q",
            "type": "job.failed",
            "level": "error",
        }.items():
            events, _ = await log.read_events({name: value}, after=None, limit=10)
            assert list(events) == [wanted], name

        both = {"task": "a", "level": "info"}
        assert not (await log.read_events(both, after=None, limit=10))[0]

    async def test_a_filtered_read_goes_on_from_its_cursor(self, store: Store) -> None:
        log = with_event_log(store)
        events = [make_event(queue="ab"[one % 2], sequence=one) for one in range(10)]
        await log.append_events(events)

        found: list[Event] = []
        cursor: str | None = None
        for _ in range(6):
            page, cursor = await log.read_events({"queue": "b"}, after=cursor, limit=2)
            found += page

        assert found == events[1::2]

    async def test_an_event_is_kept_once(self, store: Store) -> None:
        log = with_event_log(store)
        event = make_event(sequence=1)
        other_delivery = make_event(job_id=event.job_id, delivery=2, sequence=1)

        await log.append_events([event, event])
        await log.append_events([event, other_delivery])
        events, _ = await log.read_events({}, after=None, limit=10)

        assert list(events) == [event, other_delivery]

    async def test_old_events_are_pruned(self, store: Store) -> None:
        log = with_event_log(store)
        old = await store_now(store)
        await log.append_events([make_event(sequence=one, occurred_ms=old) for one in range(5)])
        shift_clock(store, timedelta(hours=2))
        young = make_event(occurred_ms=old + 2 * HOUR)
        await log.append_events([young])

        first = await log.prune_events(older_than=3600, limit=3)
        second = await log.prune_events(older_than=3600, limit=3)
        third = await log.prune_events(older_than=3600, limit=3)
        events, _ = await log.read_events({}, after=None, limit=10)

        assert (first, second, third) == (3, 2, 0)
        assert list(events) == [young]

    async def test_a_settlement_brings_its_events_and_its_closing_one(self, store: Store) -> None:
        log = with_event_log(store)
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        said = [make_event(job, sequence=one, type="task.progress") for one in (1, 2)]
        closing = make_event(job, sequence=3, type="job.completed")
        instead = make_event(job, sequence=3, type="job.cancelled")

        await claimer.settle(
            job, Kind.COMPLETE, events=said, closing=closing, closing_if_cancelled=instead
        )

        assert await kept_types(log, job.id) == ["task.progress", "task.progress", "job.completed"]

    async def test_the_cancel_rule_appends_the_other_closing_event(self, store: Store) -> None:
        log = with_event_log(store)
        claimer = await Claimer(store).open()
        for kind in WAITING_KINDS:
            job = await running_job(store, claimer)
            await store.cancel([job.id], running=True)
            said = make_event(job, sequence=1)
            closing = make_event(job, sequence=2, type="job.retrying")
            instead = make_event(job, sequence=2, type="job.cancelled")

            await claimer.settle(
                job, kind, events=[said], closing=closing, closing_if_cancelled=instead
            )

            assert await kept_types(log, job.id) == ["task.log", "job.cancelled"], kind

    async def test_completed_stands_in_the_log_against_a_request(self, store: Store) -> None:
        log = with_event_log(store)
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        await store.cancel([job.id], running=True)

        await claimer.settle(
            job,
            Kind.COMPLETE,
            closing=make_event(job, type="job.completed"),
            closing_if_cancelled=make_event(job, type="job.cancelled"),
        )

        assert await kept_types(log, job.id) == ["job.completed"]

    async def test_a_rejected_settlement_brings_no_events(self, store: Store) -> None:
        log = with_event_log(store)
        holder, stranger = await Claimer(store).open(), await Claimer(store).open()
        job = await running_job(store, holder)

        await stranger.settle(
            job, Kind.COMPLETE, events=[make_event(job)], closing=make_event(job, sequence=1)
        )

        assert await kept_types(log, job.id) == []

    async def test_a_replay_brings_no_event_twice(self, store: Store) -> None:
        log = with_event_log(store)
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)
        settlement_events = [make_event(job, sequence=one) for one in (1, 2)]

        await claimer.settle(job, Kind.PROGRESS, value=b"1", events=settlement_events)
        await claimer.replay()

        assert await kept_types(log, job.id) == ["task.log", "task.log"]

    async def test_events_outlive_progress_and_come_in_order(self, store: Store) -> None:
        log = with_event_log(store)
        claimer = await Claimer(store).open()
        job = await running_job(store, claimer)

        await claimer.settle(job, Kind.PROGRESS, events=[make_event(job, sequence=1, type="a")])
        await claimer.settle(job, Kind.PROGRESS, events=[make_event(job, sequence=2, type="b")])
        await claimer.settle(job, Kind.COMPLETE, closing=make_event(job, sequence=3, type="c"))

        assert await kept_types(log, job.id) == ["a", "b", "c"]
