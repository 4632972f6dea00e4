from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from litestar_queues_sql import SQLiteBackendConfig, SQLiteStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queue.db"


@pytest.fixture
async def store(path: Path) -> AsyncGenerator[SQLiteStore]:
    async with SQLiteBackendConfig(path=path).open() as store:
        yield store
