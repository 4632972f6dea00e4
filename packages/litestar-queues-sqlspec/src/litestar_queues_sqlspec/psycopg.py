"""Connections of psycopg, made as a SQLSpec configuration says."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

from sqlspec.adapters.psycopg import PsycopgAsyncConfig, PsycopgSyncConfig

from litestar_queues_core.errors import ConfigError
from litestar_queues_sql.drivers.psycopg import BlockingPsycopgConnection, PsycopgConnection
from litestar_queues_sql.spares import Spares
from litestar_queues_sqlspec.notifying import direct
from litestar_queues_sqlspec.sessions import BlockingSessions, ServerSessions

driver: Any = import_module("psycopg")  # the checkers need not have it

_WRONG = ("authentication failed", "does not exist", "no password supplied", "no pg_hba.conf entry")
_OF_SYNC = (
    *("configure", "check", "reset", "reconnect_failed", "connection_class"),
    *("row_factory", "cursor_factory"),
)
"""Settings of a synchronous pool that mean nothing to connections of our own."""
_NEEDS_SYNC = ("on_connection_create", "enable_alloydb")


class PsycopgConnections:
    """See :class:`litestar_queues_sql.driver.Connections`.

    Args:
        config: How to connect.  The pool of a synchronous one is left to the application: the
            store has asynchronous connections of its own with the same settings.
        notify: Whether notifications are heard, or the DSN of a way past the pooler.
    """

    refusals: tuple[type[BaseException], ...] = (driver.DataError,)

    def __init__(self, config: PsycopgAsyncConfig | PsycopgSyncConfig, notify: bool | str) -> None:
        self._config = twin(config) if isinstance(config, PsycopgSyncConfig) else config
        self._notify = notify
        self._spares = Spares(self.open)
        drivers: dict[str, Any] = {
            "in_transaction": _in_transaction,
            "gone": driver.InterfaceError,
            "begins": _begins,
        }
        self.sessions: ServerSessions | BlockingSessions = (
            BlockingSessions(
                config, BlockingPsycopgConnection, instead="a PsycopgAsyncConfig", **drivers
            )
            if isinstance(config, PsycopgSyncConfig)
            else ServerSessions(config, self.open, PsycopgConnection, **drivers)
        )

    async def open(self) -> PsycopgConnection:
        """Open a connection beside the pool, with the settings of the pool."""
        pool: Any = self._config.connection_instance
        if pool is not None and not self._says_where():
            return await _wrapped(await _connect_like(pool))
        return await _open(self._config)

    def _says_where(self) -> bool:
        """Whether the configuration has more than a pool that was made elsewhere."""
        return any(name != "prepare_threshold" for name in self._config.connection_config)

    @asynccontextmanager
    async def lend(self) -> AsyncGenerator[PsycopgConnection]:
        """Lend a connection of the application's pool, or one of ours if it has opened none."""
        pool: Any = self._config.connection_instance
        if pool is None or pool.closed:
            async with self._spares.lend() as connection:
                yield connection
            return
        raw = await pool.getconn()
        before = raw.autocommit
        try:
            yield await _wrapped(raw)
        finally:
            if not raw.closed:
                await raw.set_autocommit(before)
            await pool.putconn(raw)

    async def open_listening(self) -> PsycopgConnection | None:
        """Open a connection that reaches the server itself."""
        if not self._notify:
            return None
        if isinstance(self._notify, str):
            return await _wrapped(await driver.AsyncConnection.connect(self._notify))
        config = direct(self._config)
        if config is self._config:
            return await self.open()
        return None if config is None else await _open(config)

    async def close(self) -> None:
        """Close our own connections."""
        await self._spares.close()
        await self.sessions.close()


def _in_transaction(raw: Any) -> bool:
    return raw.info.transaction_status is driver.pq.TransactionStatus.INTRANS


def _begins(session: Any) -> bool:
    """Whether ``begin()`` was called: psycopg itself begins with the next statement."""
    raw = session.connection
    idle = raw.info.transaction_status is driver.pq.TransactionStatus.IDLE
    return idle and not raw.autocommit and bool(getattr(session, "_transaction_active", False))


def twin(config: PsycopgSyncConfig) -> PsycopgAsyncConfig:
    """Return the asynchronous configuration with the settings of a synchronous one.

    Raises:
        ConfigError: It has settings that only synchronous connections can follow.
    """
    features = dict(config.driver_features)
    for name in _NEEDS_SYNC:
        if features.get(name):
            raise ConfigError(
                f"driver_features[{name!r}] of a PsycopgSyncConfig works for blocking connections "
                "only, and the queue has asynchronous ones: give it a PsycopgAsyncConfig of the "
                "same database, or say what is needed in connection_config"
            )
    settings: dict[str, Any] = {**config.connection_config}
    if config.connection_instance is not None and not settings:
        raise ConfigError(
            "a PsycopgSyncConfig with a pool and no connection_config does not say where the "
            "database is: give it the connection_config, too"
        )
    kept = {name: value for name, value in settings.items() if name not in _OF_SYNC}
    features.pop("on_connection_create", None)
    return PsycopgAsyncConfig(connection_config=kept, driver_features=features)


async def _open(config: PsycopgAsyncConfig) -> PsycopgConnection:
    try:
        return await _wrapped(await config.create_connection())
    except driver.OperationalError as error:
        if any(words in str(error) for words in _WRONG):  # libpq tells no SQLSTATE here
            raise ConfigError(f"PostgreSQL: {error}; look at connection_config") from error
        raise
    except (driver.ProgrammingError, TypeError) as error:
        if getattr(error, "sqlstate", None) is None:
            raise ConfigError(f"psycopg cannot connect as it is configured: {error}") from error
        raise


async def _connect_like(pool: Any) -> Any:
    """Open a connection with the settings of a pool."""
    if callable(pool.conninfo) or callable(pool.kwargs):
        raise ConfigError(
            "the pool of the PsycopgAsyncConfig finds out anew how to connect each time; give the "
            "configuration a connection_config, too, so that the queue can have connections of "
            "its own"
        )
    return await pool.connection_class.connect(pool.conninfo or "", **(pool.kwargs or {}))


async def _wrapped(raw: Any) -> PsycopgConnection:
    await raw.set_autocommit(True)
    return PsycopgConnection(raw)
