"""Jobs in a database of MariaDB, through either driver of SQLSpec."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from tests.databases import mariadb
from tests.sqlspec.places import MARIADB

from litestar_queues_core.testing import BackendConformance, StoreConformance
from litestar_queues_sql.mysql import MySQLStore
from litestar_queues_sqlspec import SQLSpecBackendConfig


@pytest.fixture(params=["asyncmy", pytest.param("aiomysql", marks=pytest.mark.service)])
def config(request: pytest.FixtureRequest, maria_database: mariadb.Database) -> Any:
    return MARIADB[request.param](maria_database)


@pytest.mark.service
class TestMySQLStore(StoreConformance):
    @pytest.fixture
    async def store(self, config: Any) -> AsyncGenerator[MySQLStore]:
        async with SQLSpecBackendConfig(config=config, create_schema=True).open() as store:
            assert isinstance(store, MySQLStore)
            yield store


class TestMySQLBackend(BackendConformance):
    @pytest.fixture
    def backend(self, config: Any) -> SQLSpecBackendConfig:
        return SQLSpecBackendConfig(config=config, create_schema=True)
