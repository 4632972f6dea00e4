"""The client that the store uses, with both libraries."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any

import pytest
from tests.resp.conftest import ServerOf
from tests.resp.matrix import COMBINATIONS, Combination, make_config
from tests.resp.servers import Server

from litestar_queues_core.errors import StoreError, StoreUnavailable
from litestar_queues_core.testing.chaos.proxy import Proxy
from litestar_queues_resp import ScriptMissing, connecting, endpoint
from litestar_queues_resp.client import Word
from litestar_queues_resp.connecting import CONNECTIONS, LibraryClient
from litestar_queues_resp.errors import TooLarge

SHORT = 0.3
SPIN = "for i = 1, 100000 * ARGV[1] do end return ARGV[1]"  # about so many milliseconds


@pytest.fixture
async def connected(client: str, own: Server) -> AsyncGenerator[LibraryClient]:
    async with make_config(client, own.url).connect() as connected:
        yield connected


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for answers for a fraction of a second only."""
    monkeypatch.setattr(connecting, "CALL_SECONDS", SHORT)
    monkeypatch.setattr(connecting, "BLOCKED_SECONDS", SHORT)
    monkeypatch.setattr(endpoint, "CALL_SECONDS", SHORT)


@pytest.fixture
def frozen(own: Server) -> Generator[Callable[[], None]]:
    """Call it to make the server silent, until the end of the test."""
    pid = int(own.info("server")["process_id"])
    yield lambda: os.kill(pid, signal.SIGSTOP)
    os.kill(pid, signal.SIGCONT)


def connections(server: Server) -> int:
    return len(server.ask("CLIENT", "LIST").splitlines()) - 1  # one of them asks


def kill_all(server: Server) -> None:
    server.ask("CLIENT", "KILL", "TYPE", "normal")


async def in_thread(call: Callable[..., Any], *args: Any) -> Any:
    return await asyncio.to_thread(call, *args)


@pytest.mark.parametrize("combination", COMBINATIONS)
async def test_answers_have_one_form(combination: Combination, emptied: ServerOf) -> None:
    config = combination.config(emptied(combination.server).url)
    async with config.connect() as client:
        answers = [
            await client.call("PING"),
            await client.call("SET", "text", b"\xff\x00 \r\n"),
            await client.call("GET", "text"),
            await client.call("GET", "nothing"),
            await client.call("INCRBY", "number", 42),
            await client.call("HSET", "hash", "field", "value"),
            await client.call("HGETALL", "hash"),
            await client.call("ZADD", "zset", 1, "one", 2, "two"),
            await client.block("BZPOPMIN", "zset", 1, seconds=1.0),
            await client.block("BZPOPMIN", "nothing", "0.01", seconds=1.0),
            await client.call("SADD", "set", "member"),
            await client.call("SMEMBERS", "set"),
            await client.call("EVAL", "return {1, 'a', {'b', false}, 2.7}", 0),
            await client.together(["GET", "number"], ["GET", "nothing"]),
        ]

    assert answers == [
        *(b"PONG", b"OK", b"\xff\x00 \r\n", None, 42),
        *(1, [b"field", b"value"]),
        *(2, [b"zset", b"one", b"1"], None),
        *(1, [b"member"]),
        *([1, b"a", [b"b", None], 2], [b"42", None]),
    ]


async def test_an_unknown_script_and_other_refusals_are_told_apart(
    connected: LibraryClient,
) -> None:
    with pytest.raises(ScriptMissing):
        await connected.call("EVALSHA", "0" * 40, 0)
    with pytest.raises(StoreError, match=r"(?i)unknown command.*NOSUCH"):
        await connected.call("NOSUCH")
    with pytest.raises(StoreError, match="own words"):
        await connected.call("EVAL", "return redis.error_reply('in its own words')", 0)


async def test_of_several_commands_all_are_sent_and_the_first_refusal_is_raised(
    connected: LibraryClient,
) -> None:
    with pytest.raises(ScriptMissing):
        await connected.together(
            ["SET", "a", 1], ["EVALSHA", "0" * 40, 0], ["NOSUCH"], ["GET", "a"]
        )

    assert await connected.together(["GET", "a"], ["PING"]) == [b"1", b"PONG"]


async def test_what_waits_is_confirmed_on_the_connection_that_has_written(
    connected: LibraryClient,
) -> None:
    write: list[Word] = ["EVAL", "return redis.call('SET', KEYS[1], 1)", 1, "a"]
    assert await connected.together(write, ["WAITAOF", 1, 0, 5000]) == [b"OK", [1, 0]]


async def test_calls_go_on_while_others_are_blocked(connected: LibraryClient) -> None:
    blocked = asyncio.create_task(connected.block("BLPOP", "list", 30, seconds=30.0))
    while b"cmd=blpop" not in await connected.call("CLIENT", "LIST"):
        await asyncio.sleep(0)
    await connected.call("RPUSH", "list", "item")
    async with asyncio.timeout(5.0):
        assert await blocked == [b"list", b"item"]


async def test_many_calls_at_once_share_a_few_connections(
    connected: LibraryClient, own: Server
) -> None:
    calls = [connected.call("EVAL", SPIN, 0, 1) for _ in range(3 * CONNECTIONS)]
    assert await asyncio.gather(*calls) == [b"1"] * len(calls)

    assert 1 <= connections(own) <= CONNECTIONS


async def test_nothing_is_left_open(client: str, own: Server) -> None:
    async with make_config(client, own.url).connect() as connected:
        with connected.keeper() as keeper:
            await asyncio.gather(*(connected.call("PING") for _ in range(5)))
            await connected.block("BLPOP", "list", "0.01", seconds=1.0)
            keeper.call("PING")
            assert connections(own) >= 3

    async with asyncio.timeout(5.0):
        while connections(own):
            await asyncio.sleep(0.01)


async def test_an_answer_that_nobody_waits_for_is_nobody_elses(connected: LibraryClient) -> None:
    dice = random.Random(7)  # noqa: S311

    async def echo(number: int) -> None:
        try:
            async with asyncio.timeout(dice.choice([0.001, 0.003, 10.0])):
                await connected.call("EVAL", SPIN, 0, dice.choice([0, 1, 2]))
                assert await connected.call("ECHO", number) == str(number).encode()
                assert await connected.together(["ECHO", number], ["ECHO", -number]) == [
                    *(str(number).encode(), str(-number).encode())
                ]
        except TimeoutError:
            pass

    async with asyncio.TaskGroup() as group:
        for number in range(300):
            group.create_task(echo(number))


async def test_a_command_whose_answer_is_lost_is_not_sent_again(client: str, own: Server) -> None:
    async with Proxy("127.0.0.1", own.port) as proxy:
        url = f"redis://127.0.0.1:{proxy.address[1]}/0"
        async with make_config(client, url).connect() as connected:
            with proxy.dropping():
                for lost in (
                    lambda: connected.call("INCR", "call"),
                    lambda: connected.together(["INCR", "together"], ["PING"]),
                    lambda: connected.block("INCR", "block", seconds=1.0),
                ):
                    with pytest.raises(StoreUnavailable):
                        await lost()
            with connected.keeper() as keeper:
                await in_thread(keeper.call, "PING")
                with proxy.dropping(), pytest.raises(StoreUnavailable):
                    await in_thread(keeper.call, "INCR", "keeper")

    counted = own.ask("MGET", "call", "together", "block", "keeper")
    assert counted[3] == "1"
    assert set(counted[:3]) <= {"1", None}  # a connection may fail before it is used


async def test_connections_that_were_killed_are_replaced_after_one_error(
    connected: LibraryClient, own: Server
) -> None:
    await asyncio.gather(*(connected.call("PING") for _ in range(10)))
    await in_thread(kill_all, own)
    failures = 0
    for _ in range(12):
        try:
            await connected.call("PING")
        except StoreUnavailable:
            failures += 1

    assert failures <= 1


async def test_a_connection_that_ended_while_it_was_idle_is_replaced_unnoticed(
    connected: LibraryClient, own: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "IDLE_SECONDS", 0.0)
    for _ in range(3):
        await connected.call("PING")
        await in_thread(kill_all, own)
        await asyncio.sleep(0.02)  # its end must have been heard of

        assert await connected.call("PING") == b"PONG"


async def test_a_server_that_comes_back_is_found(connected: LibraryClient, own: Server) -> None:
    with connected.keeper() as keeper:
        await in_thread(keeper.call, "PING")
        await in_thread(own.kill)
        with pytest.raises(StoreUnavailable, match=str(own.port)):
            await connected.call("PING")
        with pytest.raises(StoreUnavailable, match=str(own.port)):
            await in_thread(keeper.call, "PING")
        await in_thread(own.restart)

        assert await connected.call("PING") == b"PONG"
        assert await in_thread(keeper.call, "PING") == b"PONG"


@pytest.mark.usefixtures("impatient")
async def test_a_silent_server_is_given_up(
    connected: LibraryClient, frozen: Callable[[], None]
) -> None:
    with connected.keeper() as keeper:
        keeper.call("PING")
        await connected.call("PING")
        frozen()

        for call in (
            connected.call("PING"),
            connected.call("PING"),  # on a new connection
            connected.block("BLPOP", "list", "0.1", seconds=0.1),
            connected.together(["PING"], ["PING"]),
        ):
            with pytest.raises(StoreUnavailable, match=r"within|Timeout"):
                await call


@pytest.mark.usefixtures("impatient")
async def test_a_keeper_gives_up_a_silent_server(
    connected: LibraryClient, frozen: Callable[[], None]
) -> None:
    frozen()
    with connected.keeper() as keeper, pytest.raises(StoreUnavailable, match="Timeout"):
        await in_thread(keeper.call, "PING")


async def test_a_value_that_the_server_does_not_take_is_not_sent(client: str, own: Server) -> None:
    own.ask("CONFIG", "SET", "proto-max-bulk-len", 1_048_576)
    async with make_config(client, own.url).connect() as connected:
        await connected.call("SET", "fits", b"x" * 1_048_576)
        with pytest.raises(TooLarge, match=r"1048577 bytes.* 1048576 \(proto-max-bulk-len\)"):
            await connected.call("SET", "large", b"x" * 1_048_577)
        await connected.call("RPUSH", "many", *[b"x" * 1000] * 2000)

        assert await connected.call("EXISTS", "fits", "large", "many") == 2


async def test_a_keeper_is_refused_like_a_call(client: str, server: Server) -> None:
    async with make_config(client, server.url).connect() as connected:
        with connected.keeper() as keeper:
            with pytest.raises(ScriptMissing):
                keeper.call("EVALSHA", "0" * 40, 0)
            with pytest.raises(StoreError, match="unknown"):
                keeper.call("NOSUCH")
            assert keeper.call("PING") == b"PONG"
