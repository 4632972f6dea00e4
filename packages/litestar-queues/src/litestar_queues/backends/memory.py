"""Jobs in the memory of this process, for tests and development; nothing to install."""

from __future__ import annotations

from litestar_queues_core.stores.memory import MemoryBackendConfig, MemoryStore

__all__ = ["MemoryBackendConfig", "MemoryStore"]
