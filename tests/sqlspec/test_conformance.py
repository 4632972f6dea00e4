"""Stores through SQLSpec keep the whole contract, with every driver and on every version."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from itertools import product

import pytest
from tests.databases.fixtures import NEWEST, VERSIONS, DatabaseOf
from tests.databases.pgbouncer import Bouncer
from tests.databases.postgres import Database
from tests.sqlspec.places import POOLED, POSTGRES

from litestar_queues_core.testing import BackendConformance, StoreConformance
from litestar_queues_sql.postgres import PostgresStore
from litestar_queues_sqlspec import SQLSpecBackendConfig

USUAL = ("asyncpg", NEWEST)


def _matrix() -> Iterator[object]:
    """Each driver on the newest server, and each server with the usual driver."""
    for driver, version in product(POSTGRES, (str(one.values[0]) for one in VERSIONS)):
        if driver == USUAL[0] or version == USUAL[1]:
            marks = [] if (driver, version) == USUAL else [pytest.mark.service]
            yield pytest.param((driver, version), marks=marks, id=f"{driver}-{version}")


@pytest.fixture(params=list(_matrix()))
def fresh(request: pytest.FixtureRequest, database_of: DatabaseOf) -> SQLSpecBackendConfig:
    driver, version = request.param
    return SQLSpecBackendConfig(config=POSTGRES[driver](database_of(version)), create_schema=True)


class TestPostgresStore(StoreConformance):
    @pytest.fixture
    async def store(self, fresh: SQLSpecBackendConfig) -> AsyncGenerator[PostgresStore]:
        async with fresh.open() as store:
            yield store


class TestPostgresBackend(BackendConformance):
    @pytest.fixture
    def backend(self, fresh: SQLSpecBackendConfig) -> SQLSpecBackendConfig:
        return fresh


@pytest.fixture(params=POOLED)
def pooled(
    request: pytest.FixtureRequest, bouncer: Bouncer, database: Database
) -> SQLSpecBackendConfig:
    """Behind a pooler of transactions; notifications go past it."""
    config = POOLED[request.param](bouncer.dsn(database))
    return SQLSpecBackendConfig(config=config, create_schema=True, notify=database.url)


@pytest.mark.service
class TestPooledStore(StoreConformance):
    @pytest.fixture
    async def store(self, pooled: SQLSpecBackendConfig) -> AsyncGenerator[PostgresStore]:
        async with pooled.open() as store:
            yield store


@pytest.mark.service
class TestPooledBackend(BackendConformance):
    @pytest.fixture
    def backend(self, pooled: SQLSpecBackendConfig) -> SQLSpecBackendConfig:
        return pooled
