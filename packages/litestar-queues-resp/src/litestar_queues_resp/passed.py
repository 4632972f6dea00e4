"""What a client or a pool of the application says about servers; itself it is left alone."""

from __future__ import annotations

from typing import Any

from litestar_queues_core.errors import ConfigError
from litestar_queues_resp.endpoint import Endpoint, kept
from litestar_queues_resp.library import Kind, Library
from litestar_queues_resp.topology import Alone, Cluster, Sentinels, Topology


def topology_of(client: object, library: Library, *, key: str) -> Topology:
    """Return where a client, or a connection pool, of *library* leads.

    Args:
        client: It; none of its connections is used.
        library: The library.
        key: One of the queue's, for a cluster.

    Raises:
        ConfigError: It is something else, or made for another purpose.
    """
    setting = f"{library.config}.client"
    if not isinstance(client, library.clients):
        raise ConfigError(
            f"{setting} must be an asyncio client or connection pool of {library.name}, "
            f"not a {type(client).__module__}.{type(client).__qualname__}"
        )
    source: Any = client
    nodes = getattr(source, "nodes_manager", None)
    if nodes is not None:
        found = [_endpoint(node, setting) for node in nodes.startup_nodes.values()]
        return Cluster(found, key)
    pool: Any = getattr(source, "connection_pool", source)
    endpoint = _endpoint(pool, setting)
    manager = getattr(pool, "sentinel_manager", None)
    if manager is None:
        return Alone(endpoint)
    if not pool.is_master:
        raise ConfigError(f"{setting} leads to replicas: pass what master_for() returns")
    sentinels = [_endpoint(one.connection_pool, setting) for one in manager.sentinels]
    return Sentinels(sentinels, pool.service_name, endpoint)


def _endpoint(source: Any, setting: str) -> Endpoint:
    """Return the server that a pool, or a node of a cluster, connects to."""
    settings = source.connection_kwargs
    if settings.get("decode_responses"):
        raise ConfigError(
            f"{setting} was made with decode_responses=True, but what a queue keeps is no text: "
            "pass a client made without it, or url="
        )
    return Endpoint(_kind(source.connection_class), kept(settings))


def _kind(connection: type[object]) -> Kind:
    names = {parent.__name__ for parent in connection.__mro__}
    if "UnixDomainSocketConnection" in names:
        return "unix"
    return "tls" if "SSLConnection" in names else "tcp"
