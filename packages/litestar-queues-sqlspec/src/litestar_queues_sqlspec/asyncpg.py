"""Connections of asyncpg, made as a SQLSpec configuration says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

from sqlspec.adapters.asyncpg import AsyncpgConfig

from litestar_queues_core.errors import ConfigError
from litestar_queues_sql.drivers.asyncpg import AsyncpgConnection
from litestar_queues_sql.spares import Spares
from litestar_queues_sqlspec.notifying import direct
from litestar_queues_sqlspec.sessions import ServerSessions

driver: Any = import_module("asyncpg")  # it has no types


class AsyncpgConnections:
    """See :class:`litestar_queues_sql.driver.Connections`.

    Args:
        config: How to connect.
        notify: Whether notifications are heard, or the DSN of a way past the pooler.
    """

    refusals: tuple[type[BaseException], ...] = (driver.DataError,)

    def __init__(self, config: AsyncpgConfig, notify: bool | str) -> None:
        self._config = config
        self._notify = notify
        self._spares = Spares(self.open)
        self.sessions: ServerSessions = ServerSessions(
            config,
            self.open,
            AsyncpgConnection,
            in_transaction=_in_transaction,
            gone=driver.InterfaceError,
        )

    async def open(self) -> AsyncpgConnection:
        """Open a connection beside the pool, with the settings of the pool."""
        return await _open(self._config)

    @asynccontextmanager
    async def lend(self) -> AsyncGenerator[AsyncpgConnection]:
        """Lend a connection of the application's pool, or one of ours if it has opened none."""
        pool: Any = self._config.connection_instance
        if pool is None or pool.is_closing():
            async with self._spares.lend() as connection:
                yield connection
        else:
            async with pool.acquire() as raw:
                yield AsyncpgConnection(raw)

    async def open_listening(self) -> AsyncpgConnection | None:
        """Open a connection that reaches the server itself."""
        if not self._notify:
            return None
        if isinstance(self._notify, str):
            return AsyncpgConnection(await driver.connect(self._notify))
        config = direct(self._config)
        return None if config is None else await _open(config)

    async def close(self) -> None:
        """Close our own connections."""
        await self._spares.close()
        await self.sessions.close()


def _in_transaction(raw: Any) -> bool:
    return bool(raw.is_in_transaction())


async def _open(config: AsyncpgConfig) -> AsyncpgConnection:
    try:
        return AsyncpgConnection(await config.create_connection())
    except (driver.ClientConfigurationError, asyncio.InvalidStateError) as error:
        raise ConfigError(f"asyncpg cannot connect as it is configured: {error}") from error
