"""Timeouts of many runs with few timers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from litestar_queues_core.worker.run import Run, Stop

logger: logging.Logger = logging.getLogger("litestar_queues.jobs")

WIDTH = 0.05
NOTICE = 1.0
"""Seconds that code has to come to its end at its timeout, before it is said to be overdue."""


class Slot:
    """The runs of a twentieth of a second, and their timer."""

    __slots__ = ("runs", "timer")

    def __init__(self, timer: asyncio.TimerHandle) -> None:
        self.runs: dict[Run, None] = {}
        self.timer: asyncio.TimerHandle = timer


class Deadlines:
    """A timer wheel: runs that end within the same twentieth of a second share a timer.

    A run is stopped at its timeout or up to 50 ms later, never before.  One whose code goes on
    nevertheless, as a thread must, is logged as overdue.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._slots: dict[int, Slot] = {}

    def add(self, run: Run, timeout: float) -> int:
        """Stop *run* after *timeout* seconds; return the slot to :meth:`remove` it from."""
        number = int((self._loop.time() + timeout) / WIDTH) + 1
        slot = self._slots.get(number)
        if slot is None:
            timer = self._loop.call_at(number * WIDTH, self._expire, number)
            slot = self._slots[number] = Slot(timer)
        slot.runs[run] = None
        return number

    def remove(self, run: Run, number: int) -> None:
        """Let *run* go on; the last one to leave a slot stops its timer."""
        slot = self._slots.get(number)
        if slot is not None:
            slot.runs.pop(run, None)
            if not slot.runs:
                slot.timer.cancel()
                del self._slots[number]

    def _expire(self, number: int) -> None:
        runs = self._slots.pop(number).runs
        for run in runs:
            run.stop(Stop.TIMEOUT)
        self._loop.call_at(self._loop.time() + NOTICE, _complain, runs)


def _complain(runs: Iterable[Run]) -> None:
    for run in runs:
        if not run.ended:
            logger.warning(
                "%s %s: past its timeout of %g s, it is overdue; its %s goes on",
                run.job.task,
                run.job.id,
                run.job.new.spec.timeout,
                "code" if run.context is None or run.context.definition.is_async else "thread",
            )
