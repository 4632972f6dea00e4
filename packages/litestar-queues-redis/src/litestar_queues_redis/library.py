"""What is used of redis-py."""
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false
# (it is half typed)

from __future__ import annotations

from typing import Any

import hiredis
from redis import asyncio, connection, exceptions
from redis.asyncio import connection as asynchronous

from litestar_queues_resp import Library, connections_in


async def answered(idle: Any) -> bool:
    """Return whether a connection has something to read; asked for differently before 8.0."""
    look = getattr(idle, "can_read", None) or idle.can_read_destructive
    return bool(await look())


REDIS_PY = Library(
    name="redis-py",
    config="RedisBackendConfig",
    clients=(asyncio.Redis, asyncio.RedisCluster, asyncio.ConnectionPool),
    connections=connections_in(asynchronous),
    blocking=connections_in(connection),
    answered=answered,
    refusal=exceptions.ResponseError,
    pack=hiredis.pack_command,
    parse_url=connection.parse_url,
)
