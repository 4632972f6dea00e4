"""A client of one server at a time, on connections that a library makes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from litestar_queues_core.errors import StoreUnavailable
from litestar_queues_resp import client
from litestar_queues_resp.answers import needs_plain, plain
from litestar_queues_resp.client import CALL_SECONDS, Word
from litestar_queues_resp.endpoint import Endpoint
from litestar_queues_resp.errors import ELSEWHERE, TooLarge, code_of, translated
from litestar_queues_resp.keeping import KeptConnection
from litestar_queues_resp.library import Connection
from litestar_queues_resp.topology import CONNECT_SECONDS, SEARCH_SECONDS, Access, found

logger: logging.Logger = logging.getLogger("litestar_queues.resp")

CONNECTIONS = 20
"""How many calls are under way at a time; others wait for their turn."""

IDLE_SECONDS = 1.0
"""A connection that was idle for longer is looked at before it is used."""

MOST_BYTES = 512 * 1024 * 1024
"""What a server takes that is not configured otherwise."""

BLOCKED_SECONDS = 5.0
"""How much later than asked for the answer to a blocking command may come."""


class _Line:
    """A connection with an idea of where it leads."""

    __slots__ = ("connection", "idle_since", "place", "times")

    def __init__(self, connection: Connection, place: str, times: int) -> None:
        self.connection = connection
        self.place = place
        self.times = times
        self.idle_since = 0.0


class Connections:
    """Connections to the server that has the queue; what is idle is used again.

    One whose answer was not read to its end is dropped: by an error, or by the cancellation of
    whoever waited for it.

    Attributes:
        place: Host and port, or the socket, of the server.
    """

    def __init__(self, access: Access, *, limit: int) -> None:
        self._access = access
        self._idle = list[_Line]()
        self._turns = asyncio.Semaphore(limit)
        self._times = 0
        self._now = asyncio.get_running_loop().time
        self.place = ", ".join(map(str, access.topology.endpoints()))

    async def exchange(self, sent: Sequence[bytes], *, answers: int, seconds: float) -> list[Any]:
        """Send commands and return their answers; a refusal is one, too.

        Raises:
            StoreUnavailable: There was no answer, or none within so many seconds.
            QueueError: The server does not let us in.
        """
        try:
            async with asyncio.timeout(seconds), self._turns:
                line = await self._take()
                try:
                    return await self._exchange(line, sent, answers)
                except Exception as error:
                    raise translated(error, line.place) from error
        except TimeoutError as error:
            self.forget()
            raise StoreUnavailable(
                f"{self.place}: there was no answer within {seconds:g} s"
            ) from error

    async def _exchange(self, line: _Line, sent: Sequence[bytes], answers: int) -> list[Any]:
        read, refusal = line.connection.read_response, self._access.library.refusal
        received = list[Any]()
        try:
            await line.connection.send_packed_command(sent)
            while len(received) < answers:
                try:
                    received.append(await read(disable_decoding=True))
                except refusal as error:
                    received.append(translated(error, line.place))
                    if code_of(error) in ELSEWHERE:
                        self.forget()
        except Exception:
            self.forget()
            raise
        finally:
            await self._give_back(line, unharmed=len(received) == answers)
        return received

    def forget(self) -> None:
        """Use no connection again that there is now: they lead to a server that is not there."""
        self._times += 1

    async def close(self) -> None:
        """Disconnect what is idle now, and what is in use when it is given back."""
        self.forget()
        while self._idle:
            await self._drop(self._idle.pop())

    async def _take(self) -> _Line:
        while self._idle:
            line = self._idle.pop()
            if line.times == self._times and await self._is_alive(line):
                return line
            await self._drop(line)
        return await self._open()

    async def _is_alive(self, line: _Line) -> bool:
        if self._now() - line.idle_since < IDLE_SECONDS:
            return True
        try:
            return not await self._access.library.answered(line.connection)
        except Exception as error:  # noqa: BLE001  (whatever it is, another is opened)
            logger.debug("%s: an idle connection has ended: %s", line.place, error)
            return False

    async def _give_back(self, line: _Line, *, unharmed: bool) -> None:
        if unharmed and line.times == self._times:
            line.idle_since = self._now()
            self._idle.append(line)
        else:
            await self._drop(line)

    async def _open(self) -> _Line:
        times = self._times
        endpoint = await found(self._access.topology.primary(), self._ask)
        self.place = str(endpoint)
        return _Line(await self._connected(endpoint, CONNECT_SECONDS), self.place, times)

    async def _connected(self, endpoint: Endpoint, within: float) -> Connection:
        access = self._access
        connection = endpoint.connection(access.library, access.protocol, within=within)
        try:
            await connection.connect()
        except BaseException as error:
            await connection.disconnect(nowait=True)
            if isinstance(error, Exception):
                raise access.unreachable(endpoint, error) from error
            raise
        access.met.add(str(endpoint))
        return connection

    async def _ask(self, endpoint: Endpoint, words: tuple[Word, ...]) -> Any:
        """Ask a server something on a connection of its own."""
        try:
            async with asyncio.timeout(SEARCH_SECONDS):
                connection = await self._connected(endpoint, SEARCH_SECONDS)
                try:
                    await connection.send_packed_command([self._access.library.pack(words)])
                    return plain(await connection.read_response(disable_decoding=True))
                finally:
                    await connection.disconnect(nowait=True)
        except TimeoutError as error:
            raise StoreUnavailable(f"{endpoint}: it does not answer") from error
        except Exception as error:
            raise translated(error, str(endpoint)) from error

    async def _drop(self, line: _Line) -> None:
        try:
            await line.connection.disconnect(nowait=True)
        except Exception as error:  # noqa: BLE001  (it is of no use any more)
            logger.debug("%s: disconnecting: %s", line.place, error)


class LibraryClient:
    """An open client: ``async with LibraryClient(access) as client``.

    Attributes:
        most_bytes: The size of the largest value that is sent; the server takes no larger one.
    """

    def __init__(self, access: Access) -> None:
        self.most_bytes: int = MOST_BYTES
        self._access = access
        self._pack: Callable[[tuple[Word, ...]], bytes] = access.library.pack
        self._calls = Connections(access, limit=CONNECTIONS)
        self._blocking = Connections(access, limit=CONNECTIONS)

    @property
    def place(self) -> str:
        """Host and port, or the socket, of the server."""
        return self._calls.place

    async def __aenter__(self) -> LibraryClient:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._calls.close()
        await self._blocking.close()

    async def call(self, *words: Word) -> Any:
        """Send one command on any connection and return its answer."""
        packed = [self._packed(words)]
        (answer,) = await self._calls.exchange(packed, answers=1, seconds=CALL_SECONDS)
        return self._answer(words, answer)

    async def together(self, *commands: Sequence[Word]) -> list[Any]:
        """Send commands one behind the other on one connection; return their answers."""
        packed = [self._packed(tuple(words)) for words in commands]
        answers = await self._calls.exchange(packed, answers=len(packed), seconds=CALL_SECONDS)
        return [
            self._answer(tuple(words), answer)
            for words, answer in zip(commands, answers, strict=True)
        ]

    async def block(self, *words: Word, seconds: float) -> Any:
        """Send a command that may keep its connection busy for so many seconds."""
        within = seconds + BLOCKED_SECONDS
        packed = [self._packed(words)]
        (answer,) = await self._blocking.exchange(packed, answers=1, seconds=within)
        return self._answer(words, answer)

    def keeper(self) -> AbstractContextManager[client.BlockingClient]:
        """Open a connection for the calling thread, to the same server."""
        return KeptConnection(self._access)

    def _packed(self, words: tuple[Word, ...]) -> bytes:
        packed = self._pack(words)
        if len(packed) > self.most_bytes:
            size = max(len(word) for word in words if isinstance(word, bytes | str))
            if size > self.most_bytes:
                raise TooLarge(self.place, size=size, most=self.most_bytes)
        return packed

    def _answer(self, words: tuple[Word, ...], answer: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return plain(answer) if needs_plain(self._access.protocol, words) else answer
