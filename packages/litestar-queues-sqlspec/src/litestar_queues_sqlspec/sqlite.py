"""The SQLite file of a SQLSpec configuration.

The store has connections of its own to it, on threads of its own: group commit needs them, and a
connection that is lent by a pool of another thread costs a change of threads for each statement.
Those of the application are for what belongs into its transactions.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from copy import copy
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from litestar_queues_core.errors import ConfigError
from litestar_queues_sql.drivers.sqlite import AiosqliteConnection, BlockingSQLiteConnection
from litestar_queues_sqlspec.sessions import AsyncSessions, BlockingSessions

_FILE = "connection_config={'database': 'app.db'}"


def path_of(config: Any) -> Path:
    """Return the absolute path of the database of an ``AiosqliteConfig`` or a ``SqliteConfig``.

    Raises:
        ConfigError: It is no plain file.
    """
    named = config.connection_config.get("database")
    if not isinstance(named, str | Path) or not str(named):
        raise ConfigError(f"the SQLSpec configuration must name a file, {_FILE}, not {named!r}")
    name = str(named)
    parts = urlsplit(name) if name.startswith("file:") else None
    if ":memory:" in name or (parts and ("mode=memory" in parts.query or not parts.path)):
        raise ConfigError(
            "the SQLSpec configuration is of a database in memory, which one connection alone can "
            f"see: name a file, {_FILE}, or keep jobs in memory by queue_backend='memory'"
        )
    if parts and (parts.query or parts.netloc not in {"", "localhost"}):
        raise ConfigError(
            f"the queue cannot follow the parameters of {name!r}: name a plain path, {_FILE}"
        )
    return Path(unquote(parts.path) if parts else name).expanduser().absolute()


class AiosqliteSessions(AsyncSessions):
    """Drivers of aiosqlite; without a pool of the application there is a small one of ours.

    Args:
        config: The configuration of SQLSpec.
    """

    def __init__(self, config: Any) -> None:
        super().__init__(
            config,
            AiosqliteConnection,
            in_transaction=_in_transaction,
            gone=ValueError,
        )
        self._ours = copy(config)  # what it was made with is not all to be seen
        self._ours.connection_instance = None

    @asynccontextmanager
    async def begin(self) -> AsyncGenerator[Any]:
        """Open a driver with a transaction.

        It is committed inside of SQLSpec's own block.  If the commit of that block fails, its
        compiled code leaves the error behind as the current exception of the thread.
        """
        async with super().begin() as session:
            yield session
            await session.commit()

    def own(self) -> AbstractAsyncContextManager[Any]:
        """Open a driver on a connection of our own."""
        session: AbstractAsyncContextManager[Any] = self._ours.provide_session()
        return session

    async def close(self) -> None:
        """Close our own connections."""
        await self._ours.close_pool()


def sessions_of(config: Any, adapter: str) -> AiosqliteSessions | BlockingSessions:
    """Return how drivers of an ``AiosqliteConfig`` or a ``SqliteConfig`` are written through."""
    if adapter == "aiosqlite":
        return AiosqliteSessions(config)
    return BlockingSessions(
        config,
        BlockingSQLiteConnection,
        instead="an AiosqliteConfig",
        in_transaction=_in_transaction,
        gone=sqlite3.ProgrammingError,
    )


def _in_transaction(raw: Any) -> bool:
    return bool(raw.in_transaction)
