"""Configurations of SQLSpec for the databases that tests start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlspec.adapters.aiomysql import AiomysqlConfig
from sqlspec.adapters.aiosqlite import AiosqliteConfig
from sqlspec.adapters.asyncmy import AsyncmyConfig
from sqlspec.adapters.asyncpg import AsyncpgConfig
from sqlspec.adapters.psycopg import PsycopgAsyncConfig, PsycopgSyncConfig
from sqlspec.adapters.sqlite import SqliteConfig
from tests.databases import mariadb
from tests.databases.postgres import Database
from tests.databases.program import HOST

ConfigOf = Callable[[Database], Any]


def asyncpg(database: Database) -> AsyncpgConfig:
    return AsyncpgConfig(connection_config={"dsn": database.url})


def psycopg(database: Database) -> PsycopgAsyncConfig:
    return PsycopgAsyncConfig(connection_config={"conninfo": database.url})


def psycopg_sync(database: Database) -> PsycopgSyncConfig:
    return PsycopgSyncConfig(connection_config={"conninfo": database.url})


POSTGRES: dict[str, ConfigOf] = {
    "asyncpg": asyncpg,
    "psycopg": psycopg,
    "psycopg-sync": psycopg_sync,
}


_POOLED = {"pooler_mode": "transaction"}


def asyncpg_pooled(dsn: str) -> AsyncpgConfig:
    where = {"dsn": dsn, "statement_cache_size": 0}
    return AsyncpgConfig(connection_config=where, driver_features=dict(_POOLED))


def psycopg_pooled(dsn: str) -> PsycopgAsyncConfig:
    return PsycopgAsyncConfig(connection_config={"conninfo": dsn}, driver_features=dict(_POOLED))


POOLED: dict[str, Callable[[str], Any]] = {"asyncpg": asyncpg_pooled, "psycopg": psycopg_pooled}
"""Configurations of what a pooler of transactions leads to, by its DSN."""


def aiosqlite(path: Path) -> AiosqliteConfig:
    return AiosqliteConfig(connection_config={"database": str(path)})


def sqlite(path: Path) -> SqliteConfig:
    return SqliteConfig(connection_config={"database": str(path)})


SQLITE: dict[str, Callable[[Path], Any]] = {"aiosqlite": aiosqlite, "sqlite": sqlite}


def where(database: mariadb.Database) -> dict[str, Any]:
    port = database.server.port
    return {"host": HOST, "port": port, "user": mariadb.APP, "database": database.name}


def asyncmy(database: mariadb.Database) -> AsyncmyConfig:
    return AsyncmyConfig(connection_config=where(database))


def aiomysql(database: mariadb.Database) -> AiomysqlConfig:
    return AiomysqlConfig(connection_config=where(database))


MARIADB: dict[str, Callable[[mariadb.Database], Any]] = {"asyncmy": asyncmy, "aiomysql": aiomysql}
