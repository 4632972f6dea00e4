"""The drivers of SQLAlchemy beneath which the queue works, on their own connections."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Protocol

from litestar_queues_core.errors import ConfigError, SessionError
from litestar_queues_sql.driver import Connection, ListeningConnection


class Driver(Protocol):
    """What differs between drivers.

    Attributes:
        system: The database system.
        dialect: What SQLAlchemy calls it.
        refusals: See :class:`litestar_queues_sql.driver.Connections`.
    """

    system: str
    dialect: str
    refusals: tuple[type[BaseException], ...]

    @abstractmethod
    def wrap(self, raw: Any) -> ListeningConnection:
        """Return the driver's connection as one that the store can use."""
        ...

    @abstractmethod
    def in_transaction(self, raw: Any) -> bool:
        """Return whether a transaction is open on the server."""
        ...

    @abstractmethod
    async def autocommit(self, raw: Any, on: bool) -> None:
        """Let each statement commit by itself, or no longer."""
        ...

    @abstractmethod
    def misconfigured(self, error: Exception) -> bool:
        """Return whether an error of an attempt to connect is the configuration's fault."""
        ...

    @abstractmethod
    async def connect(self, dsn: str) -> ListeningConnection:
        """Open a connection to another address."""
        ...


class _Postgres(Driver):
    system = "PostgreSQL"
    dialect = "postgresql"


class _Asyncpg(_Postgres):
    def __init__(self) -> None:
        self._driver: Any = import_module("asyncpg")
        self._module: Any = import_module("litestar_queues_sql.drivers.asyncpg")
        self.refusals = (self._driver.DataError,)

    def wrap(self, raw: Any) -> ListeningConnection:
        wrapped: ListeningConnection = self._module.AsyncpgConnection(raw)
        return wrapped

    def in_transaction(self, raw: Any) -> bool:
        return bool(raw.is_in_transaction())

    async def autocommit(self, raw: Any, on: bool) -> None:
        """It is never anything else."""

    def misconfigured(self, error: Exception) -> bool:
        return bool(self._module.misconfigured(error))

    async def connect(self, dsn: str) -> ListeningConnection:
        return self.wrap(await self._driver.connect(dsn))


class _Psycopg(_Postgres):
    def __init__(self) -> None:
        self._driver: Any = import_module("psycopg")
        self._module: Any = import_module("litestar_queues_sql.drivers.psycopg")
        self.refusals = (self._driver.DataError,)

    def wrap(self, raw: Any) -> ListeningConnection:
        wrapped: ListeningConnection = self._module.PsycopgConnection(raw)
        return wrapped

    def in_transaction(self, raw: Any) -> bool:
        idle: bool = raw.info.transaction_status == self._driver.pq.TransactionStatus.IDLE
        return not idle

    async def autocommit(self, raw: Any, on: bool) -> None:
        if raw.autocommit is not on:
            await raw.set_autocommit(on)

    def misconfigured(self, error: Exception) -> bool:
        return bool(self._module.misconfigured(error))

    async def connect(self, dsn: str) -> ListeningConnection:
        return self.wrap(await self._driver.AsyncConnection.connect(dsn, autocommit=True))


def blocking_connection(driver: str, raw: Any) -> Connection:
    """Return the connection of a blocking driver, in its transaction, as the store can use it.

    Raises:
        SessionError: The driver is none of those that are supported, or commits each statement.
    """
    if driver != "psycopg":
        raise SessionError(
            f"the Session uses {driver}, which is not supported yet: make its engine with "
            "postgresql+psycopg"
        )
    if raw.autocommit:
        raise autocommits("Session")
    wrap: Any = import_module("litestar_queues_sql.drivers.psycopg").BlockingPsycopgConnection
    wrapped: Connection = wrap(raw)
    return wrapped


def autocommits(session: str) -> SessionError:
    """Return the error for a session without transactions."""
    return SessionError(
        f"the connection of the {session} is in AUTOCOMMIT mode, so there is no transaction to "
        "join: use an engine with another isolation_level, or leave session= out"
    )


_DRIVERS: Mapping[str, type[Driver]] = {
    "postgresql+asyncpg": _Asyncpg,
    "postgresql+psycopg": _Psycopg,
    "postgresql+psycopg_async": _Psycopg,
}
SUPPORTED = "postgresql+asyncpg and postgresql+psycopg"


def kind_of(name: str) -> type[Driver]:
    """Return the driver that SQLAlchemy calls *name*, such as ``postgresql+asyncpg``.

    Raises:
        ConfigError: It is not among those that are supported.
    """
    try:
        return _DRIVERS[name]
    except KeyError:
        raise ConfigError(
            f"the queue cannot use {name} of SQLAlchemy: it is not supported yet; supported are "
            f"{SUPPORTED}"
        ) from None
