"""A connection that is kept, and opened anew when it has been lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from litestar_queues_sql.driver import Connection

CLOSING = 2.0


class HeldConnection:
    """One connection, for one operation after the other.

    Args:
        open_: Opens it.
    """

    def __init__(self, open_: Callable[[], Awaitable[Connection]]) -> None:
        self._open = open_
        self._lock = asyncio.Lock()
        self._connection: Connection | None = None

    @asynccontextmanager
    async def lend(self) -> AsyncGenerator[Connection]:
        """Lend it, once nobody else uses it."""
        async with self._lock:
            if self._connection is None or self._connection.closed:
                self._connection = None
                self._connection = await self._open()
            yield self._connection

    async def close(self) -> None:
        """Close it, if it is open."""
        async with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None and not connection.closed:
                await farewell(connection)


@asynccontextmanager
async def opened(open_: Callable[[], Awaitable[Connection]]) -> AsyncGenerator[Connection]:
    """Open a connection for as long as the context lasts."""
    connection = await open_()
    try:
        yield connection
    finally:
        if not connection.closed:
            await farewell(connection)


async def farewell(connection: Connection) -> None:
    """Close a connection, and do not wait long for the server."""
    try:
        with suppress(Exception):
            async with asyncio.timeout(CLOSING):
                await connection.close()
    finally:
        if not connection.closed:
            connection.discard()
