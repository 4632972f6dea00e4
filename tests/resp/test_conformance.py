"""The store keeps the whole contract, with each client, protocol and server."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from tests.resp.conftest import ServerOf
from tests.resp.matrix import COMBINATIONS, Combination

from litestar_queues_core.protocols import BackendConfig, Store
from litestar_queues_core.testing import BackendConformance, StoreConformance


@pytest.fixture(params=COMBINATIONS)
def backend(request: pytest.FixtureRequest, emptied: ServerOf) -> BackendConfig:
    combination: Combination = request.param
    return combination.config(emptied(combination.server).url)


class TestRespStore(StoreConformance):
    @pytest.fixture
    async def store(self, backend: BackendConfig) -> AsyncGenerator[Store]:
        async with backend.open() as store:
            yield store


class TestRespBackend(BackendConformance):
    """Two stores at once, and one after another."""
