"""Jobs in Valkey: ``pip install 'litestar-queues[valkey]'``."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from litestar_queues_core.errors import adapter

with adapter("valkey"):
    ValkeyBackendConfig: type[Any] = import_module("litestar_queues_valkey").ValkeyBackendConfig

__all__ = ["ValkeyBackendConfig"]
