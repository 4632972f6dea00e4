"""A store in this process."""

from __future__ import annotations

from litestar_queues_core.stores.memory.store import MemoryBackendConfig, MemoryStore

__all__ = ["MemoryBackendConfig", "MemoryStore"]
