"""The store in a database of Advanced Alchemy keeps the whole contract, with each driver."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from tests.advanced_alchemy.conftest import Alchemy
from tests.databases.fixtures import VERSIONS, DatabaseOf

from litestar_queues_advanced_alchemy import AdvancedAlchemyBackendConfig
from litestar_queues_core.testing import BackendConformance, StoreConformance
from litestar_queues_sql.postgres import PostgresStore


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture(params=["asyncpg", pytest.param("psycopg", marks=pytest.mark.service)])
def fresh(
    request: pytest.FixtureRequest, version: str, database_of: DatabaseOf, alchemy: Alchemy
) -> AdvancedAlchemyBackendConfig:
    config = alchemy(database_of(version), request.param)
    return AdvancedAlchemyBackendConfig(config=config, create_schema=True)


class TestAlchemyStore(StoreConformance):
    @pytest.fixture
    async def store(self, fresh: AdvancedAlchemyBackendConfig) -> AsyncGenerator[PostgresStore]:
        async with fresh.open() as store:
            yield store


class TestAlchemyBackend(BackendConformance):
    @pytest.fixture
    def backend(self, fresh: AdvancedAlchemyBackendConfig) -> AdvancedAlchemyBackendConfig:
        return fresh
