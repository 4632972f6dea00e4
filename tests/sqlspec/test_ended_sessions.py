"""Sessions that cannot be used any more are refused, with what to do instead."""

from __future__ import annotations

import pytest
from tests.databases.postgres import Database
from tests.sqlspec.places import POSTGRES

from litestar_queues_core import QueueConfig, QueueService, SessionError, task
from litestar_queues_sqlspec import SQLSpecBackendConfig


@task("ended_sessions.noop")
async def noop() -> None:
    """Do nothing."""


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_a_session_whose_block_is_over_is_refused(database: Database, driver: str) -> None:
    config = POSTGRES[driver](database)
    backend = SQLSpecBackendConfig(config=config, create_schema=True)
    async with QueueService(QueueConfig(queue_backend=backend)) as service:
        async with config.provide_session() as session, session.transaction():
            kept = await service.enqueue(noop, session=session)

        with pytest.raises(SessionError, match=r"its own block|async with driver\.transaction\(\)"):
            await service.enqueue(noop, session=session)

        assert await service.get(kept.id) is not None
    await config.close_pool()


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_a_session_whose_connection_is_closed_is_refused(
    database: Database, driver: str
) -> None:
    config = POSTGRES[driver](database)
    backend = SQLSpecBackendConfig(config=config, create_schema=True)
    async with QueueService(QueueConfig(queue_backend=backend)) as service:
        raw = await config.create_connection()
        session = config.driver_type(raw, config.statement_config, config.driver_features)
        await raw.close()

        with pytest.raises(SessionError, match="is closed; open another session"):
            await service.enqueue(noop, session=session)
    await config.close_pool()
