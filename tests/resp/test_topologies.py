"""The ways to a server: TLS, users, sockets, databases, and what an application passes in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
import redis.asyncio.sentinel
import valkey.asyncio
import valkey.asyncio.sentinel
from tests.databases.program import HOST
from tests.resp.certificates import TLS, Authority
from tests.resp.matrix import CLIENTS, make_config
from tests.resp.servers import Cluster, SentinelPair, Server, valkey_binary

from litestar_queues_core.errors import ConfigError, QueueError, StoreUnavailable
from litestar_queues_core.ids import LeaseId
from litestar_queues_core.model import Status
from litestar_queues_core.protocols import BackendConfig, Store, SupportsKeeper
from litestar_queues_core.settlements import Kind
from litestar_queues_core.testing import Claimer, make_job
from litestar_queues_resp import connecting

PLAIN: dict[str, Any] = {"redis-py": redis.asyncio.Redis, "valkey-py": valkey.asyncio.Valkey}
CLUSTER: dict[str, Any] = {
    "redis-py": redis.asyncio.RedisCluster,
    "valkey-py": valkey.asyncio.ValkeyCluster,
}
POOL: dict[str, Any] = {
    "redis-py": redis.asyncio.ConnectionPool,
    "valkey-py": valkey.asyncio.ConnectionPool,
}
SENTINEL: dict[str, Any] = {
    "redis-py": redis.asyncio.sentinel.Sentinel,
    "valkey-py": valkey.asyncio.sentinel.Sentinel,
}


async def a_job_passes(backend: BackendConfig) -> None:
    """Let a job pass through the store, with a keeper beside it."""
    async with backend.open() as store:
        claimer = await Claimer(store).open()
        job = make_job()
        await store.enqueue([job])
        (held,) = await claimer.claim(1)
        assert await asyncio.to_thread(renewed, store, claimer.lease)
        await claimer.settle(held, Kind.COMPLETE)
        (found,) = await store.get([job.id])
    assert found is not None
    assert found.status is Status.COMPLETED


def renewed(store: Store, lease: LeaseId) -> bool:
    assert isinstance(store, SupportsKeeper)
    with store.keeper() as keeper:
        return keeper.renew(lease, seconds=30).alive


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.mark.parametrize("scheme", ["rediss", "valkeys"])
async def test_tls(client: str, scheme: str, server: Server, authority: Authority) -> None:
    async with TLS(server.port, authority.sign("server", HOST)) as tls:
        url = f"{scheme}://{HOST}:{tls.port}/0"
        trust = {"ssl_ca_certs": str(authority.certificate)}

        await a_job_passes(make_config(client, url, options=trust))
        await a_job_passes(make_config(client, f"{url}?ssl_ca_certs={authority.certificate}"))
        with pytest.raises(ConfigError, match=r"certificate verify failed.*ssl_ca_certs"):
            await a_job_passes(make_config(client, url))
        with pytest.raises(ConfigError, match=r"ssl_ca_certs: there is no .*nowhere"):
            await a_job_passes(make_config(client, url, options={"ssl_ca_certs": "nowhere.pem"}))


async def test_tls_with_a_certificate_of_ours(
    client: str, server: Server, authority: Authority
) -> None:
    ours = authority.sign("queue", HOST)
    shown = authority.sign("server", HOST)
    async with TLS(server.port, shown, authority=authority.certificate) as tls:
        options = {
            "ssl_ca_certs": str(authority.certificate),
            "ssl_certfile": str(ours.certificate),
            "ssl_keyfile": str(ours.key),
        }
        await a_job_passes(make_config(client, f"rediss://{HOST}:{tls.port}", options=options))


async def test_tls_where_there_is_none_and_none_where_there_is(
    client: str, server: Server, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "CONNECT_SECONDS", 0.3)
    with pytest.raises(QueueError, match="does it speak TLS"):
        await a_job_passes(make_config(client, server.url.replace("redis://", "rediss://")))
    async with TLS(server.port, authority.sign("server", HOST)) as tls:
        with pytest.raises(StoreUnavailable, match=r"Then use rediss://"):
            await a_job_passes(make_config(client, f"redis://{HOST}:{tls.port}"))


@pytest.mark.parametrize("more", [[], ["+info", "+config|get"]], ids=len)
async def test_a_user_with_few_rights(client: str, more: list[str], own: Server) -> None:
    rights = ["~{jobs}*", "+@all", "-@admin", "-@dangerous", *more]
    own.ask("ACL", "SETUSER", "queue", "on", ">s3cret/@", *rights)
    url = f"redis://queue:s3cret%2F%40@{HOST}:{own.port}/0"

    await a_job_passes(make_config(client, url, prefix="jobs"))
    with pytest.raises(ConfigError, match="ACL SETUSER") as refused:
        await a_job_passes(make_config(client, url, prefix="others"))
    assert "s3cret" not in str(refused.value)


async def test_a_unix_socket(client: str, server: Server) -> None:
    await a_job_passes(make_config(client, f"unix://{server.socket}?db=1"))

    assert server.info("keyspace")["db1"].startswith("keys=")


async def test_a_database_by_its_number(client: str, server: Server) -> None:
    await a_job_passes(make_config(client, f"valkey://{HOST}:{server.port}/3"))

    assert set(server.info("keyspace")) == {"db3"}


async def test_settings_in_a_url_that_are_for_others_have_no_effect(
    client: str, server: Server
) -> None:
    more = "decode_responses=True&max_connections=1&socket_timeout=0.0001&retry_on_timeout=yes"

    await a_job_passes(make_config(client, f"{server.url}?{more}"))


@asynccontextmanager
async def closing(client: Any) -> AsyncGenerator[Any]:
    """Close a client or pool of ours at the end; until then it can be used."""
    try:
        yield client
        if hasattr(client, "ping"):
            assert await client.ping()
    finally:
        await (client.disconnect() if hasattr(client, "disconnect") else client.aclose())


def passed(client: str, what: Any) -> BackendConfig:
    return make_config(client, None, client=what)


async def test_a_client_of_the_application(client: str, own: Server) -> None:
    own.ask("ACL", "SETUSER", "queue", "on", ">secret", "~*", "+@all")
    settings = {"host": HOST, "port": own.port, "db": 2, "username": "queue", "password": "secret"}
    async with closing(PLAIN[client](**settings, socket_timeout=0.0001)) as mine:
        before = dict(mine.connection_pool.connection_kwargs)
        await a_job_passes(passed(client, mine))

        assert mine.connection_pool.connection_kwargs == before
        assert set(own.info("keyspace")) == {"db2"}
        mine.connection_pool.connection_kwargs["socket_timeout"] = 5.0


async def test_a_pool_of_the_application_is_not_drawn_upon(client: str, server: Server) -> None:
    async with (
        closing(POOL[client].from_url(server.url, max_connections=1)) as mine,
        PLAIN[client](connection_pool=mine).client() as its_only_one,
    ):
        await a_job_passes(passed(client, mine))

        assert await its_only_one.ping()


async def test_a_client_of_the_application_over_a_socket_and_over_tls(
    client: str, server: Server, authority: Authority
) -> None:
    async with closing(PLAIN[client](unix_socket_path=str(server.socket))) as mine:
        await a_job_passes(passed(client, mine))
    async with TLS(server.port, authority.sign("server", HOST)) as tls:
        trust = {"ssl": True, "ssl_ca_certs": str(authority.certificate)}
        async with closing(PLAIN[client](host=HOST, port=tls.port, **trust)) as mine:
            await a_job_passes(passed(client, mine))


async def test_a_client_that_decodes_is_refused(client: str, server: Server) -> None:
    async with closing(PLAIN[client].from_url(server.url, decode_responses=True)) as mine:
        with pytest.raises(ConfigError, match=r"decode_responses=True.*made without it"):
            passed(client, mine)


def test_a_client_of_another_kind_is_refused(client: str) -> None:
    (other,) = set(CLIENTS) - {client}
    blocking = redis.Redis() if client == "redis-py" else valkey.Valkey()

    for wrong in (PLAIN[other](), blocking, "redis://localhost"):
        with pytest.raises(ConfigError, match=f"asyncio client or connection pool of {client}"):
            passed(client, wrong)


def test_where_the_server_is_is_said_once(client: str) -> None:
    with pytest.raises(ConfigError, match="drop url and cluster, or the client"):
        make_config(client, "redis://localhost", client=PLAIN[client](), cluster=True)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Generator[SentinelPair]:
    with SentinelPair(valkey_binary(), tmp_path_factory.mktemp("s")) as pair:
        yield pair


async def test_a_client_of_the_application_that_asks_sentinels(
    client: str, pair: SentinelPair
) -> None:
    sentinel = SENTINEL[client](pair.addresses)
    async with closing(sentinel.master_for(pair.name)) as mine:
        await a_job_passes(passed(client, mine))
    async with closing(sentinel.slave_for(pair.name)) as mine:
        with pytest.raises(ConfigError, match=r"replicas: pass what master_for\(\) returns"):
            passed(client, mine)
    for one in sentinel.sentinels:
        await one.aclose()


async def test_sentinels_by_url_and_one_that_is_down(client: str, pair: SentinelPair) -> None:
    (address,) = pair.addresses
    named = ["redis://127.0.0.1:1", f"redis://{HOST}:{address[1]}"]

    await a_job_passes(make_config(client, None, sentinels=named, service_name=pair.name))


async def test_a_name_that_sentinels_do_not_know(client: str, pair: SentinelPair) -> None:
    config = make_config(client, None, sentinels=pair.addresses, service_name="mymaster")

    with pytest.raises(ConfigError, match=r"service_name 'mymaster'.*it knows no 'mymaster'"):
        await a_job_passes(config)


async def test_a_sentinel_is_no_server(client: str, pair: SentinelPair) -> None:
    ((host, port),) = pair.addresses

    with pytest.raises(ConfigError, match=r"a Sentinel, which keeps nothing.*service_name="):
        await a_job_passes(make_config(client, f"redis://{host}:{port}"))


async def test_a_replica_is_refused(client: str, pair: SentinelPair) -> None:
    message = f"read-only replica of {HOST}:{pair.primary.port}: name the primary"

    with pytest.raises(ConfigError, match=message):
        await a_job_passes(make_config(client, pair.replica.url))


async def test_a_cluster_client_of_the_application(client: str, short: Path) -> None:
    with Cluster(valkey_binary(), short) as cluster:
        async with closing(CLUSTER[client](host=HOST, port=cluster.port)) as mine:
            await a_job_passes(passed(client, mine))

        assert cluster.ask("KEYS", "*")
