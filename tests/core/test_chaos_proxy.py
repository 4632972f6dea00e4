"""The proxy of the chaos runner delays, cuts, swallows and drops, and otherwise passes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from litestar_queues_core.testing.chaos import Proxy

SILENCE = 0.3
LONGEST = 1_000_000


class Echo:
    """A server that answers each line with the same, and remembers it."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.told = asyncio.Event()
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        try:
            while line := await reader.readline():
                self.heard.append(line)
                self.told.set()
                writer.write(line)
                await writer.drain()
        except ConnectionError:
            self.heard.append(b"reset")
        finally:
            writer.close()


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, line: bytes) -> None:
        self.writer.write(line + b"\n")
        await self.writer.drain()

    async def hear(self) -> bytes:
        async with asyncio.timeout(5):
            return (await self.reader.readline()).rstrip()

    async def ask(self, line: bytes) -> bytes:
        await self.say(line)
        return await self.hear()

    async def hears_nothing(self) -> bool:
        try:
            async with asyncio.timeout(SILENCE):
                await self.reader.read(1)
        except TimeoutError:
            return True
        return False


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
async def proxy(echo: Echo) -> AsyncGenerator[Proxy]:
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0, limit=LONGEST)
    async with server, Proxy(*server.sockets[0].getsockname()[:2]) as proxy:
        yield proxy
    for writer in echo.writers:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


@asynccontextmanager
async def connected(proxy: Proxy) -> AsyncGenerator[Client]:
    reader, writer = await asyncio.open_connection(*proxy.address, limit=LONGEST)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def until_none_is_left(proxy: Proxy) -> None:
    async with asyncio.timeout(5):
        while proxy.connections:
            await asyncio.sleep(0.01)


async def test_it_passes_on_what_it_is_not_told_to_harm(proxy: Proxy) -> None:
    async with connected(proxy) as one, connected(proxy) as other:
        assert await one.ask(b"one") == b"one"
        assert await other.ask(b"other" * 50_000 + b"!") == b"other" * 50_000 + b"!"


async def test_an_orderly_end_is_passed_on_in_both_directions(proxy: Proxy) -> None:
    async with connected(proxy) as client:
        assert await client.ask(b"last") == b"last"
        client.writer.write_eof()

        assert await client.hear() == b""
    await until_none_is_left(proxy)


async def test_a_delay_counts_in_each_direction(proxy: Proxy) -> None:
    async with connected(proxy) as client:
        proxy.latency = 0.1
        began = time.monotonic()

        assert await client.ask(b"slow") == b"slow"

        assert time.monotonic() - began >= 0.2


async def test_a_cut_resets_those_who_are_connected_and_nobody_later(
    proxy: Proxy, echo: Echo
) -> None:
    async with connected(proxy) as client:
        await client.ask(b"before")
        proxy.cut()

        with pytest.raises(ConnectionResetError):
            await client.hear()
    await until_none_is_left(proxy)
    async with connected(proxy) as client:
        assert await client.ask(b"after") == b"after"
    assert echo.heard[0] == b"before\n"


async def test_what_falls_into_a_hole_is_neither_heard_nor_reset(proxy: Proxy, echo: Echo) -> None:
    async with connected(proxy) as client:
        await client.ask(b"before")
        with proxy.hole():
            await client.say(b"lost")

            assert await client.hears_nothing()

    assert echo.heard == [b"before\n"]


async def test_a_connection_that_was_in_a_hole_stays_silent_and_a_new_one_works(
    proxy: Proxy, echo: Echo
) -> None:
    async with connected(proxy) as old:
        with proxy.hole():
            made_meanwhile = connected(proxy)
            new = await made_meanwhile.__aenter__()
        await asyncio.gather(old.say(b"old"), new.say(b"new"))

        assert await old.hears_nothing()
        assert await new.hears_nothing()
        await made_meanwhile.__aexit__(None, None, None)
        async with connected(proxy) as later:
            assert await later.ask(b"later") == b"later"

    assert echo.heard == [b"later\n"]


async def test_a_dropped_answer_belongs_to_a_request_that_was_heard(
    proxy: Proxy, echo: Echo
) -> None:
    async with connected(proxy) as client:
        with proxy.dropping():
            await client.say(b"commit")
            await echo.told.wait()

            with pytest.raises(ConnectionResetError):
                await client.hear()

    assert echo.heard[0] == b"commit\n"


async def test_a_server_that_is_down_is_a_reset() -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()[:2]
    server.close()
    await server.wait_closed()

    async with Proxy(*address) as proxy:
        async with connected(proxy) as client:
            with pytest.raises(ConnectionResetError):
                await client.hear()
        await until_none_is_left(proxy)


async def test_closing_leaves_no_connection(proxy: Proxy, echo: Echo) -> None:
    async with connected(proxy) as client:
        await client.ask(b"open")
        with proxy.hole():
            await proxy.__aexit__()

        assert proxy.connections == 0
        with pytest.raises(ConnectionResetError):
            await client.hear()
