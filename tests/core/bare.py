"""A real store with the required methods and no ability at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar_queues_core.stores.memory import MemoryBackendConfig

REQUIRED = frozenset(
    {"enqueue", "open_lease", "exchange", "renew", "close_lease", "maintain", "get", "cancel"}
)


class BareStore:
    """The memory store, seen through the required protocol only."""

    def __init__(self, store: Any) -> None:
        for name in REQUIRED:
            setattr(self, name, getattr(store, name))


class BareBackend:
    """Opens it."""

    def __init__(self) -> None:
        self._memory = MemoryBackendConfig()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Any]:
        async with self._memory.open() as store:
            yield BareStore(store)
