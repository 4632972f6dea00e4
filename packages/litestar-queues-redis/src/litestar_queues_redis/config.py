"""Choosing Redis."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

from redis.asyncio import ConnectionPool, Redis, RedisCluster

from litestar_queues_redis.library import REDIS_PY
from litestar_queues_resp import Library, RespBackendConfig

RedisClient: TypeAlias = Redis | RedisCluster | ConnectionPool
"""What an application may pass in."""


@dataclass(kw_only=True, slots=True)
class RedisBackendConfig(RespBackendConfig):
    """Jobs in Redis 6.2 or later, or in Valkey, with the client library redis-py.

    ```
    RedisBackendConfig(url="redis://user:password@host:6379/0")
    RedisBackendConfig(url="rediss://host:6379", options={"ssl_ca_certs": "authority.pem"})
    RedisBackendConfig(url="redis://node-1:6379", cluster=True)
    RedisBackendConfig(sentinels=[("one", 26379), ("two", 26379)], service_name="mymaster")
    ```

    The server should keep what it has on disk (``appendonly yes``) and must not evict keys
    (``maxmemory-policy noeviction``); what is wrong is said at the start.

    Attributes:
        url: Where the server is: ``redis://``, ``valkey://``, with TLS ``rediss://`` or
            ``valkeys://``, or ``unix:///path/of/the/socket?db=0``; with user, password and number
            of the database. By default ``redis://localhost:6379/0``. What a URL says about
            timeouts, retries, pools and decoding is for others and has no effect here. With
            sentinels, its host and port have none either.
        client: An asyncio client or connection pool of the application, instead of ``url``. The
            queue makes connections of its own with its settings: where the server is, who logs
            in, certificates; not timeouts, retries and limits. So it takes none of the
            application's connections, and neither changes nor closes what was passed in.
        prefix: The namespace: what the names of all keys begin with, in braces, so that they lie
            in one slot of a cluster. Applications with different ones share nothing.
        protocol: The version of the protocol to speak, 2 or 3; to the queue they are alike.
        cluster: Whether the server is a node of a cluster. Further nodes are found; a namespace
            lies on one of them, and several namespaces on several.
        sentinels: Whom to ask which server is the primary: (host, port), or a URL if they want a
            password or TLS.
        service_name: What the sentinels call it.
        options: Further settings of a connection, as redis-py calls them: those that begin with
            ``ssl_``, ``credential_provider``, ``client_name``, ``socket_keepalive``.
        durability: When a job counts as enqueued: ``"server"`` once the server has it, as durable
            as it is configured to be; ``"aof"`` once it is synced to the append-only file (Redis
            or Valkey 7.2); ``"replicas"`` once a replica has it.
        retention: How long finished jobs are kept; by default one hour, and at most 100,000.
    """

    library: ClassVar[Library] = REDIS_PY

    client: RedisClient | None = field(default=None, repr=False)
