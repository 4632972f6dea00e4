"""Jobs in the database of an Advanced Alchemy configuration."""

from __future__ import annotations

from litestar_queues_advanced_alchemy.config import AdvancedAlchemyBackendConfig
from litestar_queues_advanced_alchemy.tables import queue_tables

__all__ = ["AdvancedAlchemyBackendConfig", "queue_tables"]
