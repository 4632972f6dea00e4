"""What a test needs of an application whose data is in the database of the store."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Protocol

from litestar_queues_core.protocols import Store, SupportsTransactions
from litestar_queues_core.testing.conformance.abilities import lacks


class Application(Protocol):
    """An application with a counter in a table of its own, which begins at zero."""

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        """Open a session with a transaction; left without an error it commits."""
        ...

    async def count(self, session: Any) -> None:
        """Raise the counter by one, in a session of this application or of the store."""
        ...

    async def counted(self) -> int:
        """Return the counter as it has been committed, read on a connection of its own."""
        ...

    async def cut(self, session: Any) -> None:
        """End the connection of *session* at the server, as a failing network does.

        Where there is no network, let all statements on it fail from now on, its commit included.
        """
        ...


class BlockingApplication(Protocol):
    """The same with blocking sessions; called in a thread."""

    def transaction(self) -> AbstractContextManager[Any]:
        """Open a session with a transaction; left without an error it commits."""
        ...

    def count(self, session: Any) -> None:
        """Raise the counter by one."""
        ...

    def counted(self) -> int:
        """Return the counter as it has been committed."""
        ...


class RolledBack(Exception):
    """Raised by a test in order to undo a transaction."""


def with_transactions(store: Store) -> SupportsTransactions:
    """Return *store* as one that shares its database with an application."""
    if not isinstance(store, SupportsTransactions):
        raise lacks(store, "SupportsTransactions")
    return store
