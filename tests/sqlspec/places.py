"""Configurations of SQLSpec for the databases that tests start.

Each imports its own adapter only: processes that tests start need not wait for the others.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit


class Place(Protocol):
    """A database on a server."""

    @property
    def url(self) -> str:
        """Its address, with a user."""
        ...


ConfigOf = Callable[[Place], Any]


def asyncpg(database: Place) -> Any:
    from sqlspec.adapters.asyncpg import AsyncpgConfig

    return AsyncpgConfig(connection_config={"dsn": database.url})


def psycopg(database: Place) -> Any:
    from sqlspec.adapters.psycopg import PsycopgAsyncConfig

    return PsycopgAsyncConfig(connection_config={"conninfo": database.url})


def psycopg_sync(database: Place) -> Any:
    from sqlspec.adapters.psycopg import PsycopgSyncConfig

    return PsycopgSyncConfig(connection_config={"conninfo": database.url})


POSTGRES: dict[str, ConfigOf] = {
    "asyncpg": asyncpg,
    "psycopg": psycopg,
    "psycopg-sync": psycopg_sync,
}


_POOLED = {"pooler_mode": "transaction"}


def asyncpg_pooled(dsn: str) -> Any:
    from sqlspec.adapters.asyncpg import AsyncpgConfig

    settings = {"dsn": dsn, "statement_cache_size": 0}
    return AsyncpgConfig(connection_config=settings, driver_features=dict(_POOLED))


def psycopg_pooled(dsn: str) -> Any:
    from sqlspec.adapters.psycopg import PsycopgAsyncConfig

    return PsycopgAsyncConfig(connection_config={"conninfo": dsn}, driver_features=dict(_POOLED))


POOLED: dict[str, Callable[[str], Any]] = {"asyncpg": asyncpg_pooled, "psycopg": psycopg_pooled}
"""Configurations of what a pooler of transactions leads to, by its DSN."""


def aiosqlite(path: Path) -> Any:
    from sqlspec.adapters.aiosqlite import AiosqliteConfig

    return AiosqliteConfig(connection_config={"database": str(path)})


def sqlite(path: Path) -> Any:
    from sqlspec.adapters.sqlite import SqliteConfig

    return SqliteConfig(connection_config={"database": str(path)})


SQLITE: dict[str, Callable[[Path], Any]] = {"aiosqlite": aiosqlite, "sqlite": sqlite}


def where(database: Place) -> dict[str, Any]:
    url = urlsplit(database.url)
    address = {"host": url.hostname, "port": url.port}
    return {**address, "user": url.username, "database": url.path.lstrip("/")}


def asyncmy(database: Place) -> Any:
    from sqlspec.adapters.asyncmy import AsyncmyConfig

    return AsyncmyConfig(connection_config=where(database))


def aiomysql(database: Place) -> Any:
    from sqlspec.adapters.aiomysql import AiomysqlConfig

    return AiomysqlConfig(connection_config=where(database))


MARIADB: dict[str, ConfigOf] = {"asyncmy": asyncmy, "aiomysql": aiomysql}
