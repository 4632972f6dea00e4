"""How a worker stops: step by step, and each step has an end."""

from __future__ import annotations

import logging
from collections.abc import Callable

from litestar_queues_core.loop import now, rest_until
from litestar_queues_core.worker.fetcher import Fetcher
from litestar_queues_core.worker.holdings import Holdings
from litestar_queues_core.worker.run import Stop
from litestar_queues_core.worker.runner import Runner

logger: logging.Logger = logging.getLogger("litestar_queues.worker")

STOPPING = 5.0
FLUSHING = 10.0


class StopLadder:
    """Nothing new is taken; running code may finish; then it is stopped; then all is told.

    Args:
        holdings: What the worker holds.
        fetcher: Takes nothing more once closed.
        runner: Starts nothing more once closed.
        grace: Seconds that running code may go on.
    """

    def __init__(
        self, holdings: Holdings, fetcher: Fetcher, runner: Runner, *, grace: float
    ) -> None:
        self._holdings = holdings
        self._fetcher = fetcher
        self._runner = runner
        self._grace = grace
        self._hurried = 0

    def hurry(self) -> None:
        """Take the step at hand for done."""
        self._hurried += 1
        self._holdings.changed.set()

    async def descend(self) -> None:
        """Go down; what still runs afterwards cannot be stopped."""
        self._fetcher.closing = True
        self._holdings.closing = True
        self._runner.closed = True
        self._fetcher.give_back(age=0.0)
        await self._step(self._grace, hurries=1)
        if self._holdings.running:
            logger.warning("stopping %d jobs after their grace", len(self._holdings.running))
            self._runner.stop_all(Stop.SHUTDOWN)
            await self._step(STOPPING, hurries=2)
        await self._flush()

    async def _step(self, seconds: float, *, hurries: int) -> None:
        await self._until(
            lambda: not self._holdings.running or self._hurried >= hurries, seconds=seconds
        )

    async def _flush(self) -> None:
        self._holdings.wake.set()
        await self._until(
            lambda: not self._unsettled() and not self._fetcher.asking, seconds=FLUSHING
        )
        if left := self._unsettled():
            logger.error("%d settlements could not be recorded; those jobs run again", left)

    async def _until(self, done: Callable[[], bool], *, seconds: float) -> None:
        end = now() + seconds
        changed = self._holdings.changed
        while not done() and (left := end - now()) > 0:
            await rest_until(changed, left)
            changed.clear()

    def _unsettled(self) -> int:
        running = self._holdings.running
        return sum(run not in running for run in self._holdings.held.values())
