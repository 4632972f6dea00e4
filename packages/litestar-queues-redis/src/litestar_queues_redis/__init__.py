"""Jobs in Redis."""

from __future__ import annotations

from litestar_queues_redis.config import RedisBackendConfig

__all__ = ["RedisBackendConfig"]
