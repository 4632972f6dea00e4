"""The store on PostgreSQL through SQLSpec keeps the whole contract, on every version."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from sqlspec.adapters.asyncpg import AsyncpgConfig
from tests.databases.fixtures import VERSIONS, DatabaseOf

from litestar_queues_core.testing import BackendConformance, StoreConformance
from litestar_queues_sql.postgres import PostgresStore
from litestar_queues_sqlspec import SQLSpecBackendConfig


@pytest.fixture(params=VERSIONS)
def fresh(request: pytest.FixtureRequest, database_of: DatabaseOf) -> SQLSpecBackendConfig:
    database = database_of(request.param)
    return SQLSpecBackendConfig(config=AsyncpgConfig(connection_config={"dsn": database.url}))


class TestAsyncpgStore(StoreConformance):
    @pytest.fixture
    async def store(self, fresh: SQLSpecBackendConfig) -> AsyncGenerator[PostgresStore]:
        async with fresh.open() as store:
            yield store


class TestAsyncpgBackend(BackendConformance):
    @pytest.fixture
    def backend(self, fresh: SQLSpecBackendConfig) -> SQLSpecBackendConfig:
        return fresh
