"""A PostgreSQL database as a database of scripts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias, TypeVar

from litestar_queues_core.errors import QueueError, StoreUnavailable
from litestar_queues_sql.database import PREFIX, Texts
from litestar_queues_sql.driver import Connection, Connections
from litestar_queues_sql.postgres.dialect import CLOCK, POSTGRES
from litestar_queues_sql.postgres.errors import CONFLICTS, REFUSALS, state_of, translated
from litestar_queues_sql.running import Clock, run
from litestar_queues_sql.script import Factory

T = TypeVar("T")

DEADLINE = 10.0
TRIES = 6
_LIMITS = """
    SET LOCAL lock_timeout = '5s';
    SET LOCAL statement_timeout = '9s';
    SET LOCAL idle_in_transaction_session_timeout = '20s'
"""
WRITE = f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; {_LIMITS}"
READ = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {_LIMITS}"

Lend: TypeAlias = Callable[[], AbstractAsyncContextManager[Connection]]


class PostgresDatabase:
    """The tables of one store, reached through connections of an adapter.

    Args:
        connections: Where connections come from.
        told: Called with the topics of each transaction that has been committed.
        prefix: What the names of the tables begin with.

    Attributes:
        texts: The statements.
        clock: The clock of the store.
    """

    def __init__(
        self,
        connections: Connections,
        told: Callable[[Collection[str]], None],
        *,
        prefix: str = PREFIX,
    ) -> None:
        self.texts: Texts = Texts(POSTGRES, prefix)
        self.clock: Clock = Clock(CLOCK)
        self.connections = connections
        self._told = told

    async def write(self, script: Factory[T]) -> T:
        """Run a script in a transaction of its own."""
        result, topics = await self.write_on(self.connections.lend, script)
        if topics:
            self._told(topics)
        return result

    async def read(self, script: Factory[T]) -> T:
        """Run a script that only reads, on one snapshot."""
        result, _ = await self.attempt(
            self.connections.lend, lambda connection: self.transact(connection, script, begin=READ)
        )
        return result

    async def write_on(self, lend: Lend, script: Factory[T]) -> tuple[T, Collection[str]]:
        """Run a script in a transaction; return its result, and topics that nobody was told."""
        return await self.attempt(lend, lambda connection: self.transact(connection, script))

    async def attempt(self, lend: Lend, operation: Callable[[Connection], Awaitable[T]]) -> T:
        """Do something on a connection, and again if it met others; all within the deadline.

        Raises:
            QueueError: What the driver's error means.
        """
        try:
            async with asyncio.timeout(DEADLINE):
                return await self._attempt(lend, operation)
        except TimeoutError as error:
            raise StoreUnavailable(
                f"PostgreSQL did not answer within {DEADLINE:g} s, or lent no connection: its pool "
                "may be exhausted"
            ) from error
        except QueueError:
            raise
        except Exception as error:
            raise translated(error, self.connections.refusals) from error

    async def _attempt(self, lend: Lend, operation: Callable[[Connection], Awaitable[T]]) -> T:
        for number in range(1, TRIES):
            try:
                async with lend() as connection, self.guarded(connection):
                    return await operation(connection)
            except Exception as error:
                if state_of(error) not in CONFLICTS:
                    raise
            await asyncio.sleep(0.01 * number * random.random())  # noqa: S311
        async with lend() as connection, self.guarded(connection):
            return await operation(connection)

    @asynccontextmanager
    async def guarded(self, connection: Connection) -> AsyncGenerator[None]:
        """Drop the connection if what is done with it was cut short."""
        try:
            yield
        except BaseException as error:
            if not self._is_answer(error):
                connection.discard()
            raise

    def _is_answer(self, error: BaseException) -> bool:
        """Whether the connection is as good as before."""
        if isinstance(error, QueueError) or state_of(error) is not None:
            return True
        return isinstance(error, (*REFUSALS, *self.connections.refusals))

    async def transact(
        self, connection: Connection, script: Factory[T], *, begin: str = WRITE
    ) -> tuple[T, set[str]]:
        """Run a script in a transaction, once; errors of the driver pass through."""
        await connection.run(begin)
        try:
            done = await run(script(), connection, self.texts, self.clock)
        except Exception as error:
            if self._is_answer(error):
                await _undo(connection)
            raise
        await connection.run("COMMIT")
        return done


async def _undo(connection: Connection) -> None:
    try:
        await connection.run("ROLLBACK")
    except Exception:  # noqa: BLE001  (what went wrong before is what the caller is told)
        connection.discard()
