"""Fixtures of stores that are reached in each way, over a network that can be made to fail."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from tests.databases import mariadb
from tests.databases.postgres import Database
from tests.databases.program import HOST
from tests.databases.ways import MARIADB, POSTGRES, Way

from litestar_queues_core.protocols import BackendConfig
from litestar_queues_core.testing.chaos import Proxy

AnyDatabase = Database | mariadb.Database

USUAL, *OTHERS = (*POSTGRES, *MARIADB)


@pytest.fixture(
    params=[USUAL, *(pytest.param(one, marks=pytest.mark.service) for one in OTHERS)], ids=str
)
def way(request: pytest.FixtureRequest) -> Way:
    """Each way to a database."""
    found: Way = request.param
    return found


@pytest.fixture
def reached(way: Way, request: pytest.FixtureRequest) -> AnyDatabase:
    """An empty database of the kind that the way leads to."""
    name = "database" if way in POSTGRES else "maria_database"
    found: AnyDatabase = request.getfixturevalue(name)
    return found


@pytest.fixture
async def proxy(reached: AnyDatabase) -> AsyncGenerator[Proxy]:
    """What lies between the stores and the database."""
    async with Proxy(HOST, reached.server.port) as proxy:
        yield proxy


@pytest.fixture
def backend(way: Way, reached: AnyDatabase, proxy: Proxy) -> BackendConfig:
    """A store in that database."""
    return way.backend(through(reached.url, reached, proxy), create_schema=True)


def through(url: str, database: AnyDatabase, proxy: Proxy) -> str:
    """Return the address of a database, reached by a proxy."""
    return url.replace(f":{database.server.port}/", f":{proxy.address[1]}/")
