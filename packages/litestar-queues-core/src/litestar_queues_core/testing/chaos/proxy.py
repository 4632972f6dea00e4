"""A TCP proxy that misbehaves as it is told."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Self

CHUNK = 65_536


class Proxy:
    """Passes bytes on between clients and a server, or does not: ``async with Proxy(...)``.

    Args:
        host: Where the server is.
        port: Its port.

    Attributes:
        latency: Seconds by which each piece is delayed, in each direction.
        meddle: Called with each piece before it is passed on: whether it is an answer.  What it
            raises, an ``OSError``, resets the connection, and the piece is lost.
        address: Host and port at which clients connect, while the proxy is open.
        connections: How many connections are open.
    """

    address: tuple[str, int]

    def __init__(self, host: str, port: int) -> None:
        self.latency = 0.0
        self.meddle: Callable[[bool], Awaitable[None]] | None = None
        self._server_at = (host, port)
        self._links: dict[asyncio.Task[None], _Link] = {}
        self._holes = self._droppings = 0

    @property
    def connections(self) -> int:
        """How many connections clients have."""
        return len(self._links)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.address = self._server.sockets[0].getsockname()[:2]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        links = [*self._links]
        for task in links:
            task.cancel()
        await asyncio.gather(*links, return_exceptions=True)
        await self._server.wait_closed()

    def cut(self) -> None:
        """Reset every connection, on both sides."""
        for link in self._links.values():
            link.reset()

    @contextmanager
    def hole(self) -> Generator[None]:
        """Let whatever is sent vanish, without a word, in this block.

        A connection that lost something stays silent for good: neither side is told.  So do
        those that are made meanwhile.
        """
        self._holes += 1
        for link in self._links.values():
            link.silent = True
        try:
            yield
        finally:
            self._holes -= 1

    @contextmanager
    def dropping(self) -> Generator[None]:
        """Pass requests on; reset a connection as soon as the server answers on it, unheard."""
        self._droppings += 1
        try:
            yield
        finally:
            self._droppings -= 1

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(_Side(reader, writer), silent=self._holes > 0)
        task = asyncio.create_task(self._connect(link))
        self._links[task] = link
        task.add_done_callback(self._links.pop)

    async def _connect(self, link: _Link) -> None:
        try:
            link.server = server = _Side(*await asyncio.open_connection(*self._server_at))
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass_on(link, link.client, server))
                group.create_task(self._pass_on(link, server, link.client, answers=True))
        except* OSError:  # whichever side it was, both are told by a reset
            pass
        finally:
            link.reset()

    async def _pass_on(
        self, link: _Link, source: _Side, sink: _Side, *, answers: bool = False
    ) -> None:
        while data := await source.reader.read(CHUNK):
            if self.latency:
                await asyncio.sleep(self.latency)
            if link.silent:
                continue
            if self.meddle is not None:
                await self.meddle(answers)
            if answers and self._droppings:
                raise ConnectionResetError
            sink.writer.write(data)
            await sink.writer.drain()
        if link.silent:  # an end, too, goes unheard
            await asyncio.get_running_loop().create_future()
        sink.writer.write_eof()


class _Side:
    """One of the two ends of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def reset(self) -> None:
        """Close it so that the other side hears of a reset, not of an orderly end."""
        sock: socket.socket | None = self.writer.get_extra_info("socket")
        if sock is not None and sock.fileno() >= 0:
            off_at_once = b"\1\0\0\0\0\0\0\0"
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, off_at_once)
        self.writer.transport.abort()


class _Link:
    """A client's connection and the one to the server that belongs to it."""

    def __init__(self, client: _Side, *, silent: bool) -> None:
        self.client = client
        self.server: _Side | None = None
        self.silent = silent

    def reset(self) -> None:
        for side in (self.client, self.server):
            if side is not None:
                side.reset()
