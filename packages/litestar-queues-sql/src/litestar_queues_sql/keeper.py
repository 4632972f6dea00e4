"""Keeping a lease on a connection of its own, from a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Generator
from contextlib import contextmanager
from functools import partial
from typing import TypeAlias, TypeVar

from litestar_queues_core.asking import renewal_deadline
from litestar_queues_core.ids import LeaseId
from litestar_queues_core.settlements import Renewal
from litestar_queues_sql import leases
from litestar_queues_sql.driver import Connection
from litestar_queues_sql.held import HeldConnection
from litestar_queues_sql.script import Factory
from litestar_queues_sql.server import ServerDatabase

T = TypeVar("T")

Tell: TypeAlias = Callable[[Connection, Collection[str]], Awaitable[None]]


class ServerKeeper:
    """Keeps leases, blocking.

    Args:
        database: The database.
        tell: Tells other processes the topics of closed leases, on a connection.
        told: Called with them, on this thread.
        runner: The event loop of this thread.
    """

    def __init__(
        self,
        database: ServerDatabase,
        tell: Tell,
        told: Callable[[Collection[str]], None],
        runner: asyncio.Runner,
    ) -> None:
        self._database = database
        self._tell = tell
        self._told = told
        self._runner = runner
        self._held = runner.run(_make(database))

    def renew(self, lease: LeaseId, *, seconds: float) -> Renewal:
        """Let a lease last from now."""
        script = partial(leases.renew, lease, seconds)
        return self._runner.run(self._write(script, within=renewal_deadline(seconds)))

    def close_lease(self, lease: LeaseId) -> None:
        """End a lease and give its jobs back."""
        self._runner.run(self._write(partial(leases.close_lease, lease)))

    def close(self) -> None:
        """Close the connection."""
        self._runner.run(self._held.close())

    async def _write(self, script: Factory[T], *, within: float | None = None) -> T:
        result, topics = await self._database.write_on(self._held.lend, script, within=within)
        if topics:
            self._told(topics)
            await self._database.attempt(
                self._held.lend, lambda connection: self._tell(connection, topics)
            )
        return result


async def _make(database: ServerDatabase) -> HeldConnection:
    return HeldConnection(database.connections.open)


@contextmanager
def keeper(
    database: ServerDatabase, tell: Tell, told: Callable[[Collection[str]], None]
) -> Generator[ServerKeeper]:
    """Open a keeper for the calling thread."""
    with asyncio.Runner() as runner:
        made = ServerKeeper(database, tell, told, runner)
        try:
            yield made
        finally:
            made.close()
