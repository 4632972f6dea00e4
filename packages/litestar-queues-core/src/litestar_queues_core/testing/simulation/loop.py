"""An event loop whose time is made, not measured."""

from __future__ import annotations

import asyncio
import gc
import heapq
import os
import random
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import Context, copy_context
from itertools import count
from typing import Any, NamedTuple
from unittest.mock import patch

from litestar_queues_core.ids import forget_ids
from litestar_queues_core.testing.simulation.process import PROCESS, Process

EPOCH = 1_800_000_000.0
STEP = 1e-5


class Stuck(RuntimeError):
    """Nothing is left to run, now or later, and nobody can wake what waits."""


class Turn(NamedTuple):
    """One callback, and the simulated process it belongs to."""

    handle: asyncio.Handle
    process: Process | None


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs callbacks in order; when none is ready, its clock jumps to the next timer.

    Every callback takes ten virtual microseconds, so that a busy wait gets somewhere.  Callbacks of
    a process that is frozen are kept until it thaws, those of a dead one are dropped.

    Attributes:
        steps: How many callbacks have run.
    """

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0
        self._virtual = 0.0
        self._turns: deque[Turn] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle, Process | None]] = []
        self._numbers = count()
        self._halting = False

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._virtual

    def stop(self) -> None:
        """Stop before the next callback."""
        super().stop()
        self._halting = True

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Run *callback* after those that are ready now."""
        context = context or copy_context()
        handle = asyncio.Handle(callback, args, self, context)
        self._turns.append(Turn(handle, context.get(PROCESS)))
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run *callback* once *delay* virtual seconds have gone by."""
        return self.call_at(self._virtual + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run *callback* at a virtual time."""
        context = context or copy_context()
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        entry = (when, next(self._numbers), timer, context.get(PROCESS))
        heapq.heappush(self._timers, entry)
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Nothing to count: a cancelled timer is passed over when its time comes."""

    def _run_once(self) -> None:
        self._take_due()
        for _ in range(len(self._turns)):
            if self._halting:
                self._halting = False
                return
            turn = self._turns.popleft()
            if not turn.handle.cancelled():
                self._take(turn)

    def _take_due(self) -> None:
        timers = self._timers
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)
        if not self._turns:
            if not timers:
                raise Stuck("everybody waits, and nobody is left to wake them")
            self._virtual = max(self._virtual, timers[0][0])
        while timers and timers[0][0] <= self._virtual:
            _, _, timer, process = heapq.heappop(timers)
            self._turns.append(Turn(timer, process))

    def _take(self, turn: Turn) -> None:
        self.steps += 1
        self._virtual += STEP
        process = turn.process
        if process is None or process.admits(turn.handle):
            turn.handle._run()

    def thaw(self, process: Process) -> None:
        """Let a frozen process go on with what it has missed."""
        process.frozen = False
        kept, process.kept = process.kept, []
        self._turns.extend(Turn(handle, process) for handle in kept)


@contextmanager
def reproducible(loop: VirtualLoop, seed: int) -> Generator[None]:
    """Let the wall clock follow *loop*, and let everything random follow from *seed*."""
    source = random.Random(seed)  # noqa: S311
    state, collecting = random.getstate(), gc.isenabled()
    gc.disable()  # a collection runs finalizers, and when it comes depends on what was before
    random.seed(seed)
    forget_ids()

    def now() -> float:
        process = PROCESS.get()
        return EPOCH + loop.time() + (process.skew if process else 0.0)

    patches = (
        patch.object(time, "time", now),
        patch.object(time, "time_ns", lambda: int(now() * 1e9)),
        patch.object(os, "urandom", source.randbytes),
    )
    try:
        with patches[0], patches[1], patches[2]:
            yield
    finally:
        random.setstate(state)
        forget_ids()
        if collecting:
            gc.enable()
