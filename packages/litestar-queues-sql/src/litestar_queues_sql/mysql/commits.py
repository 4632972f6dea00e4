"""Noticing that somebody has committed who does not tell."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from litestar_queues_core.errors import QueueError
from litestar_queues_core.ids import JobId
from litestar_queues_sql.enqueue import statuses
from litestar_queues_sql.mysql.database import MySQLDatabase
from litestar_queues_sql.server import Lend

logger: logging.Logger = logging.getLogger("litestar_queues.mysql")

FIRST_LOOK, LAST_LOOK = 0.02, 0.5
PATIENCE = 60.0
"""Whoever has not committed by then may have rolled back; workers find the jobs by themselves."""
KEPT = 1000


class _Expected(NamedTuple):
    topics: Collection[str]
    until: float


class Commits:
    """Looks whether jobs are there that transactions of the application have enqueued.

    Topics cannot be marked in such a transaction: it would lock the marks of its lanes, and so hold
    up all others who enqueue there, until it commits.

    Args:
        database: The database.
        lend: Lends a connection of our own.
        raise_: Called with the topics of those that are there.
    """

    def __init__(
        self, database: MySQLDatabase, lend: Lend, raise_: Callable[[Collection[str]], None]
    ) -> None:
        self._database = database
        self._lend = lend
        self._raise = raise_
        self._expected: dict[JobId, _Expected] = {}
        self._looking: asyncio.Task[None] | None = None

    def expect(self, job: JobId, topics: Collection[str]) -> None:
        """Raise *topics* once *job* is there for all to see."""
        loop = asyncio.get_running_loop()
        if len(self._expected) < KEPT:
            self._expected[job] = _Expected(topics, loop.time() + PATIENCE)
        if self._looking is None or self._looking.done():
            self._looking = loop.create_task(self._look_often())

    async def stop(self) -> None:
        """Look no more."""
        if self._looking is not None:
            self._looking.cancel()
            with suppress(asyncio.CancelledError):
                await self._looking

    async def _look_often(self) -> None:
        pause = FIRST_LOOK
        while self._expected:
            await asyncio.sleep(pause)
            try:
                pause = FIRST_LOOK if await self._look() else min(pause * 1.5, LAST_LOOK)
            except QueueError as error:
                logger.debug("looking for what was committed: %s", error)
                pause = LAST_LOOK

    async def _look(self) -> bool:
        """Raise the topics of those that are there; return whether there was any."""
        now = asyncio.get_running_loop().time()
        script = partial(statuses, list(self._expected))
        found, _ = await self._database.write_on(self._lend, script)
        there = [self._expected.pop(job) for job in found]
        if there:
            self._raise({topic for one in there for topic in one.topics})
        for job in [job for job, one in self._expected.items() if one.until < now]:
            del self._expected[job]
        return bool(there)
