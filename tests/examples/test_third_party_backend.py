"""The example for authors of backends keeps every promise of a store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from journal_queue import JournalBackendConfig, JournalStore

from litestar_queues_core import ConfigError, QueueConfig, QueueService, Worker, task
from litestar_queues_core.discovery import load_backend
from litestar_queues_core.testing import BackendConformance, StoreConformance


class TestJournalStore(StoreConformance):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[JournalStore]:
        async with JournalBackendConfig(path=tmp_path / "jobs.journal").open() as store:
            yield store


class TestJournalBackend(BackendConformance):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> JournalBackendConfig:
        return JournalBackendConfig(path=tmp_path / "jobs.journal")


def test_it_is_found_by_its_name() -> None:
    assert load_backend("journal") is JournalBackendConfig


def test_a_missing_directory_is_named_with_the_fix(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere does not exist; make it"):
        JournalBackendConfig(path=tmp_path / "nowhere" / "jobs.journal")


async def test_a_worker_runs_its_jobs_although_it_has_no_ability_at_all(tmp_path: Path) -> None:
    @task("journal.double")
    async def double(number: int) -> int:
        return 2 * number

    backend = JournalBackendConfig(path=tmp_path / "jobs.journal")
    async with QueueService(QueueConfig(queue_backend=backend)) as service:
        results = [await service.enqueue(double, number) for number in range(20)]
        async with Worker(service):
            values = [await result.value(20) for result in results]

    assert values == [2 * number for number in range(20)]


async def test_a_line_that_was_never_finished_is_cut_off(tmp_path: Path) -> None:
    @task("journal.nothing")
    async def nothing() -> None: ...

    path = tmp_path / "jobs.journal"
    config = QueueConfig(queue_backend=JournalBackendConfig(path=path))
    async with QueueService(config) as service:
        first = await service.enqueue(nothing)
    with path.open("ab") as file:
        file.write(b'{"jobs": {"half')
    async with QueueService(config) as service:
        second = await service.enqueue(nothing)
    async with QueueService(config) as service:
        found = await service.store.get([first._id, second._id])

    assert [job is not None for job in found] == [True, True]
