"""Sessions of SQLAlchemy: enqueueing in their transactions, and completing."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from advanced_alchemy.config import SQLAlchemyAsyncConfig
from sqlalchemy import Connection as AlchemyConnection, Insert
from sqlalchemy.exc import InvalidRequestError, UnboundExecutionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session
from sqlalchemy.orm import Session, scoped_session

from litestar_queues_advanced_alchemy.blocking import autocommits, blocking_connection
from litestar_queues_advanced_alchemy.drivers import Driver
from litestar_queues_advanced_alchemy.systems import System, is_of
from litestar_queues_advanced_alchemy.waking import wakes_of
from litestar_queues_core.errors import SessionError
from litestar_queues_sql.driver import Connection

_OURS = "litestar_queues_settles"
_SCOPED = (async_scoped_session, scoped_session)


class AlchemySessions:
    """See :class:`litestar_queues_sql.sessions.Sessions`.

    Args:
        config: The configuration, which makes sessions.
        driver: The driver of its engine.
        system: Its database system.
        writing: A statement that writes to the queue: sessions with several databases choose by it.
    """

    def __init__(
        self, config: SQLAlchemyAsyncConfig, driver: Driver, system: System, writing: Insert
    ) -> None:
        self.kinds: str = f"an AsyncSession or a Session of SQLAlchemy on {system.name}"
        self._system = system
        self._config = config
        self._driver = driver
        self._writing = writing
        self._bind = {"clause": writing}

    def accepts(self, session: object) -> bool:
        """Return whether it is a session of the database system."""
        if not isinstance(session, (AsyncSession, Session, *_SCOPED)):
            return False
        try:
            bind = _sync(session).get_bind(clause=self._writing)
        except UnboundExecutionError:  # said when it is used
            return True
        return is_of(self._system, bind.dialect.name)

    def blocks(self, session: Any) -> bool:
        """Return whether it is a ``Session``."""
        return not isinstance(session, (AsyncSession, async_scoped_session))

    async def connection(self, session: Any) -> Connection:
        """Return the connection on which the session's transaction is open."""
        try:
            if self.blocks(session):
                return self._of_blocking(_sync(session))
            return await self._of_async(session)
        except InvalidRequestError as error:
            raise SessionError(
                f"the {type(session).__name__} cannot write ({error}): use it inside its own block "
                "and transaction, `async with session.begin():`, and roll it back after an error"
            ) from error

    async def _of_async(self, session: AsyncSession) -> Connection:
        if _flushes(_sync(session)):
            await session.flush()
        connection = await session.connection(bind_arguments=self._bind)
        raw = await _raw(connection)
        if not await self._driver.joins(connection, raw):
            raise autocommits(type(session).__name__)
        wrapped: Connection = self._driver.wrap(raw)
        return wrapped

    def _of_blocking(self, session: Session) -> Connection:
        if _flushes(session):
            session.flush()
        connection: AlchemyConnection = session.connection(bind_arguments=self._bind)
        if connection.dialect.is_async:
            raise SessionError(
                "the Session belongs to an AsyncSession: give that to `await service.enqueue(..., "
                "session=...)`, outside of run_sync()"
            )
        raw: Any = connection.connection.driver_connection
        return blocking_connection(connection.dialect.driver, raw)

    @asynccontextmanager
    async def begin(self) -> AsyncGenerator[AsyncSession]:
        """Open a session of the configuration, with a transaction."""
        async with self._config.get_session() as session, session.begin():
            _sync(session).info[_OURS] = True
            yield session

    def after_commit(self, session: Any, call: Callable[[], None]) -> bool:
        """Call *call* once the session has committed, for good and not a savepoint."""
        wakes_of(_sync(session)).append(call)
        return True


def _sync(session: Any) -> Session:
    """Return the session beneath."""
    plain: Any = session() if issubclass(type(session), _SCOPED) else session
    found: Session = getattr(plain, "sync_session", plain)
    return found


def _flushes(session: Session) -> bool:
    """Whether what the session has gathered is to be written first."""
    return session.autoflush or _OURS in session.info


async def _raw(connection: AsyncConnection) -> Any:
    return (await connection.get_raw_connection()).driver_connection
