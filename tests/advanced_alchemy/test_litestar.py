"""In a Litestar application: an order and its job through one injected session, or neither."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
from advanced_alchemy.extensions.litestar import (
    AsyncSessionConfig,
    SQLAlchemyAsyncConfig,
    SQLAlchemyPlugin,
)
from litestar import Litestar, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from tests.databases.postgres import Database

from litestar_queues import QueueConfig, QueuePlugin, QueueService, WorkerConfig, task
from litestar_queues.backends.advanced_alchemy import AdvancedAlchemyBackendConfig

Handler = Any


@task("litestar.confirm")
async def confirm(order: int) -> int:
    return order


@post("/orders/{order:int}")
async def place(
    order: FromPath[int],
    db_session: NamedDependency[AsyncSession],
    queue_service: NamedDependency[QueueService],
) -> dict[str, str]:
    await db_session.execute(text("INSERT INTO orders VALUES (:order)"), {"order": order})
    job = await queue_service.enqueue(confirm, order, session=db_session)
    if order < 0:
        raise ValueError("no such order")
    return {"job": job.id}


@pytest.fixture(params=["queue first", "database first"])
async def app(request: pytest.FixtureRequest, database: Database) -> AsyncGenerator[Litestar]:
    config = SQLAlchemyAsyncConfig(
        connection_string=database.url.replace("postgresql:", "postgresql+asyncpg:"),
        before_send_handler="autocommit",
        session_config=AsyncSessionConfig(expire_on_commit=False),
    )
    backend = AdvancedAlchemyBackendConfig(config=config, create_schema=True)
    queues = QueueConfig(queue_backend=backend, worker=WorkerConfig(grace=5.0))
    plugins: list[Any] = [QueuePlugin(queues), SQLAlchemyPlugin(config=config)]
    if request.param == "database first":
        plugins.reverse()
    database.ask("CREATE TABLE orders (id int PRIMARY KEY)")
    database.ask("ALTER TABLE orders OWNER TO app")
    app = Litestar([place], plugins=plugins, logging_config=None)
    async with app.lifespan():
        yield app


async def call(app: Litestar, order: int) -> httpx.Response:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.post(f"/orders/{order}")


async def test_both_are_committed_and_the_job_runs(app: Litestar, database: Database) -> None:
    service: QueueService = app.state.queue_service
    answer = await call(app, 7)
    job = await service.get(answer.json()["job"])

    assert answer.status_code == 201
    assert job is not None
    assert await job.value(timeout=20) == 7
    assert database.ask("SELECT id FROM orders") == [(7,)]


async def test_an_error_rolls_both_back(app: Litestar, database: Database) -> None:
    service: QueueService = app.state.queue_service
    answer = await call(app, -7)

    assert answer.status_code == 500
    assert database.ask("SELECT id FROM orders") == []
    assert database.ask("SELECT id FROM litestar_queues_job") == []
    assert not (await service.count()).counts


async def test_a_commit_that_fails_takes_the_job_along(app: Litestar, database: Database) -> None:
    """What the client is told is another matter: that is the trap of the autocommit handler."""
    database.ask("ALTER TABLE orders ADD UNIQUE (id) DEFERRABLE INITIALLY DEFERRED")
    database.ask("ALTER TABLE orders DROP CONSTRAINT orders_pkey")
    service: QueueService = app.state.queue_service
    first = await call(app, 7)
    second = await call(app, 7)

    assert first.status_code == 201
    assert second.status_code in {201, 500}  # depends on the version of Advanced Alchemy
    assert sum(one.value for one in (await service.count()).counts) == 1
    assert database.ask("SELECT id FROM orders") == [(7,)]
