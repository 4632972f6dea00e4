"""What is particular to MySQL and MariaDB about transactions of the application.

These are REPEATABLE READ unless the application says otherwise.  What decides something is read by
statements that lock, which see what is committed and not what was when the transaction began; and
no statement looks for rows that are not there, which would lock the gap.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar

from litestar_queues_core.errors import QueueError, TransactionRolledBack
from litestar_queues_core.ids import JobId
from litestar_queues_sql.driver import Connection
from litestar_queues_sql.mysql.commits import Commits
from litestar_queues_sql.mysql.database import MySQLDatabase
from litestar_queues_sql.mysql.errors import CONFLICTS, code_of, translated
from litestar_queues_sql.mysql.waking import Waker
from litestar_queues_sql.sessions import Sessions
from litestar_queues_sql.transactions import Transactions

_LOCK_TIMEOUT = "SELECT @@innodb_lock_wait_timeout"
LONGEST_WAIT = 5


class MySQLTransactions(Transactions):
    """Enqueues and settles where somebody else commits.

    Args:
        database: The database.
        sessions: How the adapter reaches sessions; without, none is accepted.
        waker: Wakes workers.
        commits: Notices commits.
    """

    in_vain: ClassVar[frozenset[str]] = frozenset({"1205"})

    def __init__(
        self, database: MySQLDatabase, sessions: Sessions | None, waker: Waker, commits: Commits
    ) -> None:
        super().__init__(database.texts, database.clock, sessions)
        self._database = database
        self._waker = waker
        self._commits = commits

    def code_of(self, error: BaseException) -> str | None:
        """Return the number of an error that the server has answered."""
        return code_of(error)

    def can_go_on(self, connection: Connection, error: BaseException) -> bool:
        """Return whether the server has not rolled back all of the transaction."""
        return super().can_go_on(connection, error) and self.code_of(error) not in CONFLICTS

    def meaning(self, error: Exception) -> Exception:
        """Return what an error means; after a deadlock there is nothing left to go on with."""
        if self.code_of(error) in CONFLICTS:
            return TransactionRolledBack(f"MySQL: {error}")
        return translated(error, self._database.connections.refusals)

    @asynccontextmanager
    async def patience(self, connection: Connection) -> AsyncGenerator[None]:
        """Let nobody wait for longer than we do."""
        ((theirs,),) = await connection.fetch(_LOCK_TIMEOUT, ())
        if theirs <= LONGEST_WAIT:
            yield
            return
        await connection.run(_wait_for(LONGEST_WAIT))
        try:
            yield
        except Exception as error:
            if isinstance(error, QueueError) or self.code_of(error) is not None:
                await connection.run(_wait_for(theirs))
            raise
        await connection.run(_wait_for(theirs))

    def raise_(self, topics: Collection[str]) -> None:
        """Raise topics, here and in other processes."""
        self._waker.raise_(topics)

    async def wake(
        self, session: Any, connection: Connection, jobs: Sequence[JobId], topics: Collection[str]
    ) -> None:
        """Raise topics after the commit: the session tells of it, or it is looked for."""
        if not self.sessions.after_commit(session, self.later(topics)):
            self._commits.expect(jobs[-1], topics)


def _wait_for(seconds: int) -> str:
    return f"SET SESSION innodb_lock_wait_timeout = {seconds}"
