"""Connections of asyncmy and aiomysql, made as a SQLSpec configuration says."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

from litestar_queues_core.errors import ConfigError
from litestar_queues_sql.drivers.mysql import SETTINGS, MySQLConnection
from litestar_queues_sql.spares import Spares
from litestar_queues_sqlspec.sessions import ServerSessions


class MySQLConnections:
    """See :class:`litestar_queues_sql.driver.Connections`.

    Args:
        config: How to connect.
        driver: Name of the driver, and of its module.
    """

    def __init__(self, config: Any, driver: str) -> None:
        if config.connection_instance is not None and "database" not in _named(config):
            raise ConfigError(
                "a configuration with a pool and no connection_config does not say where the "
                "database is: give it the connection_config, too"
            )
        self._config = config
        self._cursor: type[Any] = import_module(f"{driver}.cursors").Cursor
        self.refusals: tuple[type[BaseException], ...] = ()
        self._spares = Spares(self.open)
        self.sessions: ServerSessions = ServerSessions(
            config, self.open, self._wrap, in_transaction=_in_transaction
        )

    def _wrap(self, raw: Any) -> MySQLConnection:
        return MySQLConnection(raw, self._cursor)

    async def open(self) -> MySQLConnection:
        """Open a connection beside the pool, with the settings of the pool."""
        try:
            raw = await self._config.create_connection()
        except TypeError as error:
            raise ConfigError(f"cannot connect as it is configured: {error}") from error
        connection = self._wrap(raw)
        try:
            await raw.autocommit(True)
            await connection.run(SETTINGS)
        except BaseException:
            connection.discard()
            raise
        return connection

    @asynccontextmanager
    async def lend(self) -> AsyncGenerator[MySQLConnection]:
        """Lend a connection of the application's pool, or one of ours if it has opened none."""
        pool = self._config.connection_instance
        if pool is None:
            async with self._spares.lend() as connection:
                yield connection
            return
        raw = await pool.acquire()
        connection = self._wrap(raw)
        try:
            yield connection
            if not connection.closed:  # what was read outside of a transaction has begun one
                await raw.rollback()
        finally:
            await _give_back(pool, raw)

    async def open_listening(self) -> None:
        """There are no notifications."""

    async def close(self) -> None:
        """Close our own connections."""
        await self._spares.close()
        await self.sessions.close()


def _in_transaction(raw: Any) -> bool:
    return bool(raw.get_transaction_status())


def _named(config: Any) -> dict[str, Any]:
    settings: dict[str, Any] = config.connection_config
    return {"database" if name == "db" else name: value for name, value in settings.items()}


async def _give_back(pool: Any, raw: Any) -> None:
    released = pool.release(raw)
    if released is not None:
        await released
