"""Crash tests whose jobs are in a file."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from litestar_queues_core import task
from litestar_queues_core.registry import default_registry
from litestar_queues_core.testing import crashtest
from litestar_queues_sql import SQLiteBackendConfig


@pytest.fixture(autouse=True)
def _tasks_of_the_test() -> Iterator[None]:
    with default_registry.restored():
        yield


@pytest.mark.parametrize("unwind", [False, True])
async def test_a_store_outlives_the_code_that_is_killed_while_it_writes(
    tmp_path: Path, unwind: bool
) -> None:
    done: list[str] = []

    @task
    async def child() -> None:
        done.append("child")

    @task
    async def parent() -> None:
        await child.using(key="child").enqueue()
        await asyncio.sleep(0)
        done.append("parent")

    def fresh() -> None:
        done.clear()
        for file in tmp_path.iterdir():
            file.unlink()

    report = await crashtest(
        parent.call(),
        check=lambda: {"child", "parent"} == set(done),
        before=fresh,
        backend=SQLiteBackendConfig(path=tmp_path / "queue.db"),
        unwind=unwind,
    )

    assert [point.source for point in report.points] == [
        'await child.using(key="child").enqueue()',
        "await asyncio.sleep(0)",
        "",
    ]


async def test_a_store_that_is_not_empty_is_refused(tmp_path: Path) -> None:
    @task
    async def once() -> None: ...

    backend = SQLiteBackendConfig(path=tmp_path / "queue.db")

    with pytest.raises(ValueError, match="an empty store for each run"):
        await crashtest(
            once.using(key="once", unique_until="forever").call(),
            check=lambda: None,
            backend=backend,
        )
