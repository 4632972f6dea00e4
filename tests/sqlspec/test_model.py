"""The store on PostgreSQL agrees with the model."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from sqlspec.adapters.asyncpg import AsyncpgConfig
from tests.databases.postgres import Database
from tests.model_machine import FOUND, search

from litestar_queues_core.testing.model import check_model, run_script
from litestar_queues_core.testing.model.checking import Fresh
from litestar_queues_core.testing.model.steps import Step
from litestar_queues_sql.postgres import PostgresStore
from litestar_queues_sqlspec import SQLSpecBackendConfig


@pytest.fixture
def fresh(database: Database) -> Fresh:
    """Opens a store on tables of its own, all in one database."""
    numbers = itertools.count()

    @asynccontextmanager
    async def open_() -> AsyncGenerator[PostgresStore]:
        config = AsyncpgConfig(connection_config={"dsn": database.url})
        prefix = f"q{next(numbers)}_"
        async with SQLSpecBackendConfig(
            config=config, prefix=prefix, notify=False, create_schema=True
        ).open() as store:
            yield store

    return open_


@pytest.mark.timeout(300)
def test_hypothesis_finds_no_disagreement(fresh: Fresh) -> None:
    search(fresh, examples=20)


@pytest.mark.timeout(300)
async def test_seeded_scripts_agree(fresh: Fresh) -> None:
    report = await check_model(fresh, scripts=15, steps=80)

    assert report.steps.total() == 15 * 80
    assert report.lacks == ()


@pytest.mark.parametrize("script", FOUND.values(), ids=FOUND)
async def test_what_was_found_once_is_right(script: list[Step], fresh: Fresh) -> None:
    await run_script(fresh, script)
