"""Jobs in Valkey."""

from __future__ import annotations

from litestar_queues_valkey.config import ValkeyBackendConfig

__all__ = ["ValkeyBackendConfig"]
