"""Completing in transactions that the application shares, and what a store needs for both."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from litestar_queues_core.errors import TransactionError
from litestar_queues_core.ids import LeaseId
from litestar_queues_core.model import NewJob
from litestar_queues_core.settlements import Enqueued, Settlement
from litestar_queues_sql.completing import settle_last
from litestar_queues_sql.driver import Connection
from litestar_queues_sql.joining import Joining

_NAME = "litestar_queues_block"


@dataclass(slots=True)
class Block:
    """A transaction that ends with a settlement.

    Attributes:
        topics: What to raise once it is committed.
        whole: Whether it is known to be still the one that was begun.
    """

    topics: set[str] = field(default_factory=set[str])
    whole: bool = False


class Transactions(Joining):
    """Settles in them, too."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._blocks: dict[int, Block] = {}

    @asynccontextmanager
    async def last(self, connection: Connection) -> AsyncGenerator[None]:
        """The last statements of a transaction are executed in this block."""
        async with self.patience(connection):
            yield

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Any]:
        """Open a transaction that commits at the end, and then raises what it has caused."""
        async with self.sessions.begin() as session:
            block = await self._begin(session)
            self._blocks[id(session)] = block
            try:
                yield session
            finally:
                del self._blocks[id(session)]
        if block.topics:
            self.raise_(block.topics)

    async def _begin(self, session: Any) -> Block:
        """Mark where the transaction begins.

        Where an error aborts a transaction nobody can go on in another one without noticing; the
        caller may still choose the isolation level, too.
        """
        if self.aborts:
            return Block(whole=True)
        connection = await self.sessions.connection(session)
        with self.explained():
            await self.prepare(connection)
            await connection.run(f"SAVEPOINT {_NAME}")
        return Block()

    async def settle(self, session: Any, lease: LeaseId, settlement: Settlement) -> None:
        """Apply *settlement* in a transaction of :meth:`open`."""
        connection = await self.sessions.connection(session)
        block = self._blocks[id(session)]
        with self.explained():
            if not block.whole:
                await self._check(connection)
                block.whole = True
            async with self.last(connection):
                _, topics = await self.run(connection, partial(settle_last, lease, settlement))
        block.topics |= topics

    async def _check(self, connection: Connection) -> None:
        """Check that the transaction is still the one that was begun.

        Raises:
            TransactionError: It is another.
        """
        try:
            await connection.run(f"RELEASE SAVEPOINT {_NAME}")
        except Exception as error:
            if self.code_of(error) is None:
                raise
            raise TransactionError(
                "the transaction was ended inside of its block, by a commit or a rollback there "
                "or by the database after an error, so the job cannot be completed with it: leave "
                "both to the block, and let errors of the database leave it"
            ) from error


class TransactionalStore:
    """A store that can write where the application commits; mixed into the store of a system.

    Attributes:
        sessions: What kinds of session it accepts, in words.
    """

    _transactions: Transactions
    sessions: str

    def share(self, transactions: Transactions) -> None:
        """Let *transactions* be shared with the application."""
        self._transactions = transactions
        self.sessions = transactions.kinds

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
