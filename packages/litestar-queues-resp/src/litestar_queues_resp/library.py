"""What differs between client libraries, and the little that is used of them.

Of a library only its *connections* are used: they know how to reach a server, to log in, to speak
TLS and to read answers, and they send what they are told once.  Its clients and pools retry.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

Kind: TypeAlias = Literal["tcp", "tls", "unix"]


class Connection(Protocol):
    """A connection of asyncio's: ``redis.asyncio.Connection`` or like it."""

    async def connect(self) -> None:
        """Connect, and log in."""
        ...

    async def disconnect(self, nowait: bool = ...) -> None:
        """Disconnect."""
        ...

    async def send_packed_command(self, command: Iterable[bytes]) -> None:
        """Send bytes."""
        ...

    async def read_response(self, disable_decoding: bool = ...) -> Any:
        """Read one answer."""
        ...


class BlockingConnection(Protocol):
    """The same for threads: ``redis.Connection`` or like it."""

    def connect(self) -> None:
        """Connect, and log in."""
        ...

    def disconnect(self) -> None:
        """Disconnect."""
        ...

    def send_packed_command(self, command: Iterable[bytes]) -> None:
        """Send bytes."""
        ...

    def read_response(self, disable_decoding: bool = ...) -> Any:
        """Read one answer."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """A client library.

    Attributes:
        name: What it is called.
        config: The name of the configuration that a user writes, for messages.
        clients: Classes of what an application may pass in: clients and connection pools.
        connections: How an asyncio connection of each kind is made; nothing is connected yet.
        blocking: The same for a blocking one.
        answered: Tells whether an idle connection has something to read: it is of no use then.
        refusal: The class of what :meth:`Connection.read_response` raises for an error that the
            server answers with, unless it also ends the connection.
        pack: Turns a command, a tuple of words, into bytes.
        parse_url: Turns a URL into settings of a connection.
    """

    name: str
    config: str
    clients: tuple[type[object], ...]
    connections: Mapping[Kind, Callable[..., Connection]]
    blocking: Mapping[Kind, Callable[..., BlockingConnection]]
    answered: Callable[[Any], Awaitable[bool]]
    refusal: type[Exception]
    pack: Callable[[Any], bytes]
    parse_url: Callable[[str], Any]


def connections_in(module: Any) -> Mapping[Kind, Callable[..., Any]]:
    """Return how a module of a library makes connections: all libraries call them the same."""
    return {
        "tcp": module.Connection,
        "tls": module.SSLConnection,
        "unix": module.UnixDomainSocketConnection,
    }
