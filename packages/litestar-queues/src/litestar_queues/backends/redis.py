"""Jobs in Redis: ``pip install 'litestar-queues[redis]'``."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from litestar_queues_core.errors import adapter

with adapter("redis"):
    RedisBackendConfig: type[Any] = import_module("litestar_queues_redis").RedisBackendConfig

__all__ = ["RedisBackendConfig"]
