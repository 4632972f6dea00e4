"""Whichever statement fails: data and job are committed together, or neither is."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlspec.adapters.asyncpg import AsyncpgConfig, AsyncpgDriver
from tests.databases.postgres import Database
from tests.sqlspec.test_transactions import Counter

from litestar_queues_core.model import Status
from litestar_queues_core.settlements import Kind
from litestar_queues_core.testing import Claimer, make_job, settled
from litestar_queues_sql.drivers.asyncpg import AsyncpgConnection
from litestar_queues_sql.postgres import PostgresStore
from litestar_queues_sqlspec import SQLSpecBackendConfig
from litestar_queues_sqlspec.sessions import AsyncSessions

MOST = 40


class Doomed(AsyncpgConnection):
    """A connection that the server ends before one statement, counted over all."""

    left = 0
    database: Database

    async def fetch(self, text: str, params: Sequence[object]) -> Any:
        self.step()
        return await super().fetch(text, params)

    async def run_many(self, text: str, rows: Sequence[Sequence[object]]) -> None:
        self.step()
        await super().run_many(text, rows)

    async def run(self, text: str) -> None:
        self.step()
        await super().run(text)

    def step(self) -> None:
        Doomed.left -= 1
        if Doomed.left == 0:
            self.database.end(self.raw.get_server_pid())


@pytest.fixture
async def counter(database: Database) -> AsyncGenerator[Counter]:
    config = AsyncpgConfig(connection_config={"dsn": database.url})
    yield Counter(config, database)
    await config.close_pool()


@asynccontextmanager
async def opened(
    counter: Counter, database: Database, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[PostgresStore]:
    """Open a store whose sessions are doomed."""

    async def connection(self: AsyncSessions, session: AsyncpgDriver) -> Doomed:
        return Doomed(session.connection)

    monkeypatch.setattr(Doomed, "database", database, raising=False)
    monkeypatch.setattr(AsyncSessions, "connection", connection)
    async with SQLSpecBackendConfig(config=counter.config, create_schema=True).open() as store:
        yield store


async def test_enqueue(
    counter: Counter, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(counter, database, monkeypatch) as store:
        for number in range(1, MOST):
            Doomed.left = number
            jobs = [make_job(key=f"key {number}"), make_job()]
            try:
                async with counter.transaction() as session:
                    await counter.count(session)
                    await store.enqueue_in(session, jobs)
            except Exception:  # noqa: BLE001  (as it comes)
                assert list(await store.get([job.id for job in jobs])) == [None, None]
                assert await counter.counted() == 0
            else:
                break

        assert all(await store.get([job.id for job in jobs]))
        assert await counter.counted() == 1
        assert 8 < number < MOST


async def test_complete(
    counter: Counter, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(counter, database, monkeypatch) as store:
        claimer = await Claimer(store).open()
        await store.enqueue([make_job(key="key")])
        job = await claimer.claim_one()
        settlement = settled(job, Kind.COMPLETE, follow_ups=[make_job(key="next")])
        for number in range(1, MOST):
            Doomed.left = number
            try:
                async with store.transaction() as session:
                    await counter.count(session)
                    await store.settle_in(session, claimer.lease, settlement)
            except Exception:  # noqa: BLE001  (as it comes)
                (found,) = await store.get([job.id])
                assert found is not None
                assert found.status is Status.RUNNING
                assert await counter.counted() == 0
            else:
                break

        (found,) = await store.get([job.id])
        assert found is not None
        assert found.status is Status.COMPLETED
        assert len(await claimer.claim()) == 1
        assert await counter.counted() == 1
        assert 8 < number < MOST
