"""The embedded store keeps the whole contract."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from litestar_queues_core.testing import BackendConformance, StoreConformance
from litestar_queues_sql import SQLiteBackendConfig, SQLiteStore


class TestSQLiteStore(StoreConformance):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncGenerator[SQLiteStore]:
        async with SQLiteBackendConfig(path=tmp_path / "queue.db").open() as store:
            yield store


class TestSQLiteBackend(BackendConformance):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> SQLiteBackendConfig:
        return SQLiteBackendConfig(path=tmp_path / "queue.db")
