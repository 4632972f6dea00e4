"""What is used of valkey-py."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# (it is half typed)

from __future__ import annotations

from typing import Any

from libvalkey import pack_command
from valkey import asyncio, connection, exceptions
from valkey.asyncio import connection as asynchronous

from litestar_queues_resp import Library, connections_in


async def answered(idle: Any) -> bool:
    """Return whether a connection has something to read."""
    return bool(await idle.can_read_destructive())


def settings_in(url: str) -> dict[str, Any]:
    """Return what a URL says about a connection; nothing is connected."""
    settings: dict[str, Any] = asyncio.ConnectionPool.from_url(url).connection_kwargs
    return settings


VALKEY_PY = Library(
    name="valkey-py",
    config="ValkeyBackendConfig",
    clients=(asyncio.Valkey, asyncio.ValkeyCluster, asyncio.ConnectionPool),
    connections=connections_in(asynchronous),
    blocking=connections_in(connection),
    answered=answered,
    refusal=exceptions.ResponseError,
    pack=pack_command,
    parse_url=settings_in,
)
