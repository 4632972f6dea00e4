"""Choosing a server of the kind of Redis, and opening a store on it."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Literal

from litestar_queues_core.config import choice, instance, name, several
from litestar_queues_core.errors import ConfigError
from litestar_queues_core.model import Retention
from litestar_queues_resp.checks import Durability, Looked, check_server, largest_value
from litestar_queues_resp.connecting import MOST_BYTES, LibraryClient
from litestar_queues_resp.endpoint import Endpoint, from_url, refuse_unknown
from litestar_queues_resp.library import Library
from litestar_queues_resp.passed import topology_of
from litestar_queues_resp.store import RespStore
from litestar_queues_resp.topology import Access, Alone, Cluster, Sentinels, Topology

logger: logging.Logger = logging.getLogger("litestar_queues.resp")

URL = "redis://localhost:6379/0"
PREFIX = "litestar-queues"


def short_retention() -> Retention:
    """Return how long finished jobs are kept where memory is what there is least of."""
    return Retention(completed=3600.0, max_finished=100_000)


@dataclass(kw_only=True, slots=True)
class RespBackendConfig:
    """What the configurations of all libraries have in common; each says what it means."""

    library: ClassVar[Library]

    url: str | None = field(default=None, repr=False)
    client: Any = field(default=None, repr=False)
    prefix: str = PREFIX
    protocol: Literal[2, 3] = 2
    cluster: bool = False
    sentinels: Sequence[tuple[str, int] | str] = field(default=(), repr=False)
    service_name: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    durability: Durability = "server"
    retention: Retention = field(default_factory=short_retention)

    def __post_init__(self) -> None:
        owner = self.library.config
        name(self.prefix, f"{owner}.prefix")
        choice(self.protocol, f"{owner}.protocol", (2, 3))
        choice(self.durability, f"{owner}.durability", ("server", "aof", "replicas"))
        instance(self.cluster, f"{owner}.cluster", bool)
        instance(self.options, f"{owner}.options", Mapping)
        instance(self.retention, f"{owner}.retention", Retention)
        instance(self.service_name, f"{owner}.service_name", str, optional=True)
        self._topology()

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[RespStore]:
        """Open the store for as long as the context lasts.

        Raises:
            ConfigError: The server, or the way to it, is not fit for jobs.
            StoreUnavailable: It cannot be reached now.
            SchemaError: What it keeps is of another layout.
        """
        async with self.connect() as client:
            store = RespStore(
                client,
                prefix=self.prefix,
                durability=self.durability,
                retention=self.retention,
                look=partial(self._look, client),
            )
            try:
                await store.start()
                yield store
            finally:
                await store.stop()

    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[LibraryClient]:
        """Open the client that the store uses, once the server has been looked at."""
        topology = self._topology()
        for endpoint in topology.endpoints():
            endpoint.check_files()
        access = Access(library=self.library, topology=topology, protocol=self.protocol)
        async with LibraryClient(access) as client:
            server, findings = await self._look(client)
            for finding in findings:
                logger.warning("%s", finding)
            client.most_bytes = await largest_value(client) or MOST_BYTES
            logger.info("jobs are kept in %s at %s, as %s", server, client.place, self.prefix)
            yield client

    async def _look(self, client: LibraryClient) -> Looked:
        topology = self._topology()
        return await check_server(
            client,
            durability=self.durability,
            cluster=isinstance(topology, Cluster),
            moves=not isinstance(topology, Alone),
        )

    def _topology(self) -> Topology:
        key = f"{{{self.prefix}}}:v"
        if self.client is not None:
            self._refuse_beside_client()
            return topology_of(self.client, self.library, key=key)
        endpoint = self._endpoint()
        if self.sentinels:
            return self._sentinels(endpoint)
        if self.service_name is not None:
            raise ConfigError(
                f"{self.library.config}.service_name is what sentinels call the primary: name "
                "them, too: sentinels=[(host, port), ...]"
            )
        return Cluster([endpoint], key) if self.cluster else Alone(endpoint)

    def _refuse_beside_client(self) -> None:
        others = ("url", "sentinels", "service_name", "cluster", "options")
        beside = [setting for setting in others if getattr(self, setting)]
        if beside:
            raise ConfigError(
                f"{self.library.config}: the client says already where the server is; drop "
                f"{' and '.join(beside)}, or the client"
            )

    def _endpoint(self) -> Endpoint:
        setting = f"{self.library.config}.url"
        endpoint = from_url(URL if self.url is None else self.url, self.library, setting)
        refuse_unknown(self.options, f"{self.library.config}.options")
        if (self.cluster or self.sentinels) and endpoint.kind == "unix":
            raise ConfigError(f"{setting}: a cluster, or sentinels, cannot have a Unix socket")
        if self.options:
            endpoint = Endpoint(endpoint.kind, {**endpoint.settings, **self.options})
            endpoint.check(self.library, f"{self.library.config}.options")
        return endpoint

    def _sentinels(self, data: Endpoint) -> Sentinels:
        setting = f"{self.library.config}.sentinels"
        if self.cluster:
            raise ConfigError(f"{setting}: a cluster needs no sentinels; drop one of the two")
        if not self.service_name:
            raise ConfigError(f"{setting}: say what they call the primary: service_name='mymaster'")
        named = several(self.sentinels, setting, "addresses (host, port)")
        return Sentinels([self._sentinel(one, setting) for one in named], self.service_name, data)

    def _sentinel(self, address: object, setting: str) -> Endpoint:
        if isinstance(address, str):
            return from_url(address, self.library, setting)
        match address:
            case (str(host), int(port)):
                return Endpoint("tcp", {"host": host, "port": port})
            case _:
                raise ConfigError(f"{setting} must hold (host, port) or URLs, not {address!r}")
