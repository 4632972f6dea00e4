"""Jobs in servers that speak the protocol of Redis, whatever the client library."""

from __future__ import annotations

from litestar_queues_resp.client import BlockingClient, Client, ScriptMissing
from litestar_queues_resp.config import RespBackendConfig
from litestar_queues_resp.library import Library, connections_in
from litestar_queues_resp.store import RespStore

__all__ = [
    "BlockingClient",
    "Client",
    "Library",
    "RespBackendConfig",
    "RespStore",
    "ScriptMissing",
    "connections_in",
]
