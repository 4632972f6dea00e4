"""What the store needs of a client: send commands, and say what went wrong in our words.

Whatever a call raises is an error of :mod:`litestar_queues_core.errors`, or :class:`ScriptMissing`;
:func:`litestar_queues_resp.errors.translated` makes them.  A call is sent once: no client may send
a command again by itself, for the first one may have had its effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeAlias

from litestar_queues_core.errors import StoreError

Word: TypeAlias = bytes | str | int
"""A part of a command."""

CALL_SECONDS = 10.0
"""No answer to a command is waited for any longer; a blocking one may take its own time more."""


class ScriptMissing(StoreError):
    """The server does not know the script of an EVALSHA, so nothing has happened."""


class BlockingClient(Protocol):
    """A connection of its own that blocks its thread."""

    def call(self, *words: Word) -> Any:
        """Send one command; return its answer with texts as bytes, as nested lists."""
        ...


class Client(Protocol):
    """An open client, used from one event loop.

    Answers are bytes, integers, ``None`` and lists of those, in whatever version of the protocol
    they came.
    """

    async def call(self, *words: Word) -> Any:
        """Send one command on any connection and return its answer.

        Raises:
            StoreUnavailable: There was no answer within :data:`CALL_SECONDS`, or the server cannot
                do it now.
            ScriptMissing: See there.
            StoreError: Any other refusal.
        """
        ...

    async def together(self, *commands: Sequence[Word]) -> list[Any]:
        """Send commands one behind the other on one connection; return their answers.

        Raises like :meth:`call`, for the first one that was refused.
        """
        ...

    async def block(self, *words: Word, seconds: float) -> Any:
        """Send a command that may keep its connection busy for so many seconds.

        That connection is none that others wait for.
        """
        ...

    def keeper(self) -> AbstractContextManager[BlockingClient]:
        """Open a connection for the calling thread, to the same server (in whatever topology)."""
        ...
