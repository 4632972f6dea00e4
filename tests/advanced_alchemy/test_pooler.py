"""Behind a pooler of transactions."""

from __future__ import annotations

import asyncio

import pytest
from advanced_alchemy.config import EngineConfig
from tests.advanced_alchemy.conftest import Alchemy
from tests.databases.pgbouncer import Bouncer
from tests.databases.postgres import Database

from litestar_queues_advanced_alchemy import AdvancedAlchemyBackendConfig
from litestar_queues_core.findings import SupportsCheck
from litestar_queues_core.protocols import Store
from litestar_queues_core.settlements import Kind
from litestar_queues_core.testing import Claimer, make_jobs

PREPARES_NOTHING = {
    "asyncpg": {"statement_cache_size": 0},
    "psycopg": {"prepare_threshold": None},
}


async def work(store: Store) -> int:
    claimer = await Claimer(store).open()
    done = 0
    for _ in range(20):
        await store.enqueue(make_jobs(5))
        for job in await claimer.claim():
            await claimer.settle(job, Kind.COMPLETE)
            done += 1
    return done


@pytest.mark.parametrize("driver", PREPARES_NOTHING)
async def test_jobs_are_run_and_notifications_go_past_it(
    bouncer: Bouncer, database: Database, alchemy: Alchemy, driver: str
) -> None:
    url = bouncer.dsn(database).replace("postgresql:", f"postgresql+{driver}:")
    settings = EngineConfig(connect_args=PREPARES_NOTHING[driver])
    config = alchemy(database, driver, connection_string=url, engine_config=settings)
    backend = AdvancedAlchemyBackendConfig(config=config, create_schema=True, notify=database.url)
    async with backend.open() as store, backend.open() as other:
        done = await asyncio.gather(*(work(one) for one in (store, other, store, other)))
        assert isinstance(store, SupportsCheck)
        found = {one.about: one for one in await store.check()}

    assert sum(done) == 400
    assert found["pooler"].message == "connections are pooled by transaction"
    assert found["notifications"].message == "are heard"
