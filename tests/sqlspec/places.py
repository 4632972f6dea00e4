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
