"""Lines of jobs that wait together, and claims of them, larger than the conformance suite has."""

from __future__ import annotations

import itertools
import random
from datetime import timedelta
from typing import Any

import pytest

from litestar_queues_core.errors import SettlementRefused
from litestar_queues_core.ids import new_job_ids
from litestar_queues_core.model import Failure, Status
from litestar_queues_core.settlements import CancelOutcome, Kind, MaintenancePolicy, Settlement
from litestar_queues_core.testing import Claimer, make_job, make_jobs, settled, shift_clock
from litestar_queues_core.testing.conformance.steps import look, running_job
from litestar_queues_resp import RespStore


async def line(store: RespStore, name: str = "default") -> list[tuple[bytes, float]]:
    """Return the members of a line, with their scores."""
    flat = await store.client.call("ZRANGE", f"{store._caller.key}:r:{name}", 0, -1, "WITHSCORES")
    pairs = flat if flat and isinstance(flat[0], list) else zip(flat[::2], flat[1::2], strict=True)
    return [(member, float(score)) for member, score in pairs]


async def test_any_of_those_who_wait_together_can_be_cancelled(store: RespStore) -> None:
    jobs = make_jobs(300)
    await store.enqueue(jobs)
    gone = random.Random(7).sample(jobs, 120)  # noqa: S311

    outcomes = await store.cancel([job.id for job in gone], running=False)
    claimer = await Claimer(store).open()
    claimed = [job.id for number in (1, 50, 500) for job in await claimer.claim(number)]

    assert set(outcomes) == {CancelOutcome.CANCELLED}
    left = {job.id for job in jobs} - {job.id for job in gone}
    assert claimed == sorted(left)
    assert await line(store) == []


async def test_one_of_a_thousand_with_the_same_instant_is_found(store: RespStore) -> None:
    jobs = make_jobs(3)
    await store.enqueue(jobs)
    ((_, score),) = await line(store)
    await store.enqueue(make_jobs(1200, due_ms=int(score)))
    await store.enqueue(make_jobs(1200, due_ms=int(score)))

    (outcome,) = await store.cancel([jobs[1].id], running=False)
    claimer = await Claimer(store).open()
    claimed = [job.id for job in await claimer.claim(5000)]

    assert outcome is CancelOutcome.CANCELLED
    assert len(claimed) == 2402
    assert jobs[1].id not in claimed


async def test_of_one_instant_the_ids_decide_however_they_came(store: RespStore) -> None:
    ids = new_job_ids(40)
    first = [make_job(job_id=ids[number]) for number in range(0, 40, 5)]
    await store.enqueue(first)
    ((_, score),) = await line(store)
    others = [ids[number] for number in range(40) if number % 5]
    await store.enqueue([make_job(job_id=one, due_ms=int(score)) for one in others])
    claimer = await Claimer(store).open()

    claimed = [job.id for _ in range(8) for job in await claimer.claim(5)]

    assert claimed == ids


async def test_a_backlog_that_has_expired_is_passed_over_in_pieces(store: RespStore) -> None:
    await store.enqueue(make_jobs(500, expires_in_ms=1000))
    last = make_job(priority=-1)
    await store.enqueue([last])
    shift_clock(store, timedelta(seconds=2))
    claimer = await Claimer(store).open()

    before = len(await line(store))
    first = await claimer.claim(1)
    after = len(await line(store))
    rounds = 0
    while not first:
        first = await claimer.claim(1)
        rounds += 1

    assert 0 < before - after <= 20
    assert rounds > 10
    assert [job.id for job in first] == [last.id]


async def test_a_job_without_its_request_takes_no_other_with_it(store: RespStore) -> None:
    jobs = make_jobs(5)
    await store.enqueue(jobs)
    await store.client.call(
        "HDEL", f"{store._caller.key}:j", bytes.fromhex(jobs[2].id.replace("-", ""))
    )
    claimer = await Claimer(store).open()

    claimed = await claimer.claim(10)
    again = await claimer.replay()

    left = [job.id for job in jobs if job is not jobs[2]]
    assert [job.id for job in claimed] == left
    assert sorted(job.id for job in again.claimed) == left


async def test_a_named_lane_does_not_starve_the_others(store: RespStore) -> None:
    for name in ("named", "second", "other"):
        await store.enqueue(make_jobs(60, queue=name))
    claimer = await Claimer(store).open()

    served = set[str]()
    for stride in itertools.islice(itertools.cycle((1, 2, 3)), 30):
        claimer.seq += stride - 1
        lanes = [("named", 1), ("second", 1)]
        served |= {job.queue for job in await claimer.claim(1, lanes=lanes, others=1)}

    assert served == {"named", "second", "other"}


async def test_more_lanes_than_one_look_takes_do_not_hide_the_one_for_us(store: RespStore) -> None:
    for number in range(150):
        await store.enqueue([make_job(queue=f"a{number}", execution_backend="gpu")])
    await store.enqueue([make_job(queue="z")])
    claimer = await Claimer(store).open()

    assert [job.queue for job in await claimer.claim(1)] == ["z"]


async def test_what_was_claimed_together_may_end_in_any_order(store: RespStore) -> None:
    chance = random.Random(11)  # noqa: S311
    jobs = make_jobs(400)
    await store.enqueue(jobs)
    claimer = await Claimer(store).open()
    held = list(await claimer.claim(150)) + list(await claimer.claim(250))
    chance.shuffle(held)
    kinds = [Kind.COMPLETE, Kind.COMPLETE, Kind.FAIL, Kind.CANCEL, Kind.RETRY]

    rest = held
    while rest:
        batch, rest = rest[:37], rest[37:]
        ends = [settled(job, chance.choice(kinds), delay_ms=3_600_000) for job in batch]
        answer = await claimer.exchange(ends)
        assert not answer.rejected
        held_now = {job.id for job in (await claimer.replay()).claimed}
        assert held_now == {job.id for job in rest}

    found = await store.get([job.id for job in jobs])
    assert Status.RUNNING not in {job and job.status for job in found}
    assert sum(view.held for view in (await store.count()).leases) == 0


async def test_a_store_that_knows_nothing_of_a_lease_settles_what_it_holds(
    store: RespStore, backend: Any
) -> None:
    await store.enqueue(make_jobs(50))
    claimer = await Claimer(store).open()
    held = await claimer.claim(50)
    async with backend.open() as other:
        claimer.store = other
        answer = await claimer.exchange([settled(job, Kind.COMPLETE) for job in held[::-2]])

        assert not answer.rejected
        assert len((await claimer.replay()).claimed) == 25


async def test_a_cancel_that_comes_between_the_look_and_the_rescue_is_heeded(
    store: RespStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    claimer = await Claimer(store).open(seconds=1)
    job = await running_job(store, claimer)
    shift_clock(store, timedelta(seconds=5))
    run = store._caller.run

    async def meddling(name: str, *words: Any) -> Any:
        if name == "give_back":
            assert await store.cancel([job.id], running=True) == [CancelOutcome.REQUESTED]
        return await run(name, *words)

    monkeypatch.setattr(store._caller, "run", meddling)
    done = await store.maintain(MaintenancePolicy())

    assert [one.new for one in done.moved] == [Status.CANCELLED]
    assert (await look(store, job.id)).status is Status.CANCELLED


async def test_a_failure_that_says_nothing_can_be_read_again(store: RespStore) -> None:
    claimer = await Claimer(store).open()
    job = await running_job(store, claimer)

    await claimer.settle(job, Kind.FAIL, failure=Failure(outcome=""))

    (record,) = (await look(store, job.id)).details.errors
    assert (record.outcome, record.delivery) == ("", 1)


async def test_what_has_no_place_in_the_layout_is_refused_alone(store: RespStore) -> None:
    good, bad = make_job(), make_job(description="x" * 70_000)
    odd = make_job(job_id="nonsense")  # type: ignore[arg-type]
    answers = await store.enqueue([good, bad, odd])
    claimer = await Claimer(store).open()
    (job,) = await claimer.claim(10)

    wrong = Settlement(id=odd.id, delivery=1, kind=Kind.COMPLETE)
    with pytest.raises(SettlementRefused) as refused:
        await claimer.exchange([settled(job, Kind.COMPLETE), wrong])

    assert [one.error is None for one in answers] == [True, False, False]
    assert refused.value.ids == [odd.id]
    assert not (await claimer.settle(job, Kind.COMPLETE)).rejected
