"""Which clients, protocols and servers go together in which run."""

from __future__ import annotations

import secrets
from itertools import product
from typing import Any, NamedTuple

import pytest
from tests.resp.servers import binaries, kind_of, valkey_binary

from litestar_queues_core.model import Retention
from litestar_queues_redis import RedisBackendConfig
from litestar_queues_resp import RespBackendConfig
from litestar_queues_valkey import ValkeyBackendConfig

CLIENTS: dict[str, type[RespBackendConfig]] = {
    "redis-py": RedisBackendConfig,
    "valkey-py": ValkeyBackendConfig,
}
NEWEST = kind_of(valkey_binary())


class Combination(NamedTuple):
    """A client, the version of the protocol it speaks, and a server."""

    client: str
    protocol: int
    server: str

    def __str__(self) -> str:
        return f"{self.client}-RESP{self.protocol}-{self.server}"

    def config(self, url: str, **fields: Any) -> RespBackendConfig:
        return make_config(self.client, url, protocol=self.protocol, **fields)


def make_config(client: str, url: str | None, /, **fields: Any) -> RespBackendConfig:
    """Return a configuration with a namespace of its own, which keeps finished jobs for long."""
    chosen = {"prefix": f"test-{secrets.token_hex(6)}", "retention": Retention(), **fields}
    return CLIENTS[client](url=url, **chosen)


EACH_RUN = [Combination("valkey-py", 2, NEWEST), Combination("redis-py", 3, NEWEST)]
ALL = [Combination(*parts) for parts in product(CLIENTS, (2, 3), binaries())]

COMBINATIONS = [
    pytest.param(one, id=str(one), marks=[] if one in EACH_RUN else [pytest.mark.service])
    for one in ALL
]
