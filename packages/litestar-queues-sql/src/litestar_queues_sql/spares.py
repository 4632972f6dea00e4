"""A few connections for an application that has opened no pool."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from litestar_queues_sql.driver import Connection
from litestar_queues_sql.held import farewell

C = TypeVar("C", bound=Connection)

MOST = 2


class Spares(Generic[C]):
    """Opened when needed, a few at a time, and kept for the next.

    Args:
        open_: Opens one.
        most: How many at a time.
    """

    def __init__(self, open_: Callable[[], Awaitable[C]], *, most: int = MOST) -> None:
        self._open = open_
        self._places = asyncio.Semaphore(most)
        self._idle: list[C] = []

    @asynccontextmanager
    async def lend(self) -> AsyncGenerator[C]:
        """Lend one for one operation."""
        async with self._places:
            connection = await self._take()
            try:
                yield connection
            finally:
                if not connection.closed:
                    self._idle.append(connection)

    async def _take(self) -> C:
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed:
                return connection
        return await self._open()

    async def close(self) -> None:
        """Close them."""
        while self._idle:
            await farewell(self._idle.pop())
