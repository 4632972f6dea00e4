from __future__ import annotations

import pytest
from sqlspec.adapters.asyncpg import AsyncpgConfig
from tests.databases.fixtures import (  # noqa: F401
    bouncer,
    database,
    database_of,
    maria_database,
    mariadb,
    own_mariadb,
    own_postgres,
    postgres_of,
)
from tests.databases.postgres import Database

from litestar_queues_sqlspec import SQLSpecBackendConfig


@pytest.fixture
def backend(database: Database) -> SQLSpecBackendConfig:  # noqa: F811
    """A configuration of an empty database on the newest server."""
    return SQLSpecBackendConfig(
        config=AsyncpgConfig(connection_config={"dsn": database.url}), create_schema=True
    )
