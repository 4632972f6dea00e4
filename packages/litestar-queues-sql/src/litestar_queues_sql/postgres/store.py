"""The store on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import ClassVar

from litestar_queues_core.findings import Finding
from litestar_queues_core.ids import JobId, LeaseId
from litestar_queues_core.model import NewJob
from litestar_queues_core.settlements import Enqueued, Exchange, Settlement, Wants
from litestar_queues_sql import browse
from litestar_queues_sql.held import opened
from litestar_queues_sql.keeper import ServerKeeper, keeper
from litestar_queues_sql.postgres import checks
from litestar_queues_sql.postgres.database import PostgresDatabase
from litestar_queues_sql.postgres.enqueue import Enqueues
from litestar_queues_sql.postgres.exchange import Exchanges, Request
from litestar_queues_sql.postgres.notifier import Notifier
from litestar_queues_sql.postgres.pooling import check_way
from litestar_queues_sql.postgres.transactions import PostgresTransactions
from litestar_queues_sql.signals import Signals
from litestar_queues_sql.store import SqlStore
from litestar_queues_sql.transactions import TransactionalStore

FIRST_LOOK, LAST_LOOK = 0.05, 1.0


class PostgresStore(TransactionalStore, SqlStore):
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
        transactions: PostgresTransactions,
    ) -> None:
        super().__init__(database)
        self._exchanges = exchanges
        self._enqueues = enqueues
        self.share(transactions)
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

    async def check(self) -> Sequence[Finding]:
        """Look at the tables, the server, and the way to it."""
        database, connections = self._postgres, self._postgres.connections
        return [
            *await database.read(partial(checks.check, database.texts)),
            *await database.attempt(
                partial(opened, connections.open),
                partial(check_way, open_=connections.open, notifier=self._notifier),
            ),
        ]

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
