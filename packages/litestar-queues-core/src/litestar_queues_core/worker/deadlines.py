"""Timeouts of many runs with few timers."""

from __future__ import annotations

import asyncio

from litestar_queues_core.worker.run import Run, Stop

WIDTH = 0.05


class Deadlines:
    """A timer wheel: runs that end within the same twentieth of a second share a timer.

    A run is stopped at its timeout or up to 50 ms later, never before.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._slots: dict[int, set[Run]] = {}

    def add(self, run: Run, timeout: float) -> int:
        """Stop *run* after *timeout* seconds; return the slot to :meth:`remove` it from."""
        slot = int((self._loop.time() + timeout) / WIDTH) + 1
        runs = self._slots.get(slot)
        if runs is None:
            runs = self._slots[slot] = set()
            self._loop.call_at(slot * WIDTH, self._expire, slot)
        runs.add(run)
        return slot

    def remove(self, run: Run, slot: int) -> None:
        """Let *run* go on."""
        runs = self._slots.get(slot)
        if runs is not None:
            runs.discard(run)

    def _expire(self, slot: int) -> None:
        for run in self._slots.pop(slot):
            run.stop(Stop.TIMEOUT)
