"""What an adapter gives a store on a database server: connections, and nothing else.

Whoever can write the few methods below for a driver has a backend.  SQL, transactions, retries,
deadlines and the meaning of errors are the store's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeAlias

Row: TypeAlias = Sequence[Any]


class Connection(Protocol):
    """A connection of a driver in autocommit mode, used by one task at a time.

    * What is executed outside of ``BEGIN`` and ``COMMIT`` takes effect by itself at once.  The
      driver opens no transaction of its own accord, and keeps no idea of one that differs from the
      server's: the store sends ``BEGIN``, ``COMMIT`` and ``ROLLBACK`` as text.
    * Parameters are ``str``, ``bytes``, ``int``, ``None``, and lists of these.  They are given by
      position; the texts have the marks of the dialect (``$1`` for PostgreSQL).  ``bytes`` are
      bytes, and no codec of the application (for JSON, UUID, ...) is asked for.
    * A row is a sequence of ``str``, ``bytes``, ``int``, ``bool`` and ``None``; it can be sliced
      and unpacked.
    * Errors of the driver pass through.  One that the server has answered has the five characters
      of its SQLSTATE as ``sqlstate``; without one the connection is taken for broken, unless it is
      among the ``refusals`` of the adapter.
    * The store sets deadlines around each call and drops a connection whose call was cut short.
    """

    @property
    def closed(self) -> bool:
        """Whether it can no longer be used."""
        ...

    async def fetch(self, text: str, params: Sequence[object]) -> Sequence[Row]:
        """Execute one statement in one round trip, prepared if the driver can; return its rows."""
        ...

    async def run_many(self, text: str, rows: Sequence[Sequence[object]]) -> None:
        """Execute one statement for each of *rows*, in order, in as few round trips as may be."""
        ...

    async def run(self, text: str) -> None:
        """Execute statements without parameters, separated by ``;``, in one round trip."""
        ...

    async def close(self) -> None:
        """Say farewell to the server."""
        ...

    def discard(self) -> None:
        """Cut the connection at once, whatever it does; it may belong to a pool."""
        ...


class Listening(Protocol):
    """A connection that can hear notifications."""

    async def listen(
        self, channel: str, told: Callable[[str], None], lost: Callable[[], None]
    ) -> None:
        """Call *told* with the payload of each notification from now on, on the event loop.

        Call *lost* there once the connection has been lost, however that comes about.
        """
        ...


class ListeningConnection(Connection, Listening, Protocol):
    """Both in one."""


class Connections(Protocol):
    """Where connections come from.

    Attributes:
        refusals: What the driver raises for a parameter which it cannot send, besides
            ``ValueError``, ``TypeError`` and ``OverflowError``; nothing has happened then, and the
            connection is as good as before.
    """

    refusals: tuple[type[BaseException], ...]

    async def open(self) -> Connection:
        """Open a connection that belongs to the store, which closes it, on the running loop.

        Also called on other loops, in threads: a lease is kept on a connection of its own.
        """
        ...

    def lend(self) -> AbstractAsyncContextManager[Connection]:
        """Lend a connection for one operation, of the application's pool if there is one."""
        ...

    async def open_listening(self) -> ListeningConnection | None:
        """Open a connection that can hear notifications; ``None`` if none can be had.

        It must reach the server itself, not through a pooler of transactions.
        """
        ...
