"""The store on MySQL and MariaDB."""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager
from functools import partial

from litestar_queues_core.errors import ConfigError
from litestar_queues_core.findings import Finding
from litestar_queues_core.ids import LeaseId
from litestar_queues_core.model import NewJob
from litestar_queues_core.settlements import Enqueued, Exchange, Settlement, Wants
from litestar_queues_sql.enqueue import busy, enqueue
from litestar_queues_sql.exchange import exchange
from litestar_queues_sql.held import HeldConnection
from litestar_queues_sql.keeper import ServerKeeper, keeper
from litestar_queues_sql.mysql import checks
from litestar_queues_sql.mysql.database import MySQLDatabase
from litestar_queues_sql.mysql.errors import LockTimeout
from litestar_queues_sql.mysql.transactions import MySQLTransactions
from litestar_queues_sql.mysql.waking import Waker
from litestar_queues_sql.signals import Signals
from litestar_queues_sql.store import SqlStore
from litestar_queues_sql.transactions import TransactionalStore


class MySQLStore(TransactionalStore, SqlStore):
    """Jobs in the tables of a database of MySQL or MariaDB.

    Args:
        database: The database.
        signals: Who waits in this process.
        waker: Tells other processes.
        exchanging: The connection for exchanges.
        enqueueing: The connection for what is enqueued.
        transactions: Writes where the application commits.
    """

    def __init__(
        self,
        database: MySQLDatabase,
        signals: Signals,
        waker: Waker,
        exchanging: HeldConnection,
        enqueueing: HeldConnection,
        *,
        transactions: MySQLTransactions,
    ) -> None:
        super().__init__(database)
        self.share(transactions)
        self._mysql = database
        self._signals = signals
        self._waker = waker
        self._exchanging = exchanging
        self._enqueueing = enqueueing

    async def take_jobs(self, jobs: Sequence[NewJob]) -> Sequence[Enqueued]:
        """Take *jobs*: those with keys apart, since they may have to wait for others."""
        keyed = [job for job in jobs if job.key is not None]
        plain = [job for job in jobs if job.key is None]
        answers = list(await self._take(plain)) if plain else []
        answers += await self._take_keyed(keyed) if keyed else ()
        by_request = dict(zip([job.id for job in (*plain, *keyed)], answers, strict=True))
        return [by_request[job.id] for job in jobs]

    async def _take(self, jobs: Sequence[NewJob]) -> Sequence[Enqueued]:
        return await self._mysql.write_and_tell(self._enqueueing.lend, partial(enqueue, jobs))

    async def _take_keyed(self, jobs: Sequence[NewJob]) -> Sequence[Enqueued]:
        try:
            return await self._take(jobs)
        except LockTimeout as error:
            if len(jobs) == 1:
                return [busy(jobs[0], error)]
            return [(await self._take_keyed([job]))[0] for job in jobs]

    async def apply_exchange(
        self, lease: LeaseId, seq: int, settlements: Sequence[Settlement], wants: Wants
    ) -> Exchange:
        """Apply all settlements or none."""
        script = partial(exchange, lease, seq, settlements, wants, self._rotation)
        return await self._mysql.write_and_tell(self._exchanging.lend, script)

    async def check(self) -> Sequence[Finding]:
        """Look at the tables and the server."""
        database = self._mysql
        findings = await database.read(partial(checks.check, database.texts))
        try:
            return [*findings, *await database.read(checks.check_transactions)]
        except ConfigError as error:
            return [*findings, checks.unseen(error)]

    async def wait(self, topics: Collection[str], timeout: float) -> bool:
        """Rest until one of *topics* is raised (true) or *timeout* seconds are over (false)."""
        with self._waker.watching():
            return await self._signals.wait(topics, timeout)

    async def notify(self, topics: Collection[str]) -> None:
        """Raise *topics*, here and in other processes."""
        self._waker.raise_(topics)

    @contextmanager
    def keeper(self) -> Generator[ServerKeeper]:
        """Open a connection for the calling thread, on which leases can be kept."""
        told = self._signals.raise_from_thread
        with keeper(self._mysql, self._waker.mark_on, told) as made:
            yield made

    def shift_clock(self, delta_ms: int) -> None:
        """Move the clock of this store, for tests."""
        self._mysql.clock.offset_ms += delta_ms
