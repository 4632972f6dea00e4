"""However large jobs are, no answer of a script is: others wait while it is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from litestar_queues_core.ids import JobId
from litestar_queues_core.model import Event, NewJob, Status
from litestar_queues_core.settlements import JobQuery, Kind, Wants
from litestar_queues_core.testing import Claimer, make_job, settled
from litestar_queues_resp import RespStore
from litestar_queues_resp.scripts import BYTES_AT_ONCE

LARGE = b"x" * 600_000
SLACK = 200_000


def size_of(answer: Any) -> int:
    """Return how many bytes an answer has, about."""
    if isinstance(answer, list):
        return sum(map(size_of, cast("list[Any]", answer)))
    return len(answer) if isinstance(answer, bytes) else 8


@pytest.fixture
def sizes(store: RespStore, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of all answers."""
    found: list[int] = []
    call = store.client.call

    async def measured(*words: Any) -> Any:
        answer = await call(*words)
        found.append(size_of(answer))
        return answer

    monkeypatch.setattr(store.client, "call", measured)
    return found


def mixed() -> list[NewJob]:
    """Return jobs in the order of their claims, most of them large: 30 MB."""
    return [
        make_job(payload=LARGE if number % 4 else b"[]", priority=5 - number // 20)
        for number in range(66)
    ]


async def claims(claimer: Claimer) -> list[list[JobId]]:
    """Claim until there is nothing."""
    found: list[list[JobId]] = []
    while jobs := await claimer.claim(1000):
        found.append([job.id for job in jobs])
    return found


async def test_a_claim_is_limited_and_keeps_the_order(store: RespStore, sizes: list[int]) -> None:
    jobs = mixed()
    await store.enqueue(jobs)
    claimer = await Claimer(store).open()

    found = await claims(claimer)

    assert [job_id for ids in found for job_id in ids] == [job.id for job in jobs]
    assert len(found) == 4
    assert max(sizes) <= BYTES_AT_ONCE + SLACK
    assert (await store.count()).oldest_pending_ms is None


async def test_what_was_left_is_counted_found_and_cancelled(store: RespStore) -> None:
    jobs = mixed()
    await store.enqueue(jobs)
    claimer = await Claimer(store).open()
    held = await claimer.claim(1000)

    counted = {one.status: one.value for one in (await store.count()).counts}
    outcomes = await store.cancel([job.id for job in jobs[len(held) :]], running=False)

    assert counted == {Status.PENDING: len(jobs) - len(held), Status.RUNNING: len(held)}
    assert {str(outcome) for outcome in outcomes} == {"cancelled"}
    assert await claimer.claim(1000) == []


async def test_who_could_not_take_all_is_woken_for_the_rest(store: RespStore) -> None:
    await store.enqueue(mixed())
    claimer = await Claimer(store).open()
    assert await store.wait(["lane:*"], 5.0)

    for _ in range(3):  # the last one of four takes all there is
        await claimer.claim(1000)
        assert await store.wait(["lane:*"], 5.0)


async def test_one_job_may_be_larger_than_all_limits(store: RespStore) -> None:
    jobs = [make_job(payload=LARGE), make_job(payload=b"x" * (BYTES_AT_ONCE + 1)), make_job()]
    await store.enqueue(jobs)
    claimer = await Claimer(store).open()

    assert await claims(claimer) == [[jobs[0].id], [jobs[1].id, jobs[2].id]]
    assert [job and job.id for job in await store.get([job.id for job in jobs])] == [
        job.id for job in jobs
    ]


async def test_a_lane_that_is_not_reached_waits_for_the_next_claim(store: RespStore) -> None:
    first = [make_job(payload=LARGE, queue="a") for _ in range(20)]
    last = make_job(payload=LARGE, queue="b")
    await store.enqueue([*first, last])
    claimer = await Claimer(store).open()

    lanes = [("a", 100), ("b", 100)]
    found = [job.id for _ in range(3) for job in await claimer.claim(200, lanes=lanes, others=0)]

    assert sorted(found) == sorted(job.id for job in [*first, last])


async def test_all_that_is_held_is_told_again_in_pieces(store: RespStore, sizes: list[int]) -> None:
    jobs = mixed()
    await store.enqueue(jobs)
    claimer = await Claimer(store).open()
    await claims(claimer)
    retried = (await store.get([jobs[0].id]))[0]
    assert retried is not None
    await claimer.exchange([settled(retried, Kind.RETRY)], Wants(limit=5, others=5))

    again = await claimer.replay([settled(retried, Kind.RETRY)], Wants(limit=5, others=5))

    told = {job.id: job for job in again.claimed}
    assert {job.id: job.payload for job in jobs} == {
        one: job.new.payload for one, job in told.items()
    }
    assert {(job.status, job.delivery) for job in again.claimed} == {
        (Status.RUNNING, 1),
        (Status.RUNNING, 2),
    }
    assert told[jobs[0].id].attempt == 1
    assert max(sizes) <= BYTES_AT_ONCE + SLACK
    ends = await claimer.exchange([settled(job, Kind.COMPLETE) for job in again.claimed])
    assert ends.rejected == []


async def test_looking_at_jobs_is_limited(store: RespStore, sizes: list[int]) -> None:
    jobs = mixed()
    await store.enqueue(jobs)
    claimer = await Claimer(store).open()
    held = await claimer.claim(1000)
    await claimer.exchange([settled(job, Kind.COMPLETE, value=LARGE) for job in held])

    seen = await store.get([job.id for job in jobs])
    found: list[JobId] = []
    cursor: str | None = None
    while True:
        page = await store.find(JobQuery(limit=25, cursor=cursor))
        found += [job.id for job in page.jobs]
        cursor = page.cursor
        if cursor is None:
            break

    assert [job and job.id for job in seen] == [job.id for job in jobs]
    assert sorted(found) == sorted(job.id for job in jobs)
    assert len(found) == len(jobs)
    assert max(sizes) <= BYTES_AT_ONCE + SLACK


def events(job_id: JobId, number: int, **fields: Any) -> Sequence[Event]:
    about: dict[str, Any] = {"type": "task.log", "task": "t", "queue": "default", "occurred_ms": 1}
    return [Event(job_id=job_id, sequence=one, **about, **fields) for one in range(number)]


@pytest.mark.parametrize("filtered", [False, True])
async def test_reading_events_is_limited(
    store: RespStore, sizes: list[int], filtered: bool
) -> None:
    job = make_job()
    for event in events(job.id, 40, payload={"text": LARGE.decode()}):
        await store.append_events([event])

    filters = {"job": job.id} if filtered else {}
    first, cursor = await store.read_events(filters, after=None, limit=30)
    rest, _ = await store.read_events(filters, after=cursor, limit=30)

    assert [event.sequence for event in (*first, *rest)] == [*range(40)]
    assert max(sizes) <= BYTES_AT_ONCE + SLACK


async def test_all_events_of_a_job_are_read_however_many(store: RespStore) -> None:
    job, other = make_job(), make_job()
    await store.append_events(events(other.id, 10))
    await store.append_events(events(job.id, 12_000))
    await store.append_events(events(other.id, 20))  # half of them are known

    first, cursor = await store.read_events({"job": job.id}, after=None, limit=11_000)
    rest, cursor = await store.read_events({"job": job.id}, after=cursor, limit=11_000)
    nothing, _ = await store.read_events({"job": job.id}, after=cursor, limit=10)

    assert [event.sequence for event in (*first, *rest)] == [*range(12_000)]
    assert list(nothing) == []
    assert len((await store.read_events({"job": other.id}, after=None, limit=100))[0]) == 20
