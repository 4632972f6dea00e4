"""What is particular about psycopg: its pools, its blocking configurations, its errors."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from psycopg_pool import AsyncConnectionPool
from sqlspec.adapters.psycopg import PsycopgAsyncConfig, PsycopgSyncConfig
from tests.databases.pgbouncer import Bouncer
from tests.databases.postgres import Database

from litestar_queues_core import (
    QueueConfig,
    QueueService,
    SessionError,
    Worker,
    get_current_task_context,
    task,
)
from litestar_queues_core.errors import ConfigError, QueueError, StoreUnavailable
from litestar_queues_core.testing import Claimer, make_job, make_jobs
from litestar_queues_sqlspec import SQLSpecBackendConfig
from litestar_queues_sqlspec.psycopg import twin


async def use(config: Any, **fields: Any) -> None:
    async with SQLSpecBackendConfig(config=config, create_schema=True, **fields).open() as store:
        await store.enqueue(make_jobs(3))
        assert len(await (await Claimer(store).open()).claim()) == 3
        assert (await store.count()).counts[0].value == 3


async def refusal(config: Any) -> QueueError:
    with pytest.raises(QueueError) as caught:
        await use(config)
    return caught.value


async def test_the_pool_is_used_and_given_back_as_it_was(database: Database) -> None:
    config = PsycopgAsyncConfig(connection_config={"conninfo": database.url, "max_size": 4})
    pool = await config.provide_pool()
    await use(config)

    assert not pool.closed
    async with config.provide_session() as session:
        assert not session.connection.autocommit
        assert await session.select_value("SELECT 1") == 1
    await config.close_pool()


async def test_a_pool_that_was_made_elsewhere_says_how_to_connect(database: Database) -> None:
    async with AsyncConnectionPool(database.url, min_size=1, open=False) as pool:
        await use(PsycopgAsyncConfig(connection_instance=pool))
        assert not pool.closed


async def test_behind_a_pooler_of_transactions(database: Database, bouncer: Bouncer) -> None:
    url = bouncer.dsn(database)
    pooled = {"pooler_mode": "transaction"}
    await use(PsycopgAsyncConfig(connection_config={"conninfo": url}, driver_features=pooled))
    direct = {**pooled, "direct_dsn": database.url}
    await use(
        PsycopgAsyncConfig(connection_config={"conninfo": url}, driver_features=direct),
        prefix="other_",
    )


@pytest.mark.parametrize(
    ("name", "words"), [("user", "nobody_here"), ("dbname", "no_such_database")]
)
async def test_what_keeps_it_from_connecting_is_said(
    database: Database, name: str, words: str
) -> None:
    for kind in (PsycopgAsyncConfig, PsycopgSyncConfig):
        error = await refusal(kind(connection_config={"conninfo": database.url, name: words}))
        assert isinstance(error, ConfigError)
        assert words in str(error)


async def test_settings_that_it_does_not_know_are_said(database: Database) -> None:
    error = await refusal(
        PsycopgAsyncConfig(connection_config={"conninfo": database.url, "colour": "red"})
    )
    assert isinstance(error, ConfigError)
    assert "colour" in str(error)


async def test_nobody_at_the_address() -> None:
    config = PsycopgAsyncConfig(connection_config={"conninfo": "host=127.0.0.1 port=1"})
    assert isinstance(await refusal(config), StoreUnavailable)


async def test_a_blocking_configuration_lends_its_settings(database: Database) -> None:
    named = {"conninfo": database.url, "application_name": "lent", "min_size": 1, "max_size": 2}
    config = PsycopgSyncConfig(connection_config=named)
    backend = SQLSpecBackendConfig(config=config, create_schema=True)
    async with backend.open() as store:
        await store.enqueue([make_job()])
        found = database.ask("SELECT DISTINCT application_name FROM pg_stat_activity")

    assert ("lent",) in found
    assert config.connection_instance is None


@pytest.mark.parametrize("feature", ["on_connection_create", "enable_alloydb"])
def test_what_only_a_blocking_connection_can_follow_is_refused(feature: str) -> None:
    config = PsycopgSyncConfig(connection_config={"conninfo": "host=127.0.0.1"})
    config.driver_features[feature] = print
    with pytest.raises(ConfigError, match=feature):
        twin(config)


@task("psycopg.noop")
async def noop() -> None:
    pass


async def test_a_blocking_driver_takes_jobs_along_in_its_own_thread(database: Database) -> None:
    config = PsycopgSyncConfig(connection_config={"conninfo": database.url})

    def enqueue(service: QueueService) -> str:
        with config.provide_session() as driver:
            driver.commit()
            with pytest.raises(SessionError, match=r"`with driver\.transaction\(\):`"):
                service.sync.enqueue(noop, session=driver)
            with driver.transaction():  # which begins with the next statement
                job = service.sync.enqueue(noop, session=driver).id
        with pytest.raises(SessionError, match="no open transaction, or none any more"):
            service.sync.enqueue(noop, session=driver)
        config.close_pool()
        return job

    async def refused(service: QueueService) -> None:
        fix = pytest.raises(SessionError, match=r"service\.sync\.enqueue")
        with config.provide_session() as driver, driver.transaction(), fix:
            await service.enqueue(noop, session=driver)

    @task
    async def work() -> None:
        async with get_current_task_context().transaction():
            raise AssertionError

    backend = SQLSpecBackendConfig(config=config, create_schema=True)
    async with QueueService(QueueConfig(queue_backend=backend)) as service:
        await refused(service)
        job = await asyncio.to_thread(enqueue, service)
        assert await service.get(job) is not None
        async with Worker(service):
            result = await (await service.enqueue(work)).wait(10)

    assert "those of a PsycopgSyncConfig block: give the queue a PsycopgAsyncConfig" in str(
        result.error
    )
