"""Processes that can be frozen and killed, though they are none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import ContextVar, copy_context
from typing import Any


class Process:
    """Everything that runs on behalf of one simulated process.

    What it starts carries its context, so the loop knows whose every callback is.

    Attributes:
        name: What it is called in the story.
        skew: How many seconds its clock is ahead of the store's.
        steps: How many of its callbacks have run.
        dead: Whether it was killed: none of its code runs any more, not even ``finally``.
        frozen: Whether it was stopped; what falls due meanwhile is in ``kept``.
        froze: Whether it was ever frozen.
        ended: Whether it has stopped of its own accord.
        kept: What it has missed.
        fault: What strikes at ``fault_at``, in the middle of its code.
        fault_at: After how many of its callbacks.
    """

    def __init__(self, name: str, skew: float = 0.0) -> None:
        self.name = name
        self.skew = skew
        self.steps = 0
        self.dead = False
        self.frozen = False
        self.froze = False
        self.ended = False
        self.kept: list[asyncio.Handle] = []
        self.fault: Callable[[], None] | None = None
        self.fault_at = 0
        self._context = copy_context()
        self._context.run(PROCESS.set, self)

    def __repr__(self) -> str:
        return self.name

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run *coroutine* in this process."""
        return asyncio.Task(
            coroutine, loop=asyncio.get_running_loop(), context=self._context.copy()
        )

    def admits(self, handle: asyncio.Handle) -> bool:
        """Return whether a callback of this process may run now; keep it if it is frozen."""
        if self.dead:
            return False
        if not self.frozen:
            self.steps += 1
            if self.fault is not None and self.steps >= self.fault_at:
                fault, self.fault = self.fault, None
                fault()
        if self.frozen:
            self.kept.append(handle)
        return not (self.frozen or self.dead)

    def kill(self) -> None:
        """SIGKILL."""
        self.dead = True
        self.kept.clear()

    def freeze(self) -> None:
        """SIGSTOP."""
        self.frozen = self.froze = True


PROCESS: ContextVar[Process | None] = ContextVar("simulated_process", default=None)
