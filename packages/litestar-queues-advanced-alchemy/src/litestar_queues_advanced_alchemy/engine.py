"""Connections of an engine of SQLAlchemy, as its driver has them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, TypeVar

from sqlalchemy import PoolProxiedConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.util import greenlet_spawn

from litestar_queues_advanced_alchemy.drivers import Driver
from litestar_queues_core.errors import ConfigError
from litestar_queues_sql.driver import Connection, ListeningConnection
from litestar_queues_sql.held import CLOSING

T = TypeVar("T")


class EngineConnections:
    """See :class:`litestar_queues_sql.driver.Connections`.

    Args:
        engine: The engine.
        driver: Its driver.
        notify: Whether notifications are heard, or the DSN of a way past the pooler.
    """

    def __init__(self, engine: AsyncEngine, driver: Driver, *, notify: bool | str) -> None:
        self.refusals: tuple[type[BaseException], ...] = driver.refusals
        self._engine = engine
        self.driver = driver
        self._notify = notify

    async def open(self) -> ListeningConnection:
        """Open a connection beside the pool, with the settings of the engine."""
        with self._connecting():
            raw = await uncut(greenlet_spawn(_connect, self._engine), self._discard)
        connection: ListeningConnection = self.driver.wrap(raw)
        try:
            await self.driver.adopt(raw)
        except BaseException:
            connection.discard()
            raise
        return connection

    @asynccontextmanager
    async def lend(self) -> AsyncGenerator[Connection]:
        """Lend a connection of the pool."""
        async with AsyncExitStack() as stack:
            with self._connecting():
                borrowed = await uncut(self._start(), AsyncConnection.close)
                stack.push_async_exit(borrowed.__aexit__)
                raw = await self._take(borrowed)
                changed = await self.driver.borrow(raw)
            connection: Connection = self.driver.wrap(raw)
            try:
                yield connection
            finally:
                if connection.closed:
                    await borrowed.invalidate()
                elif changed:
                    await self.driver.give_back(raw)

    async def _start(self) -> AsyncConnection:
        return await self._engine.connect()

    async def _discard(self, raw: Any) -> None:
        self.driver.wrap(raw).discard()

    async def _take(self, borrowed: AsyncConnection) -> Any:
        """Return the driver's connection, with no transaction open."""
        while True:
            proxied = await borrowed.get_raw_connection()
            raw: Any = proxied.driver_connection
            if not self.driver.wrap(raw).closed:
                break
            await borrowed.invalidate()
        if self.driver.in_transaction(raw):  # something listens to the pool, and has looked
            await greenlet_spawn(_connection(proxied).commit)
        return raw

    @contextmanager
    def _connecting(self) -> Generator[None]:
        """Let errors of the driver through as it has raised them, or say what is misconfigured."""
        try:
            yield
        except Exception as error:
            found = error.orig if isinstance(error, DBAPIError) else error
            if not isinstance(found, Exception):
                raise
            if any(
                isinstance(one, Exception) and self.driver.misconfigured(one)
                for one in (found, found.__cause__)
            ):
                raise ConfigError(
                    f"{self._engine.dialect.driver} cannot connect as the engine is configured: "
                    f"{found}"
                ) from found
            raise found from found.__cause__

    async def open_listening(self) -> ListeningConnection | None:
        """Open a connection that reaches the server itself."""
        if isinstance(self._notify, str):
            return await self.driver.connect(self._notify)
        return await self.open() if self._notify else None


async def uncut(work: Coroutine[Any, Any, T], undo: Callable[[T], Awaitable[None]]) -> T:
    """Connect, and undo it if the caller is cancelled meanwhile.

    SQLAlchemy 2.0 forgets a connection whose setting up is cut short, and leaves it open.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        try:
            await asyncio.wait([task], timeout=CLOSING)
        finally:  # also if the caller, who closes, has no patience
            task.cancel()
        if task.done() and not task.cancelled() and task.exception() is None:
            await undo(task.result())
        raise


def _connect(engine: AsyncEngine) -> Any:
    """Connect as the pool does, with all that listens to it; then take leave of the pool.

    A pool that is made anew has no connections yet, which could belong to another event loop.
    """
    proxied = engine.sync_engine.pool.recreate().connect()
    raw: Any = proxied.driver_connection
    proxied.detach()
    _connection(proxied).commit()  # what listeners have begun
    return raw


def _connection(proxied: PoolProxiedConnection) -> Any:
    return proxied.dbapi_connection
