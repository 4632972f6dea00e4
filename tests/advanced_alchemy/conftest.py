from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

import pytest
from advanced_alchemy.config import SQLAlchemyAsyncConfig
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.databases import mariadb as maria
from tests.databases.fixtures import (  # noqa: F401
    bouncer,
    database,
    database_of,
    maria_database,
    mariadb,
    own_postgres,
    postgres_of,
)
from tests.databases.postgres import Database

DRIVERS = ["asyncpg", "psycopg"]
AIOMYSQL = f"{maria.kind() if maria.binary() else 'mariadb'}+aiomysql"
"""By its own name, under which SQLAlchemy refuses MySQL; by the other it takes both."""
OTHERS = [
    "sqlite+aiosqlite",
    "mysql+asyncmy",
    pytest.param(AIOMYSQL, marks=pytest.mark.service),
]

Alchemy = Callable[..., SQLAlchemyAsyncConfig]


@pytest.fixture
async def alchemy() -> AsyncGenerator[Alchemy]:
    """Makes configurations: ``alchemy(database, "psycopg")``; their engines are disposed of."""
    engines: list[AsyncEngine] = []

    def make(database: Database, driver: str = "asyncpg", **settings: object) -> object:  # noqa: F811
        url = database.url.replace("postgresql:", f"postgresql+{driver}:")
        settings = {"connection_string": url, **settings}
        config = SQLAlchemyAsyncConfig(**settings)  # type: ignore[arg-type]
        engines.append(config.get_engine())
        return config

    yield make  # type: ignore[misc]
    for engine in engines:
        await engine.dispose()
