"""Telling other processes what was raised here, and hearing what they raise.

All hints: nothing depends on them but how soon something is noticed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from uuid import uuid4

from litestar_queues_sql.driver import Connection, Connections, ListeningConnection
from litestar_queues_sql.held import CLOSING, farewell
from litestar_queues_sql.signals import Signals

logger: logging.Logger = logging.getLogger("litestar_queues.postgres")

INTERVAL = 0.01
LONGEST = 7500
KEPT = 2000
ENDS = "ends"
ENDS_SECONDS = 30.0
FIRST_PAUSE, LAST_PAUSE = 0.1, 5.0
TELL = "SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS told (payload)"
DEADLINE = 10.0
HEARING = 2.0


class Notifier:
    """One connection that listens, and that tells others at most once in ten milliseconds.

    The ends of jobs are told only while somebody has asked for it, wherever that may be.

    Args:
        connections: Where the connection comes from.
        channel: The channel that all stores on these tables share.
        signals: Who waits in this process.
        heard: Called with the topics that are raised, here or elsewhere.
    """

    def __init__(
        self,
        connections: Connections,
        channel: str,
        signals: Signals,
        heard: Callable[[Collection[str]], None],
    ) -> None:
        self.channel = channel
        self._heard = heard
        self._connections = connections
        self._signals = signals
        self._origin = uuid4().hex[:12]
        self._pending: dict[str, None] = {}
        self._stirred = asyncio.Event()
        self._ends_until = 0.0
        self._asked_until = 0.0
        self._trial = ""
        self._trial_heard = asyncio.Event()
        self._connection: ListeningConnection | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def tells(self) -> bool:
        """Whether other processes are told of anything."""
        return self._task is not None

    async def start(self) -> None:
        """Connect, and go on connecting; raises what is wrong the first time."""
        connection = await self._connect()
        if connection is not None:
            self._task = asyncio.create_task(self._run(connection))

    async def stop(self) -> None:
        """Tell what is left to tell, and disconnect."""
        if self._task is None:
            return
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        if self._connection is not None and not self._connection.closed:
            with suppress(Exception):
                async with asyncio.timeout(CLOSING):
                    await self._tell(self._connection)
            await farewell(self._connection)

    def raise_(self, topics: Collection[str]) -> None:
        """Raise topics, here and in other processes."""
        self._heard(topics)
        self._signals.raise_(topics)
        if self._task is None:
            return
        ends = time.monotonic() < self._ends_until
        self._pend(topic for topic in topics if ends or not topic.startswith("job:"))

    async def tell_on(self, connection: Connection, topics: Collection[str]) -> None:
        """Tell other processes at once, on any connection and from any thread."""
        told = list(payloads("keeper", topics))
        await connection.fetch(TELL, (self.channel, told))

    async def hears(self, connection: Connection) -> bool:
        """Return whether what is told on another connection is heard here, before long."""
        self._trial = uuid4().hex
        self._trial_heard.clear()
        await connection.fetch(TELL, (self.channel, [self._trial]))
        with suppress(TimeoutError):
            async with asyncio.timeout(HEARING):
                await self._trial_heard.wait()
        return self._trial_heard.is_set()

    def ask_for_ends(self) -> None:
        """Let other processes tell the ends of jobs, for a while."""
        now = time.monotonic()
        if self._task is not None and now > self._asked_until:
            self._asked_until = now + ENDS_SECONDS / 2
            self._pend([ENDS])

    def _pend(self, topics: Iterable[str]) -> None:
        for topic in topics:
            self._pending[topic] = None
        if self._pending:
            self._stirred.set()

    async def _run(self, connection: ListeningConnection) -> None:
        pause = FIRST_PAUSE
        while True:
            began = time.monotonic()
            await self._tell_all(connection)
            if time.monotonic() - began > LAST_PAUSE:
                pause = FIRST_PAUSE
            logger.warning("the connection that hears notifications was lost; making another")
            while True:
                await asyncio.sleep(pause)
                pause = min(pause * 2, LAST_PAUSE)
                with suppress(Exception):
                    again = await self._connect()
                    if again is not None:
                        connection = again
                        break
            self._signals.raise_everything()

    async def _connect(self) -> ListeningConnection | None:
        async with asyncio.timeout(DEADLINE):
            connection = await self._connections.open_listening()
            if connection is None:
                return None
            self._connection = connection
            try:
                await connection.listen(self.channel, self._told, self._stirred.set)
            except BaseException:
                connection.discard()
                raise
        return connection

    async def _tell_all(self, connection: ListeningConnection) -> None:
        """Tell what is raised, until the connection is lost."""
        while not connection.closed:
            await self._stirred.wait()
            self._stirred.clear()
            try:
                async with asyncio.timeout(DEADLINE):
                    await self._tell(connection)
            except Exception as error:  # noqa: BLE001  (whatever it is, another connection is made)
                logger.debug("telling others: %s", error)
                connection.discard()
                return
            await asyncio.sleep(INTERVAL)

    async def _tell(self, connection: ListeningConnection) -> None:
        pending, self._pending = list(self._pending)[:KEPT], {}
        if pending and not connection.closed:
            await connection.fetch(TELL, (self.channel, list(payloads(self._origin, pending))))

    def _told(self, payload: str) -> None:
        if payload == self._trial:
            self._trial_heard.set()
        origin, *topics = payload.split(" ")
        if origin == self._origin:
            return
        if ENDS in topics:
            self._ends_until = time.monotonic() + ENDS_SECONDS
            topics.remove(ENDS)
        self._heard(topics)
        self._signals.raise_(topics)


def payloads(origin: str, topics: Iterable[str]) -> Iterator[str]:
    """Return what is told of *topics*, in pieces that the server takes."""
    piece = origin
    for topic in topics:
        if len(piece) + len(topic) >= LONGEST:
            yield piece
            piece = origin
        piece += f" {topic}"
    yield piece
