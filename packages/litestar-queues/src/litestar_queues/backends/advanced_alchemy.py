"""Jobs in a database of Advanced Alchemy: ``pip install 'litestar-queues[advanced-alchemy]'``."""

from __future__ import annotations

from litestar_queues_core.errors import adapter

with adapter("advanced_alchemy"):
    from litestar_queues_advanced_alchemy import AdvancedAlchemyBackendConfig, queue_tables

__all__ = ["AdvancedAlchemyBackendConfig", "queue_tables"]
