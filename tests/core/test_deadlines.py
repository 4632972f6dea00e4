"""Timeouts of many runs with few timers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from litestar_queues_core.model import Job, Status
from litestar_queues_core.testing.jobs import make_job
from litestar_queues_core.worker.deadlines import WIDTH, Deadlines
from litestar_queues_core.worker.run import Run, Stop


def new_run() -> Run:
    return Run(Job(new=make_job(), status=Status.RUNNING, lane="q", due_ms=0), 0.0)


class CountingLoop:
    """The running loop, which remembers the timers that were asked of it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.timers: list[asyncio.TimerHandle] = []

    def time(self) -> float:
        return self._loop.time()

    def call_at(self, when: float, callback: Any, *args: Any) -> asyncio.TimerHandle:
        self.timers.append(self._loop.call_at(when, callback, *args))
        return self.timers[-1]

    @property
    def waiting(self) -> int:
        return sum(not timer.cancelled() for timer in self.timers)


@pytest.fixture
async def loop() -> AsyncIterator[CountingLoop]:
    counting = CountingLoop()
    yield counting
    for timer in counting.timers:
        timer.cancel()


async def test_a_run_is_stopped_at_its_timeout_or_a_little_later() -> None:
    loop = asyncio.get_running_loop()
    deadlines, run = Deadlines(loop), new_run()
    started = loop.time()
    deadlines.add(run, 0.1)

    while run.stopped is None:
        await asyncio.sleep(0.001)

    assert run.stopped is Stop.TIMEOUT
    assert loop.time() - started >= 0.1


async def test_runs_that_end_about_the_same_time_share_a_timer(loop: CountingLoop) -> None:
    deadlines: Deadlines = Deadlines(loop)  # type: ignore[arg-type]

    for number in range(1000):
        deadlines.add(new_run(), 100 + WIDTH * (number % 3))

    assert len(loop.timers) <= 6  # the loop goes on meanwhile


async def test_no_timer_is_kept_for_runs_that_have_ended(loop: CountingLoop) -> None:
    deadlines: Deadlines = Deadlines(loop)  # type: ignore[arg-type]
    first, second = new_run(), new_run()
    slots = [
        deadlines.add(run, 100 + 2 * WIDTH * n) for n, run in enumerate((first, first, second))
    ]

    deadlines.remove(first, slots[0])
    deadlines.remove(first, slots[1])
    assert loop.waiting == len(set(slots)) - 2 >= 1
    deadlines.remove(second, slots[2])

    assert loop.waiting == 0


async def test_a_slot_can_be_used_again(loop: CountingLoop) -> None:
    deadlines: Deadlines = Deadlines(loop)  # type: ignore[arg-type]
    gone, run = new_run(), new_run()
    deadlines.remove(gone, deadlines.add(gone, 0.01))
    deadlines.add(run, 0.01)

    while run.stopped is None:
        await asyncio.sleep(0.001)

    assert gone.stopped is None


async def test_a_run_may_be_removed_after_its_timeout() -> None:
    deadlines, run = Deadlines(asyncio.get_running_loop()), new_run()
    slot = deadlines.add(run, 0.001)
    while run.stopped is None:
        await asyncio.sleep(0.001)

    deadlines.remove(run, slot)

    assert run.stopped is Stop.TIMEOUT
