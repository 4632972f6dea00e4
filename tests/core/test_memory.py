from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from datetime import timedelta
from functools import partial
from heapq import nsmallest
from types import FrameType
from typing import Any, TypeVar, cast

import pytest
from hypothesis import given, strategies as st

from litestar_queues_core.errors import ConfigError
from litestar_queues_core.model import Event, KeyRule, Status
from litestar_queues_core.protocols import (
    Store,
    SupportsBrowse,
    SupportsEventLog,
    SupportsKeeper,
    SupportsKeys,
    SupportsRemote,
    SupportsSchedules,
    SupportsSignals,
    SupportsTransactions,
)
from litestar_queues_core.settlements import (
    Kind,
    MaintenancePolicy,
)
from litestar_queues_core.stores.memory import MemoryBackendConfig, MemoryStore
from litestar_queues_core.stores.memory.line import Line
from litestar_queues_core.stores.signals import Signals
from litestar_queues_core.testing import (
    Claimer,
    SupportsClockShift,
    make_job,
    make_jobs,
    settled,
    shift_clock,
)

T = TypeVar("T")
Entry = tuple[int, int, str]


def finish(step: Awaitable[T]) -> T:
    """Run what never waits to its end, without an event loop."""
    try:
        cast(Coroutine[Any, Any, T], step).send(None)
    except StopIteration as end:
        return cast(T, end.value)
    raise AssertionError("it waits")


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    async with MemoryBackendConfig().open() as store:
        yield store


async def test_a_configuration_owns_its_jobs() -> None:
    config, other = MemoryBackendConfig(), MemoryBackendConfig()
    job = make_job()

    async with config.open() as store:
        await store.enqueue([job])
    async with config.open() as again, other.open() as empty:
        (known,), (unknown,) = await again.get([job.id]), await empty.get([job.id])

    assert known is not None
    assert unknown is None


@pytest.mark.parametrize("value", [0, -1, 1.5, "many", None, True])
def test_a_bad_number_of_events_is_named(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"MemoryBackendConfig\.max_events must be a whole"):
        MemoryBackendConfig(max_events=value)


async def test_the_abilities_are_those_that_memory_can_have(store: MemoryStore) -> None:
    plain: Store = store
    abilities = (
        SupportsBrowse,
        SupportsKeys,
        SupportsSignals,
        SupportsEventLog,
        SupportsClockShift,
        SupportsKeeper,
        SupportsTransactions,
        SupportsSchedules,
        SupportsRemote,
    )

    assert [isinstance(plain, one) for one in abilities] == [True] * 5 + [False] * 4


async def test_a_job_handed_out_never_changes(store: MemoryStore) -> None:
    await store.enqueue([make_job(retries=3)])
    claimer = await Claimer(store).open()
    first = await claimer.claim_one()

    await claimer.settle(first, Kind.RETRY)
    second = await claimer.claim_one()
    await claimer.settle(second, Kind.COMPLETE, value=b"1")

    assert first is not second
    assert (first.status, first.delivery, first.attempt) == (Status.RUNNING, 1, 0)
    assert (second.status, second.delivery, second.attempt) == (Status.RUNNING, 2, 1)
    assert second.details.result is None


async def test_a_claimed_job_equals_the_stored_one(store: MemoryStore) -> None:
    await store.enqueue([make_job(expires_in_ms=60_000, priority=3, queue="mail")])
    claimer = await Claimer(store).open()

    claimed = await claimer.claim_one()

    assert list(await store.get([claimed.id])) == [claimed]


async def test_a_settlement_that_needs_remote_work_is_rejected(store: MemoryStore) -> None:
    await store.enqueue([make_job()])
    claimer = await Claimer(store).open()
    job = await claimer.claim_one()

    for kind in (Kind.DISPATCH, Kind.DISPATCH_REF, Kind.DISPATCH_FAILED, Kind.DISPATCH_CANCELLED):
        answer = await claimer.settle(job, kind)
        assert list(answer.rejected) == [(job.id, 1)], kind

    assert not (await claimer.settle(job, Kind.COMPLETE)).rejected


async def test_only_so_many_events_are_kept() -> None:
    async with MemoryBackendConfig(max_events=3).open() as store:
        events = [
            Event(
                job_id=make_job().id,
                type="task.log",
                task="t",
                queue="q",
                occurred_ms=0,
                sequence=number,
            )
            for number in range(5)
        ]
        await store.append_events(events[:2])
        _, cursor = await store.read_events({}, after=None, limit=1)
        await store.append_events(events[2:])

        kept, _ = await store.read_events({}, after=None, limit=10)
        followed, _ = await store.read_events({}, after=cursor, limit=10)
        await store.append_events(events[:1])
        again, _ = await store.read_events({}, after=None, limit=10)

    assert list(kept) == list(followed) == events[2:]
    assert list(again) == [*events[3:], events[0]]


async def test_keys_whose_instant_has_passed_are_freed_in_bounded_steps(
    store: MemoryStore,
) -> None:
    rules = [KeyRule(key=name, until=1000) for name in "abc"]
    await store.enqueue([make_job(key=rule) for rule in rules])
    shift_clock(store, timedelta(seconds=2))

    steps = [await store.maintain(MaintenancePolicy(limit=2)) for _ in range(3)]

    assert [one.more for one in steps] == [True, False, False]
    assert list(await store.release_keys(["a", "b", "c"])) == [False] * 3


async def test_waits_leave_nothing_behind() -> None:
    signals = Signals()
    cancelled = asyncio.create_task(signals.wait({"a", "b"}, 10))
    woken = asyncio.create_task(signals.wait({"b", "c"}, 10))
    await asyncio.sleep(0)

    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    signals.raise_all(["b"])

    assert await woken is True
    assert await signals.wait({"a", "c"}, 0.001) is False
    assert not signals.waiting


async def test_a_signal_raised_twice_is_no_error() -> None:
    signals = Signals()
    woken = asyncio.create_task(signals.wait({"lane:a", "lane:*", "job:1"}, 10))
    await asyncio.sleep(0)

    signals.raise_lane("a")
    signals.raise_all(["lane:a", "job:1", "job:1"])

    assert await woken is True


def calls_of(step: Callable[[], object]) -> int:
    """Count the calls, of Python and of C functions, that *step* makes."""
    calls = 0

    def count(_frame: FrameType, event: str, _what: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        step()
    finally:
        sys.setprofile(None)
    return calls


def crowded_store(size: int) -> tuple[MemoryStore, Claimer]:
    """Return a store with so many jobs waiting, waiting elsewhere, in the future and finished."""
    store = MemoryStore()
    claimer = finish(Claimer(store).open())
    finish(store.enqueue(make_jobs(size)))
    done = finish(claimer.claim(size))
    finish(claimer.exchange([settled(job, Kind.COMPLETE) for job in done]))
    finish(store.enqueue(make_jobs(size)))
    finish(store.enqueue(make_jobs(size, queue="other", priority=5, expires_in_ms=60_000)))
    finish(store.enqueue(make_jobs(size, delay_ms=86_400_000)))
    return store, claimer


def costs_of(store: MemoryStore, claimer: Claimer) -> list[int]:
    """Count the calls of two claims and a round of maintenance."""
    steps: list[Awaitable[object]] = [
        claimer.claim(50),
        claimer.claim(50),
        store.maintain(MaintenancePolicy()),
    ]
    return [calls_of(partial(finish, step)) for step in steps]


def test_the_work_of_a_claim_does_not_grow_with_what_else_is_there() -> None:
    few, many = (costs_of(*crowded_store(size)) for size in (100, 5000))

    assert few == many


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["push", "push", "discard", "pop"]),
            st.integers(-2, 2),
            st.integers(0, 20),
            st.sampled_from("abcdefghij"),
        ),
        max_size=200,
    )
)
def test_a_line_is_always_in_order(steps: list[tuple[str, int, int, str]]) -> None:
    line, model = Line(), dict[str, Entry]()
    for step, rank, instant, name in steps:
        smallest = min(model.values(), default=None)
        if step == "push":
            model[name] = (rank, instant, name)
            line.push(model[name])
        elif step == "discard":
            model.pop(name, None)
            line.discard(name)
        else:
            assert line.first() == smallest
            taken = line.pop()
            assert taken == (smallest[2] if smallest else None)
            model.pop(taken or "", None)
        assert len(line) == len(model)

    left = [line.pop() for _ in range(len(model))]
    assert left == [name for _, _, name in nsmallest(len(model), model.values())]
    assert line.pop() is None
    assert line.first() is None


@given(st.lists(st.integers(0, 50)), st.integers(0, 60), st.integers(0, 30))
def test_a_line_gives_what_is_due_and_no_more(instants: list[int], now_ms: int, limit: int) -> None:
    line = Line()
    for number, instant in enumerate(instants):
        line.push((0, instant, f"{number:03}"))

    due = line.pop_due(now_ms, limit)

    expected = sorted((one, f"{number:03}") for number, one in enumerate(instants) if one <= now_ms)
    assert due == [name for _, name in expected[:limit]]
    assert len(line) == len(instants) - len(due)


def test_a_line_does_not_keep_what_was_taken_out_of_it() -> None:
    line = Line()
    for number in range(10_000):
        line.push((-number % 7, number, str(number)))
    for number in range(9_990):
        line.discard(str(number))

    assert len(line) == 10
    assert calls_of(line.first) < 200
    assert line.pop() == "9996"
