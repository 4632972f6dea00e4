"""What is wrong with a server is said at the start, with the fix."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.databases.program import HOST, free_port
from tests.resp.matrix import make_config
from tests.resp.servers import Server, binaries, redis6_binary

from litestar_queues_core.asking import insist
from litestar_queues_core.errors import (
    ConfigError,
    SchemaError,
    SettlementRefused,
    StoreError,
    StoreUnavailable,
)
from litestar_queues_core.protocols import BackendConfig
from litestar_queues_core.settlements import Kind
from litestar_queues_core.testing import Claimer, make_job, make_jobs, settled
from litestar_queues_resp import RespBackendConfig
from litestar_queues_resp.checks import check_kind

PASSWORD = "s3cret"  # noqa: S105


async def opens(config: BackendConfig) -> None:
    async with config.open():
        pass


async def test_a_server_that_is_not_there_is_named(client: str) -> None:
    port = free_port()

    with pytest.raises(StoreUnavailable, match=rf"{HOST}:{port}: .*") as refused:
        await opens(make_config(client, f"redis://user:{PASSWORD}@{HOST}:{port}/0"))
    with pytest.raises(StoreUnavailable, match=r"nowhere\.invalid:6379"):
        await opens(make_config(client, "redis://nowhere.invalid/0"))
    with pytest.raises(StoreUnavailable, match=r"/nowhere/socket"):
        await opens(make_config(client, "unix:///nowhere/socket"))
    assert PASSWORD not in str(refused.value)


@asynccontextmanager
async def answering(answer: bytes) -> AsyncGenerator[int]:
    """Answer whatever comes with the same; gives the port."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.read(65_536):
                writer.write(answer)
                await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_server(accept, HOST, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\n"]
)
async def test_what_does_not_speak_the_protocol(client: str, answer: bytes) -> None:
    async with answering(answer) as port:
        with pytest.raises(StoreUnavailable, match=f"{HOST}:{port}: .*"):
            await opens(make_config(client, f"redis://{HOST}:{port}"))


async def test_a_password_that_is_wrong_or_missing(client: str, own: Server) -> None:
    own.ask("ACL", "SETUSER", "queue", "on", ">right", "~*", "+@all")
    own.ask("CONFIG", "SET", "requirepass", "right")

    for user in (f"queue:{PASSWORD}@", f"nobody:{PASSWORD}@", f":{PASSWORD}@", ""):
        with pytest.raises(ConfigError, match="check the user name and the password") as refused:
            await opens(make_config(client, f"redis://{user}{HOST}:{own.port}/0"))
        assert PASSWORD not in str(refused.value)
    await opens(make_config(client, f"redis://queue:right@{HOST}:{own.port}/0"))
    await opens(make_config(client, f"redis://:right@{HOST}:{own.port}/0"))


async def test_a_user_who_may_not_run_scripts(client: str, own: Server) -> None:
    own.ask("ACL", "SETUSER", "queue", "on", ">right", "~*", "+@all", "-@scripting")

    with pytest.raises(ConfigError, match=r"ACL SETUSER"):
        await opens(make_config(client, f"redis://queue:right@{HOST}:{own.port}/0"))


async def test_a_database_that_there_is_not(client: str, server: Server) -> None:
    with pytest.raises(ConfigError, match="no database of that number"):
        await opens(make_config(client, f"redis://{HOST}:{server.port}/99"))


async def test_keys_of_another_layout_are_not_misread(client: str, own: Server) -> None:
    config = make_config(client, own.url)
    await opens(config)
    own.ask("SET", f"{{{config.prefix}}}:v", "99")

    with pytest.raises(SchemaError, match="layout 99"):
        await opens(config)
    await opens(make_config(client, own.url))  # elsewhere it is of no concern


async def test_a_payload_over_the_limit_of_the_server(client: str, own: Server) -> None:
    own.ask("CONFIG", "SET", "proto-max-bulk-len", 1_048_576)
    jobs = [make_job(), make_job(payload=b"x" * 2_000_000), make_job()]
    async with make_config(client, own.url).open() as store:
        before, large, after = await store.enqueue(jobs)
        found = await store.get([job.id for job in jobs])

    assert (before.error, after.error) == (None, None)
    assert isinstance(large.error, StoreError)
    assert "proto-max-bulk-len" in str(large.error)
    assert [job is not None for job in found] == [True, False, True]


async def test_a_result_over_the_limit_of_the_server(client: str, own: Server) -> None:
    own.ask("CONFIG", "SET", "proto-max-bulk-len", 1_048_576)
    async with make_config(client, own.url).open() as store:
        claimer = await Claimer(store).open()
        await store.enqueue(make_jobs(2))
        small, large = await claimer.claim()
        ends = [
            settled(small, Kind.COMPLETE, value=b"1"),
            settled(large, Kind.COMPLETE, value=b"x" * 2_000_000),
        ]
        with pytest.raises(SettlementRefused, match="proto-max-bulk-len") as refused:
            await claimer.exchange(ends)
        await claimer.exchange(ends[:1])

    assert refused.value.ids == [large.id]


Warned = Callable[[], list[str]]


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> Warned:
    caplog.set_level(logging.WARNING, "litestar_queues")
    return lambda: [record.getMessage() for record in caplog.records]


async def test_a_server_that_would_throw_jobs_away(
    client: str, own: Server, warned: Warned
) -> None:
    config = make_config(client, own.url)
    own.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    await opens(config)
    assert "maxmemory-policy is allkeys-lru" in warned()[0]
    own.ask("CONFIG", "SET", "maxmemory", "100mb")
    with pytest.raises(ConfigError, match=r"allkeys-lru.*set maxmemory-policy to noeviction"):
        await opens(config)
    own.ask("CONFIG", "SET", "maxmemory-policy", "volatile-ttl")
    await opens(config)
    assert "maxmemory-policy is volatile-ttl" in warned()[1]

    own.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
    await opens(config)
    assert len(warned()) == 2


async def test_a_server_that_keeps_nothing_on_disk(
    client: str, own: Server, warned: Warned
) -> None:
    own.ask("CONFIG", "SET", "appendonly", "no")
    await opens(make_config(client, own.url))
    assert ["a restart loses all jobs" in one for one in warned()] == [True]

    own.ask("CONFIG", "SET", "save", "60 1")
    await opens(make_config(client, own.url))
    assert len(warned()) == 1


async def test_what_may_not_be_asked_is_not_looked_at(
    client: str, own: Server, warned: Warned
) -> None:
    own.ask("CONFIG", "SET", "appendonly", "no")
    own.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    for forbidden in (["-config"], ["-config", "-info"]):
        own.ask("ACL", "SETUSER", "queue", "on", ">right", "~*", "+@all", *forbidden)
        await opens(make_config(client, f"redis://queue:right@{HOST}:{own.port}/0"))

    assert len(warned()) == 1  # INFO tells about the memory


async def test_durability_that_the_server_does_not_have(
    client: str, own: Server, short: Path, warned: Warned
) -> None:
    with Server(redis6_binary(), short / "old") as old:
        with pytest.raises(ConfigError, match=r"needs a server with WAITAOF \(Redis or Valkey 7.2"):
            await opens(make_config(client, old.url, durability="aof"))
        await opens(make_config(client, old.url, durability="replicas"))
    assert ["no replica is connected" in one for one in warned()] == [True]

    await opens(make_config(client, own.url, durability="aof"))
    own.ask("CONFIG", "SET", "appendfsync", "no")
    with pytest.raises(ConfigError, match="set appendfsync to always or everysec"):
        await opens(make_config(client, own.url, durability="aof"))
    own.ask("CONFIG", "SET", "appendonly", "no")
    with pytest.raises(ConfigError, match="set appendonly to yes"):
        await opens(make_config(client, own.url, durability="aof"))


async def test_what_is_acknowledged_with_durability_is_there_after_a_kill(
    client: str, own: Server
) -> None:
    own.ask("CONFIG", "SET", "appendfsync", "everysec")
    async with make_config(client, own.url, durability="aof").open() as store:
        jobs = make_jobs(20)
        await store.enqueue(jobs)
        await asyncio.to_thread(own.kill)
        await asyncio.to_thread(own.restart)

        ids = [job.id for job in jobs]
        assert None not in await insist(lambda: store.get(ids), what="get")


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"redis_version": "6.0.16"}, "Redis 6.0.16; the queue needs Redis 6.2, Valkey 7.2 or"),
        ({"redis_version": "5.0.7"}, "Redis 5.0.7; the queue needs"),
    ],
)
def test_an_old_server(facts: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_kind(facts, cluster=False, moves=False)


def test_a_replica_that_sentinels_or_a_cluster_have_named_may_become_the_primary() -> None:
    facts = {"redis_version": "7.2.4", "role": "slave", "master_host": "a", "master_port": "1"}

    with pytest.raises(StoreUnavailable, match="replica of a:1"):
        check_kind(facts, cluster=False, moves=True)


@pytest.mark.parametrize("kind", binaries())
async def test_a_server_that_is_right_is_told_of_in_the_log(
    client: str, kind: str, started: Callable[[str], Server], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "litestar_queues")
    config: RespBackendConfig = make_config(client, started(kind).url)
    await opens(config)

    (record,) = caplog.records
    told: Any = record.getMessage().lower()
    assert f"jobs are kept in {kind.replace('-', ' ')}" in told
    assert f"{HOST}:{started(kind).port}" in told
