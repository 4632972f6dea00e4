"""Drivers of SQLSpec as sessions: enqueueing in their transactions, and completing."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

from litestar_queues_core.errors import SessionError, TransactionError
from litestar_queues_sql.driver import Connection
from litestar_queues_sql.spares import Spares

MOST = 10
"""Sessions of our own at a time, where the application has opened no pool."""


class Wrapped(Connection, Protocol):
    """A connection of a driver as one that the store can use."""

    @property
    def raw(self) -> Any:
        """The connection of the driver."""
        ...


class DriverSessions:
    """See :class:`litestar_queues_sql.sessions.Sessions`; what all drivers of SQLSpec share.

    Args:
        config: The configuration of SQLSpec.
        wrap: Makes a connection of a driver one that the store can use.
        in_transaction: Whether a transaction is open on such a connection.
        gone: What a driver raises that has been given back to its pool.
        begins: Whether a driver has promised to begin a transaction with its next statement.
        block: How a transaction is opened.
    """

    def __init__(
        self,
        config: Any,
        wrap: Callable[[Any], Connection],
        *,
        in_transaction: Callable[[Any], bool],
        gone: type[Exception] | tuple[type[Exception], ...] = (),
        begins: Callable[[Any], bool] = lambda session: False,
        block: str = "async with driver.transaction():",
    ) -> None:
        self.kinds: str = (
            f"the {config.driver_type.__name__} of SQLSpec with an open transaction: `{block}`"
        )
        self._config = config
        self._wrap = wrap
        self._in_transaction = in_transaction
        self._gone = gone
        self._begins = begins
        self._block = block

    def accepts(self, session: object) -> bool:
        """Return whether it is a driver of this adapter; one derived from it is another's."""
        kind, ours = type(session), self._config.driver_type
        return isinstance(session, ours) and kind.__module__.startswith(ours.__module__)

    async def connection(self, session: Any) -> Connection:
        """Return the connection of a driver whose transaction is open."""
        kind = type(session).__name__
        try:
            connection = self._wrap(session.connection)
            if connection.closed:
                raise SessionError(f"the connection of the {kind} is closed; open another session")
            if not (self._in_transaction(session.connection) or self._begins(session)):
                raise SessionError(
                    f"the {kind} has no open transaction, or none any more: put what belongs "
                    f"together into `{self._block}`; leave session= out where nothing belongs "
                    "together"
                )
        except self._gone as error:
            raise SessionError(
                f"the {kind} was given back to its pool; use it inside its own block ({error})"
            ) from error
        return connection

    def after_commit(self, session: Any, call: Callable[[], None]) -> bool:
        """There is no such hook."""
        return False


class AsyncSessions(DriverSessions):
    """Drivers that are used with ``await``."""

    def blocks(self, session: Any) -> bool:
        """Its statements are awaited."""
        return False

    @asynccontextmanager
    async def begin(self) -> AsyncGenerator[Any]:
        """Open a driver with a transaction, on the pool of the application if it has opened it."""
        own = self._config.connection_instance is None
        async with (
            self.own() if own else self._config.provide_session() as session,
            session.transaction(),
        ):
            yield session

    def own(self) -> AbstractAsyncContextManager[Any]:
        """Open a driver on a connection of our own."""
        raise NotImplementedError


class ServerSessions(AsyncSessions):
    """Those of a database server.

    Args:
        config: The configuration of SQLSpec.
        open_: Opens a connection beside the pool.
        wrap: Makes a connection of a driver one that the store can use.
        **rest: See :class:`DriverSessions`.
    """

    def __init__(
        self, config: Any, open_: Callable[[], Any], wrap: Callable[[Any], Connection], **rest: Any
    ) -> None:
        super().__init__(config, wrap, **rest)
        self._spares: Spares[Wrapped] = Spares(open_, most=MOST)

    @asynccontextmanager
    async def own(self) -> AsyncGenerator[Any]:
        """Open a driver on a connection of our own."""
        config = self._config
        async with self._spares.lend() as connection:
            try:
                yield config.driver_type(
                    connection.raw, config.statement_config, config.driver_features
                )
            finally:
                if not connection.closed and self._in_transaction(connection.raw):
                    connection.discard()

    async def close(self) -> None:
        """Close our own connections."""
        await self._spares.close()


class BlockingSessions(DriverSessions):
    """Drivers that block: jobs are enqueued through them, and completed without them."""

    def __init__(
        self, config: Any, wrap: Callable[[Any], Connection], *, instead: str, **rest: Any
    ) -> None:
        super().__init__(config, wrap, block="with driver.transaction():", **rest)
        self._instead = instead

    def blocks(self, session: Any) -> bool:
        """They do."""
        return True

    def begin(self) -> AbstractAsyncContextManager[Any]:
        """Say why there is none."""
        raise TransactionError(
            f"ctx.transaction() needs sessions that are awaited, and those of a "
            f"{type(self._config).__name__} block: give the queue {self._instead} of the same "
            "database"
        )

    async def close(self) -> None:
        """There is nothing to close."""
