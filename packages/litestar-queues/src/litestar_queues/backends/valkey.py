"""Jobs in Valkey: ``pip install 'litestar-queues[valkey]'``."""

from __future__ import annotations

from litestar_queues_core.errors import adapter

with adapter("valkey"):
    from litestar_queues_valkey import ValkeyBackendConfig

__all__ = ["ValkeyBackendConfig"]
