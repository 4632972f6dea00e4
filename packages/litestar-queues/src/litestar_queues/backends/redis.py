"""Jobs in Redis: ``pip install 'litestar-queues[redis]'``."""

from __future__ import annotations

from litestar_queues_core.errors import adapter

with adapter("redis"):
    from litestar_queues_redis import RedisBackendConfig

__all__ = ["RedisBackendConfig"]
