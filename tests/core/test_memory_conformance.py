from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from litestar_queues_core.stores.memory import MemoryBackendConfig, MemoryStore
from litestar_queues_core.testing import BackendConformance, StoreConformance


class TestMemoryStore(StoreConformance):
    @pytest.fixture
    async def store(self) -> AsyncIterator[MemoryStore]:
        async with MemoryBackendConfig().open() as store:
            yield store


class TestMemoryBackend(BackendConformance):
    @pytest.fixture
    def backend(self) -> MemoryBackendConfig:
        return MemoryBackendConfig()
