"""What is particular to PostgreSQL about transactions of the application."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar

from litestar_queues_core.errors import StoreError
from litestar_queues_core.ids import JobId
from litestar_queues_sql.driver import Connection
from litestar_queues_sql.postgres.database import PostgresDatabase
from litestar_queues_sql.postgres.errors import state_of, translated
from litestar_queues_sql.postgres.notifier import TELL, Notifier, payloads
from litestar_queues_sql.sessions import Sessions
from litestar_queues_sql.transactions import Transactions

ORIGIN = "transaction"

_LOCK_TIMEOUT = "SELECT current_setting('lock_timeout')"
_SET_LOCK_TIMEOUT = "SELECT set_config('lock_timeout', $1, true)"
LONGEST_WAIT = "5s"
_LAST = f"""
    SET LOCAL lock_timeout = '{LONGEST_WAIT}';
    SET LOCAL idle_in_transaction_session_timeout = '10s'
"""
"""From here to the commit the lease is locked, so a client that falls silent is cut off."""

_SERIALIZATION, _ABORTED = "40001", "25P02"


class PostgresTransactions(Transactions):
    """Enqueues and settles where somebody else commits.

    Args:
        database: The database.
        sessions: How the adapter reaches sessions; without, none is accepted.
        notifier: Wakes workers.
    """

    aborts: ClassVar[bool] = True
    in_vain: ClassVar[frozenset[str]] = frozenset({"55P03", "40P01"})

    def __init__(
        self, database: PostgresDatabase, sessions: Sessions | None, notifier: Notifier
    ) -> None:
        super().__init__(database.texts, database.clock, sessions)
        self._database = database
        self._notifier = notifier

    def code_of(self, error: BaseException) -> str | None:
        """Return the SQLSTATE."""
        return state_of(error)

    def meaning(self, error: Exception) -> Exception:
        """Return what an error means; one to serialize is the caller's, who may know what to do."""
        if state_of(error) == _SERIALIZATION:
            return error
        if state_of(error) == _ABORTED:
            return StoreError(
                "a statement has failed in this transaction before, so it can only be rolled "
                "back: let that error leave the block"
            )
        return translated(error, self._database.connections.refusals)

    @asynccontextmanager
    async def patience(self, connection: Connection) -> AsyncGenerator[None]:
        """Give waits an end, if they had none; after an error the savepoint brings back theirs."""
        ((theirs,),) = await connection.fetch(_LOCK_TIMEOUT, ())
        await connection.fetch(_SET_LOCK_TIMEOUT, [LONGEST_WAIT if theirs == "0" else theirs])
        yield
        await connection.fetch(_SET_LOCK_TIMEOUT, [theirs])

    @asynccontextmanager
    async def last(self, connection: Connection) -> AsyncGenerator[None]:
        """Give waits an end, and let the server cut off a client that falls silent."""
        await connection.run(_LAST)
        yield

    def raise_(self, topics: Collection[str]) -> None:
        """Raise topics, here and in other processes."""
        self._notifier.raise_(topics)

    async def wake(
        self, session: Any, connection: Connection, jobs: Sequence[JobId], topics: Collection[str]
    ) -> None:
        """Raise topics after the commit; the server tells them by then, this process too."""
        if self.sessions.after_commit(session, self.later(topics)) or not self._notifier.tells:
            return
        told = [self._notifier.channel, list(payloads(ORIGIN, topics))]
        await connection.fetch(TELL, told)
