"""The store in a database of Advanced Alchemy agrees with the model, with each driver."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from advanced_alchemy.config import SQLAlchemyAsyncConfig
from sqlalchemy import MetaData
from tests.advanced_alchemy.conftest import DRIVERS
from tests.databases.postgres import Database

from litestar_queues_advanced_alchemy import AdvancedAlchemyBackendConfig
from litestar_queues_core.testing.model import check_model
from litestar_queues_core.testing.model.checking import Fresh
from litestar_queues_sql.postgres import PostgresStore

BIND_KEY = "model"


@pytest.fixture(params=DRIVERS)
def fresh(request: pytest.FixtureRequest, database: Database) -> Fresh:
    """Opens a store on tables of its own, all in one database."""
    numbers = itertools.count()
    url = database.url.replace("postgresql:", f"postgresql+{request.param}:")

    @asynccontextmanager
    async def open_() -> AsyncGenerator[PostgresStore]:
        config = SQLAlchemyAsyncConfig(
            connection_string=url, metadata=MetaData(), bind_key=BIND_KEY
        )
        backend = AdvancedAlchemyBackendConfig(
            config=config, prefix=f"q{next(numbers)}_", notify=False, create_schema=True
        )
        async with backend.open() as store:
            yield store

    return open_


@pytest.mark.timeout(300)
async def test_seeded_scripts_agree(fresh: Fresh) -> None:
    report = await check_model(fresh, scripts=8, steps=60)

    assert report.steps.total() == 8 * 60
    assert report.lacks == ()
