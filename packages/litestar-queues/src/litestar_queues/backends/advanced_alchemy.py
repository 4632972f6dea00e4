"""Jobs in a database of Advanced Alchemy: ``pip install 'litestar-queues[advanced-alchemy]'``."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from litestar_queues_core.errors import adapter

with adapter("advanced_alchemy"):
    AdvancedAlchemyBackendConfig: type[Any] = import_module(
        "litestar_queues_advanced_alchemy"
    ).AdvancedAlchemyBackendConfig

__all__ = ["AdvancedAlchemyBackendConfig"]
