"""The store on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Generator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import partial
from typing import Any, ClassVar

from litestar_queues_core.ids import JobId, LeaseId
from litestar_queues_core.model import NewJob
from litestar_queues_core.settlements import Enqueued, Exchange, Settlement, Wants
from litestar_queues_sql import browse
from litestar_queues_sql.keeper import ServerKeeper, keeper
from litestar_queues_sql.postgres.database import PostgresDatabase
from litestar_queues_sql.postgres.enqueue import Enqueues
from litestar_queues_sql.postgres.exchange import Exchanges, Request
from litestar_queues_sql.postgres.notifier import Notifier
from litestar_queues_sql.postgres.transactions import Transactions
from litestar_queues_sql.signals import Signals
from litestar_queues_sql.store import SqlStore

FIRST_LOOK, LAST_LOOK = 0.05, 1.0


class PostgresStore(SqlStore):
    """Jobs in the tables of a PostgreSQL database.

    Args:
        database: The database.
        signals: Who waits in this process.
        notifier: Tells other processes.
        exchanges: Does exchanges in one statement.
        enqueues: Takes jobs in one statement.
        transactions: Writes where the application commits.
    """

    open_ms: ClassVar[int] = 10_000

    def __init__(
        self,
        database: PostgresDatabase,
        signals: Signals,
        notifier: Notifier,
        exchanges: Exchanges,
        enqueues: Enqueues,
        *,
        transactions: Transactions,
    ) -> None:
        super().__init__(database)
        self._exchanges = exchanges
        self._enqueues = enqueues
        self._transactions = transactions
        self.sessions: str = transactions.kinds
        self._postgres = database
        self._signals = signals
        self._notifier = notifier

    async def take_jobs(self, jobs: Sequence[NewJob]) -> Sequence[Enqueued]:
        """Take all *jobs* or none."""
        return await self._enqueues.take(jobs)

    async def apply_exchange(
        self, lease: LeaseId, seq: int, settlements: Sequence[Settlement], wants: Wants
    ) -> Exchange:
        """Apply all settlements or none."""
        answer = await self._exchanges.exchange(Request(lease, seq, settlements, wants))
        if answer is None:
            return await super().apply_exchange(lease, seq, settlements, wants)
        return answer

    def accepts(self, session: object) -> bool:
        """Return whether this store can write through sessions of that kind."""
        return self._transactions.accepts(session)

    async def enqueue_in(self, session: Any, jobs: Sequence[NewJob]) -> Sequence[Enqueued]:
        """Take *jobs* in the caller's transaction."""
        return await self._transactions.enqueue(session, jobs)

    def enqueue_in_sync(self, session: Any, jobs: Sequence[NewJob]) -> Sequence[Enqueued]:
        """Take *jobs* in the caller's transaction, in this thread."""
        return self._transactions.enqueue_here(session, jobs)

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        """Open a session whose transaction ends with a settlement."""
        return self._transactions.open()

    async def settle_in(self, session: Any, lease: LeaseId, settlement: Settlement) -> None:
        """Apply *settlement* in such a transaction."""
        await self._transactions.settle(session, lease, settlement)

    async def wait(self, topics: Collection[str], timeout: float) -> bool:
        """Rest until one of *topics* is raised (true) or *timeout* seconds are over (false)."""
        ids = [JobId(topic[4:]) for topic in topics if topic.startswith("job:")]
        if not ids:
            return await self._signals.wait(topics, timeout)
        self._notifier.ask_for_ends()
        looking = asyncio.create_task(self._look_for_ends(ids))
        try:
            return await self._signals.wait(topics, timeout)
        finally:
            looking.cancel()

    async def _look_for_ends(self, ids: Sequence[JobId]) -> None:
        """Raise the topics of jobs that have ended elsewhere."""
        pause = FIRST_LOOK
        while True:
            await asyncio.sleep(pause)
            pause = min(pause * 2, LAST_LOOK)
            ended = await self._postgres.read(partial(browse.ended, ids))
            self._signals.raise_([f"job:{job_id}" for job_id in ended])
            self._notifier.ask_for_ends()

    async def notify(self, topics: Collection[str]) -> None:
        """Raise *topics*, here and in other processes."""
        self._notifier.raise_(topics)

    @contextmanager
    def keeper(self) -> Generator[ServerKeeper]:
        """Open a connection for the calling thread, on which leases can be kept."""
        told = self._signals.raise_from_thread
        with keeper(self._postgres, self._notifier.tell_on, told) as made:
            yield made

    def shift_clock(self, delta_ms: int) -> None:
        """Move the clock of this store, for tests."""
        self._postgres.clock.offset_ms += delta_ms
