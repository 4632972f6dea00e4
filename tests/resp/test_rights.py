"""A user with the rights that the documentation names can do all that a queue does."""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest
from tests.databases.program import HOST
from tests.resp.conftest import ServerOf
from tests.resp.matrix import NEWEST
from tests.resp.passing import a_job_passes
from tests.resp.servers import Cluster, SentinelPair, Server, binaries, valkey_binary

from litestar_queues_core.errors import ConfigError
from litestar_queues_core.protocols import BackendConfig, Store
from litestar_queues_core.testing import BackendConformance, StoreConformance
from litestar_queues_redis import RedisBackendConfig

pytestmark = pytest.mark.service

PAGE = (Path(__file__).parents[2] / "docs" / "redis.md").read_text(encoding="utf-8")
COMMAND = re.findall(r"^ACL SETUSER .*$", PAGE, re.MULTILINE)
MORE = {
    purpose: rights.replace("\\", "").replace("`", "").split()
    for rights, purpose in re.findall(r"^\| (`\+.*?) \| (.*) \|$", PAGE, re.MULTILINE)
}
SERVERS = [
    pytest.param(kind, marks=[] if kind == NEWEST else [pytest.mark.service]) for kind in binaries()
]


def allow(server: Server, *more: str) -> None:
    """Make the user of the documentation, with *more* rights perhaps."""
    (command,) = COMMAND
    acl, setuser, name, *rights = shlex.split(command)
    server.ask(acl, setuser, name, "reset", *rights, *more)


def url(server: Server, database: int = 0) -> str:
    return f"redis://queue:password@{HOST}:{server.port}/{database}"


@pytest.fixture(params=SERVERS)
def backend(request: pytest.FixtureRequest, emptied: ServerOf) -> Generator[BackendConfig]:
    server = emptied(request.param)
    allow(server)
    yield RedisBackendConfig(url=url(server))
    server.ask("ACL", "DELUSER", "queue")


class TestRespStore(StoreConformance):
    @pytest.fixture
    async def store(self, backend: BackendConfig) -> AsyncGenerator[Store]:
        async with backend.open() as store:
            yield store


class TestRespBackend(BackendConformance):
    """Two stores at once, and one after another."""


async def test_what_else_a_database_a_name_and_durability_take(own: Server) -> None:
    allow(own, *MORE["another database than 0"], *MORE["the option `client_name`"])
    await a_job_passes(RedisBackendConfig(url=url(own, 1), options={"client_name": "queue"}))

    allow(own, *MORE['`durability="aof"`'])
    await a_job_passes(RedisBackendConfig(url=url(own), durability="aof"))


async def test_what_else_a_cluster_takes(short: Path) -> None:
    with Cluster(valkey_binary(), short) as cluster:
        allow(cluster, *MORE["`cluster=True`"])

        await a_job_passes(RedisBackendConfig(url=url(cluster), cluster=True))


async def test_what_else_replicas_and_sentinels_take(short: Path) -> None:
    with SentinelPair(valkey_binary(), short) as pair:
        allow(pair.primary, *MORE['`durability="replicas"`'])
        (right,) = re.findall(r"there the right is `(.*?)`", PAGE)
        pair.sentinels[0].ask("ACL", "SETUSER", "seeker", "on", ">password", right)
        asked = f"redis://seeker:password@{HOST}:{pair.sentinels[0].port}"
        config = RedisBackendConfig(
            url="redis://queue:password@anywhere",
            sentinels=[asked],
            service_name=pair.name,
            durability="replicas",
        )

        await asyncio.wait_for(a_job_passes(config), 30)


async def test_without_the_rights_to_look_at_it_the_server_is_not_looked_at(own: Server) -> None:
    own.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru", "maxmemory", "100mb")
    allow(own)
    await a_job_passes(RedisBackendConfig(url=url(own)))

    (checks,) = (rights for purpose, rights in MORE.items() if purpose.startswith("the checks"))
    allow(own, *checks)
    with pytest.raises(ConfigError, match="set maxmemory-policy to noeviction"):
        await a_job_passes(RedisBackendConfig(url=url(own)))
