"""The drivers of SQLAlchemy beneath which the queue works, on their own connections."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from litestar_queues_core.errors import ConfigError
from litestar_queues_sql.driver import ListeningConnection


class Driver(ABC):
    """What differs between drivers.

    Attributes:
        refusals: See :class:`litestar_queues_sql.driver.Connections`.
    """

    refusals: tuple[type[BaseException], ...]

    @abstractmethod
    def wrap(self, raw: Any) -> Any:
        """Return the driver's connection as one that the store can use."""
        ...

    @abstractmethod
    def in_transaction(self, raw: Any) -> bool:
        """Return whether a transaction is open on the server."""
        ...

    async def joins(self, connection: AsyncConnection, raw: Any) -> bool:
        """Let the transaction of a session begin on the server; return whether it can.

        Args:
            connection: The session's, which begins with a statement.
            raw: The driver's beneath it.
        """
        if not self.in_transaction(raw):
            await connection.exec_driver_sql("SELECT 1")
        return self.in_transaction(raw)

    async def adopt(self, raw: Any) -> None:  # noqa: B027  (some need nothing)
        """Prepare a connection that is the store's alone; each statement commits by itself."""

    async def borrow(self, raw: Any) -> bool:
        """Prepare a connection of the pool; return whether that has changed it."""
        return False

    async def give_back(self, raw: Any) -> None:  # noqa: B027
        """Undo that."""

    @abstractmethod
    def misconfigured(self, error: Exception) -> bool:
        """Return whether an error of an attempt to connect is the configuration's fault."""
        ...

    @abstractmethod
    async def connect(self, dsn: str) -> ListeningConnection:
        """Open a connection to another address."""
        ...


class _Asyncpg(Driver):
    def __init__(self) -> None:
        self._driver: Any = import_module("asyncpg")
        self._module: Any = import_module("litestar_queues_sql.drivers.asyncpg")
        self.refusals = (self._driver.DataError,)

    def wrap(self, raw: Any) -> ListeningConnection:
        wrapped: ListeningConnection = self._module.AsyncpgConnection(raw)
        return wrapped

    def in_transaction(self, raw: Any) -> bool:
        return bool(raw.is_in_transaction())

    def misconfigured(self, error: Exception) -> bool:
        return bool(self._module.misconfigured(error))

    async def connect(self, dsn: str) -> ListeningConnection:
        return self.wrap(await self._driver.connect(dsn))


class _Psycopg(Driver):
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

    async def adopt(self, raw: Any) -> None:
        if not raw.autocommit:
            await raw.set_autocommit(True)

    async def borrow(self, raw: Any) -> bool:
        changed = not raw.autocommit
        await self.adopt(raw)
        return changed

    async def give_back(self, raw: Any) -> None:
        await raw.set_autocommit(False)

    def misconfigured(self, error: Exception) -> bool:
        return bool(self._module.misconfigured(error))

    async def connect(self, dsn: str) -> ListeningConnection:
        return self.wrap(await self._driver.AsyncConnection.connect(dsn, autocommit=True))


class _MySQL(Driver):
    """Those of MySQL and MariaDB, which are alike."""

    refusals = ()

    def __init__(self, name: str) -> None:
        self._cursor: Any = import_module(f"{name}.cursors").Cursor
        self._module: Any = import_module("litestar_queues_sql.drivers.mysql")

    def wrap(self, raw: Any) -> Any:
        return self._module.MySQLConnection(raw, self._cursor)

    def in_transaction(self, raw: Any) -> bool:
        return bool(raw.get_transaction_status())

    async def joins(self, connection: AsyncConnection, raw: Any) -> bool:
        if not self.in_transaction(raw):
            if raw.get_autocommit():
                return False
            await raw.begin()
        return True

    async def adopt(self, raw: Any) -> None:
        await raw.autocommit(True)
        await self.wrap(raw).run(self._module.SETTINGS)

    def misconfigured(self, error: Exception) -> bool:
        return isinstance(error, TypeError)

    async def connect(self, dsn: str) -> ListeningConnection:
        raise ConfigError("notify= takes the DSN of a PostgreSQL server only; leave it out")


class _Aiosqlite(Driver):
    """Of sessions only: the store has other connections."""

    refusals = ()

    def __init__(self) -> None:
        self._module: Any = import_module("litestar_queues_sql.drivers.sqlite")

    def wrap(self, raw: Any) -> Any:
        return self._module.AiosqliteConnection(raw)

    def in_transaction(self, raw: Any) -> bool:
        return bool(raw.in_transaction)

    async def joins(self, connection: AsyncConnection, raw: Any) -> bool:
        wrapped = self.wrap(raw)
        return bool(wrapped.in_transaction or not wrapped.autocommits)

    def misconfigured(self, error: Exception) -> bool:
        return isinstance(error, TypeError)

    async def connect(self, dsn: str) -> ListeningConnection:
        raise ConfigError("notify= takes the DSN of a PostgreSQL server only; leave it out")


_DRIVERS: Mapping[str, Callable[[], Driver]] = {
    "postgresql+asyncpg": _Asyncpg,
    "postgresql+psycopg": _Psycopg,
    "postgresql+psycopg_async": _Psycopg,
    **{f"{system}+asyncmy": partial(_MySQL, "asyncmy") for system in ("mysql", "mariadb")},
    **{f"{system}+aiomysql": partial(_MySQL, "aiomysql") for system in ("mysql", "mariadb")},
    "sqlite+aiosqlite": _Aiosqlite,
}
SUPPORTED = ", ".join(name for name in _DRIVERS if not name.endswith("_async"))


def check_driver(name: str) -> None:
    """Check that the queue works with what SQLAlchemy calls *name*: ``postgresql+asyncpg``.

    Raises:
        ConfigError: It does not.
    """
    if name not in _DRIVERS:
        raise ConfigError(
            f"the queue cannot use {name} of SQLAlchemy: it is not supported yet; supported are "
            f"{SUPPORTED}"
        )


def driver_of(name: str) -> Driver:
    """Return the driver; its package is imported here."""
    return _DRIVERS[name]()
