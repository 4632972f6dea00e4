"""Timeouts of many runs with few timers."""

from __future__ import annotations

import asyncio

from litestar_queues_core.worker.run import Run, Stop

WIDTH = 0.05


class Slot:
    """The runs of a twentieth of a second, and their timer."""

    __slots__ = ("runs", "timer")

    def __init__(self, timer: asyncio.TimerHandle) -> None:
        self.runs: dict[Run, None] = {}
        self.timer = timer


class Deadlines:
    """A timer wheel: runs that end within the same twentieth of a second share a timer.

    A run is stopped at its timeout or up to 50 ms later, never before.
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
        for run in self._slots.pop(number).runs:
            run.stop(Stop.TIMEOUT)
