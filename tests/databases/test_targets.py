"""Chaos targets do what the runner thinks they do, whatever the store."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pymysql
import pytest
from tests.databases import mariadb, targets
from tests.databases.postgres import APP
from tests.databases.program import until
from tests.databases.targets import CHILD, MariaTarget, PostgresTarget, Target

from litestar_queues_core.testing.chaos import ChaosTarget, SupportsProxy, SupportsServer

pytestmark = pytest.mark.service


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "TERMINATES", 0.05)


def there_and_back(target: Target, workspace: Path) -> None:
    """Kill and restart the server; other processes find it where it was."""
    address = target.address()
    target.kill()
    target.restart()

    assert isinstance(target, ChaosTarget)
    assert isinstance(target, SupportsServer)
    assert isinstance(target, SupportsProxy)
    assert type(target)(workspace).address() == target.address() == address


async def test_children_of_postgresql_lose_connections_and_others_do_not(short: Path) -> None:
    target = PostgresTarget(short)
    try:
        await asyncio.to_thread(target.start)
        await asyncio.to_thread(there_and_back, target, short)
        host, port = target.address()
        ours, child = [
            await asyncpg.connect(f"postgresql://{user}@{host}:{port}/postgres")
            for user in (APP, CHILD)
        ]
        await asyncio.to_thread(until, child.is_closed)
        assert await ours.fetchval("SELECT 1") == 1
        await ours.close()
    finally:
        await asyncio.to_thread(target.stop)


@pytest.mark.skipif(not mariadb.binary(), reason="there is no MariaDB on the path")
def test_children_of_mariadb_lose_connections_and_others_do_not(short: Path) -> None:
    target = MariaTarget(short)
    try:
        target.start()
        there_and_back(target, short)
        host, port = target.address()
        ours = pymysql.connect(host=host, port=port, user=mariadb.APP)
        child = pymysql.connect(host=host, port=port, user=CHILD)
        until(lambda: not target.connections())
        with pytest.raises(pymysql.OperationalError), child.cursor() as cursor:
            cursor.execute("SELECT 1")
        ours.ping(reconnect=False)
        ours.close()
    finally:
        target.stop()
