"""A connection of asyncpg."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from litestar_queues_sql.driver import Row

driver: Any = import_module("asyncpg")  # it has no types


def misconfigured(error: Exception) -> bool:
    """Return whether *error*, raised by an attempt to connect, is the configuration's fault."""
    wrong = (driver.ClientConfigurationError, asyncio.InvalidStateError, TypeError)
    return isinstance(error, wrong)


class AsyncpgConnection:
    """See :class:`litestar_queues_sql.driver.Connection`.

    Args:
        raw: The connection of asyncpg.
    """

    __slots__ = ("raw",)

    def __init__(self, raw: Any) -> None:
        self.raw = raw

    @property
    def closed(self) -> bool:
        """Whether it can no longer be used."""
        return bool(self.raw.is_closed())

    async def fetch(self, text: str, params: Sequence[object]) -> Sequence[Row]:
        """Execute one statement and return its rows."""
        rows: Sequence[Row] = await self.raw.fetch(text, *params)
        return rows

    async def run_many(self, text: str, rows: Sequence[Sequence[object]]) -> None:
        """Execute one statement for each row; asyncpg sends them together."""
        await self.raw.executemany(text, rows)

    async def run(self, text: str) -> None:
        """Execute statements without parameters."""
        await self.raw.execute(text)

    async def listen(
        self, channel: str, told: Callable[[str], None], lost: Callable[[], None]
    ) -> None:
        """Hear notifications."""

        def on_loss(raw: object) -> None:
            lost()

        def on_notification(raw: object, pid: int, channel: str, payload: str) -> None:
            told(payload)

        self.raw.add_termination_listener(on_loss)
        await self.raw.add_listener(channel, on_notification)

    async def close(self) -> None:
        """Say farewell to the server."""
        await self.raw.close()

    def discard(self) -> None:
        """Cut the connection."""
        self.raw.terminate()
