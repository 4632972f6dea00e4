"""What an adapter gives so that jobs can share a transaction with the application's data.

A *session* is whatever the users of the adapter hold: a driver of SQLSpec, an ``AsyncSession``.
The adapter knows how to find the connection beneath it; SQL and rules are the store's.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from litestar_queues_sql.driver import Connection


class Sessions(Protocol):
    """Sessions of one kind of application.

    Attributes:
        kinds: What is accepted, in words: ``"an AsyncSession or a Session of SQLAlchemy"``.
    """

    kinds: str

    def accepts(self, session: object) -> bool:
        """Return whether *session* is of a kind that this adapter can write through.

        It asks for the kind only: class, and the database system that it is made for.
        """
        ...

    def blocks(self, session: Any) -> bool:
        """Return whether statements on *session* block the calling thread."""
        ...

    async def connection(self, session: Any) -> Connection:
        """Return the connection on which the transaction of *session* is open.

        The store executes its statements there and sends neither ``BEGIN`` nor ``COMMIT``; it
        may send ``SAVEPOINT`` and what belongs to it.  After an error it does not discard the
        connection: whoever opened the transaction deals with it.

        * The transaction must be open *on the server*, with what the session has written before.
          A session that begins by itself is made to begin here (SQLAlchemy: ``await
          session.connection()`` alone does not send ``BEGIN`` with every driver); on SQLite that is
          left to the store, which sends ``BEGIN IMMEDIATE`` if no transaction is open.  One that
          does not is refused, and so is one of :meth:`begin` whose transaction was ended in
          between.
        * For a session that blocks, neither this coroutine nor those of the connection ever
          suspend: they block, and are run in the thread of the caller, without an event loop.
        * Errors have their ``sqlstate``, as :class:`~litestar_queues_sql.driver.Connection` says:
          wrappers of an ORM are taken off.

        Raises:
            SessionError: *session* is closed, or has no open transaction; the message names the
                fix.
        """
        ...

    def begin(self) -> AbstractAsyncContextManager[Any]:
        """Open a session with a transaction, of the application's pool if there is one.

        Left without an error, the context commits; left with one, it rolls back; either way the
        connection is given back, or dropped if it was cut short.  The transaction has the
        isolation level that the application has configured, and no statement has been executed in
        it yet.  Entering and leaving happen in different asyncio tasks, so nothing that belongs
        to a task (``asyncio.timeout``) may be open in between.  Errors of the driver pass through.

        Raises:
            TransactionError: There are none but blocking sessions.
        """
        ...

    def after_commit(self, session: Any, call: Callable[[], None]) -> bool:
        """Let *call* be called once the transaction of *session* has been committed.

        Return whether it will be; where there is no such hook the database itself wakes others,
        or they look for work by themselves within a second.  It may be called in any thread.
        """
        ...
