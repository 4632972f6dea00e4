"""What is to be known of an Advanced Alchemy configuration: driver, engine, file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from weakref import WeakSet

from advanced_alchemy.config import SQLAlchemyAsyncConfig, SQLAlchemySyncConfig
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine

from litestar_queues_core.errors import ConfigError
from litestar_queues_sql.held import CLOSING

HERE = "AdvancedAlchemyBackendConfig.config"


def driver_name(config: object) -> str:
    """Return what SQLAlchemy calls the driver of a configuration: ``postgresql+asyncpg``.

    Raises:
        ConfigError: It is no configuration of an async engine.
    """
    if isinstance(config, SQLAlchemySyncConfig):
        raise ConfigError(
            f"{HERE} is a SQLAlchemySyncConfig, whose engine would block the event loop: give a "
            "SQLAlchemyAsyncConfig with a driver such as postgresql+asyncpg"
        )
    if isinstance(config, AsyncEngine):
        raise ConfigError(
            f"{HERE} is an engine: wrap it, SQLAlchemyAsyncConfig(engine_instance=engine)"
        )
    if not isinstance(config, SQLAlchemyAsyncConfig):
        raise ConfigError(f"{HERE} must be a SQLAlchemyAsyncConfig(...), not {config!r}")
    url = url_of(config)
    return f"{url.get_backend_name()}+{url.get_driver_name()}"


def url_of(config: SQLAlchemyAsyncConfig) -> URL:
    """Return where the database is.

    Raises:
        ConfigError: The configuration does not say, or its engine blocks.
    """
    engine: Any = config.engine_instance
    if engine is None:
        if config.connection_string is None:
            raise ConfigError(f"{HERE} has neither a connection_string nor an engine_instance")
        try:
            return make_url(config.connection_string)
        except ArgumentError as error:
            raise ConfigError(f"{HERE}.connection_string: {error}") from error
    if not isinstance(engine, AsyncEngine):
        raise ConfigError(
            f"{HERE}.engine_instance blocks the event loop: make it by create_async_engine"
        )
    url: URL = engine.url
    return url


_made: WeakSet[AsyncEngine] = WeakSet()
"""Engines that no application had made before the queue needed them."""


@asynccontextmanager
async def engine_of(config: SQLAlchemyAsyncConfig) -> AsyncGenerator[AsyncEngine]:
    """Return the engine; afterwards it is disposed of if nobody had made it before."""
    made = config.engine_instance is None
    engine = config.get_engine()
    if made:
        _made.add(engine)
    try:
        yield engine
    finally:
        if engine in _made:
            await _dispose_of(engine)


async def _dispose_of(engine: AsyncEngine) -> None:
    """Close the connections of a pool, and do not wait long for the server.

    Whoever is cancelled while a connection is closed has cut that one; the others follow.
    """
    until = asyncio.get_running_loop().time() + CLOSING
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                return await engine.dispose()


def path_of(url: URL) -> Path:
    """Return the absolute path of a SQLite database.

    The store has connections of its own to it, on threads of its own.

    Raises:
        ConfigError: It is no plain file.
    """
    name = url.database
    if not name or name == ":memory:" or name.startswith("file:"):
        raise ConfigError(
            f"{HERE} must name a plain file for the queue, sqlite+aiosqlite:///app.db, not "
            f"{name or ':memory:'!r}; jobs are kept in memory by queue_backend='memory'"
        )
    return Path(name).expanduser().absolute()
