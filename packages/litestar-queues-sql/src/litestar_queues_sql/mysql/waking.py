"""Telling other processes what was raised here, and looking what they raise.

All hints: nothing depends on them but how soon something is noticed.  There are no notifications,
so topics are marked in a table, at most once in twenty milliseconds; and the table is looked at
while somebody waits.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Generator
from contextlib import contextmanager, suppress
from itertools import chain
from uuid import uuid4

from litestar_queues_core.errors import QueueError
from litestar_queues_core.ids import JobId
from litestar_queues_sql import browse
from litestar_queues_sql.driver import Connection
from litestar_queues_sql.mysql.database import MySQLDatabase
from litestar_queues_sql.script import Script, Sql
from litestar_queues_sql.server import Lend
from litestar_queues_sql.signals import Signals

logger: logging.Logger = logging.getLogger("litestar_queues.mysql")

TELL_SECONDS = 0.02
FIRST_LOOK, LAST_LOOK = 0.04, 0.25
PATIENCE = 1.0
KEPT = 1000

_MARKS = Sql("SELECT topic, origin, raised FROM $signal")
_MARK = Sql("REPLACE INTO $signal (topic, origin, raised) $rows")


class Waker:
    """Marks topics, and looks for marks of others.

    Args:
        database: The database.
        lend: Lends a connection of our own.
        signals: Who waits in this process.
    """

    def __init__(self, database: MySQLDatabase, lend: Lend, signals: Signals) -> None:
        self._database = database
        self._lend = lend
        self._signals = signals
        self._origin = uuid4().hex[:12]
        self._pending: dict[str, None] = {}
        self._stirred = asyncio.Event()
        self._watched = asyncio.Event()
        self._watchers = 0
        self._marks: dict[str, tuple[str, int]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin; what was raised before is no news."""
        await self._look(tell=False)
        self._tasks = [asyncio.create_task(one) for one in (self._tell(), self._watch())]

    async def stop(self) -> None:
        """Tell what is left to tell."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
        if self._pending:
            with suppress(QueueError):
                await self._mark()

    def raise_(self, topics: Collection[str]) -> None:
        """Raise topics, here and in other processes; the ends of jobs they see in the history."""
        self._signals.raise_(topics)
        for topic in topics:
            if not topic.startswith("job:"):
                self._pending[topic] = None
        if self._pending:
            self._stirred.set()

    @contextmanager
    def watching(self) -> Generator[None]:
        """Look for what others raise in this block."""
        self._watchers += 1
        self._watched.set()
        try:
            yield
        finally:
            self._watchers -= 1
            if not self._watchers:
                self._watched.clear()

    async def _tell(self) -> None:
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            try:
                await self._mark()
                await asyncio.sleep(TELL_SECONDS)
            except QueueError as error:
                logger.debug("telling others: %s", error)
                await asyncio.sleep(PATIENCE)

    async def _mark(self) -> None:
        pending, self._pending = list(self._pending)[:KEPT], {}
        await self._database.attempt(
            self._lend, lambda connection: self.mark_on(connection, pending)
        )

    async def mark_on(self, connection: Connection, topics: Collection[str]) -> None:
        """Tell other processes at once, on any connection and from any thread."""
        raised = time.time_ns()
        rows = sorted((topic, self._origin, raised) for topic in topics if topic[:4] != "job:")
        if rows:
            text = self._database.texts.of_rows(_MARK, len(rows), 3)
            await connection.fetch(text, list(chain.from_iterable(rows)))

    async def _watch(self) -> None:
        pause = FIRST_LOOK
        while True:
            if not self._watched.is_set():
                pause = FIRST_LOOK
                await self._watched.wait()
            await asyncio.sleep(pause)
            try:
                pause = FIRST_LOOK if await self._look() else min(pause * 1.5, LAST_LOOK)
            except QueueError as error:
                logger.warning("looking for what others have raised: %s; trying again", error)
                pause = PATIENCE

    async def _look(self, *, tell: bool = True) -> bool:
        """Raise here what others have raised, or what has ended; return whether there was any."""
        ids = [JobId(topic[4:]) for topic in self._signals.waiting_for("job:")]

        def script() -> Script[tuple[list[tuple[str, str, int]], list[JobId]]]:
            marks: list[tuple[str, str, int]] = yield _MARKS()
            return marks, (yield from browse.ended(ids)) if ids else []

        (rows, ended), _ = await self._database.write_on(self._lend, script)
        marks = {topic: (origin, raised) for topic, origin, raised in rows}
        news = [
            topic
            for topic, mark in marks.items()
            if mark[0] != self._origin and self._marks.get(topic) != mark
        ]
        self._marks = marks
        news += [f"job:{job_id}" for job_id in ended]
        if tell and news:
            self._signals.raise_(news)
        return bool(news)
