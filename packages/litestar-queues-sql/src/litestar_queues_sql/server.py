"""A database server as a database of scripts, whatever the system."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import ClassVar, TypeAlias, TypeVar

from litestar_queues_core.errors import QueueError, StoreUnavailable
from litestar_queues_sql.database import PREFIX, Dialect, Texts
from litestar_queues_sql.driver import Connection, Connections
from litestar_queues_sql.running import ServerClock, run
from litestar_queues_sql.script import Factory

T = TypeVar("T")

DEADLINE = 10.0
TRIES = 6
REFUSALS = (ValueError, TypeError, OverflowError)
"""What drivers raise for a value that they cannot send."""

Lend: TypeAlias = Callable[[], AbstractAsyncContextManager[Connection]]


@dataclass(frozen=True, kw_only=True)
class System:
    """What must be known of a system beyond its SQL.

    Attributes:
        name: As people say it.
        dialect: Its SQL.
        clock: The statement that reads its clock, in milliseconds since 1970.
        conflicts: Codes of errors after which a transaction should simply be tried again.
        code_of: Returns the code of an error that the server has answered.
        translated: Returns what an error of a driver means, given what the driver refuses by.
        write: The statements that begin a transaction.
        read: The same for one that only reads.
    """

    name: str
    dialect: Dialect
    clock: str
    conflicts: frozenset[str]
    code_of: Callable[[BaseException], str | None]
    translated: Callable[[BaseException, tuple[type[BaseException], ...]], QueueError]
    write: str
    read: str


class ServerDatabase:
    """The tables of one store, reached through connections of an adapter.

    Args:
        connections: Where connections come from.
        told: Called with the topics of each transaction that has been committed.
        prefix: What the names of the tables begin with.

    Attributes:
        system: What kind of server it is.
        texts: The statements.
        clock: The clock of the store.
    """

    system: ClassVar[System]

    def __init__(
        self,
        connections: Connections,
        told: Callable[[Collection[str]], None],
        *,
        prefix: str = PREFIX,
    ) -> None:
        system = self.system
        self.texts: Texts = Texts(system.dialect, prefix)
        self.clock: ServerClock = ServerClock(system.clock)
        self.connections = connections
        self._told = told

    def begin(self, *, write: bool) -> str:
        """Return the statements that begin a transaction."""
        return self.system.write if write else self.system.read

    async def write(self, script: Factory[T]) -> T:
        """Run a script in a transaction of its own."""
        return await self.write_and_tell(self.connections.lend, script)

    async def write_and_tell(self, lend: Lend, script: Factory[T]) -> T:
        """Run a script in a transaction of its own, on a certain connection."""
        result, topics = await self.write_on(lend, script)
        if topics:
            self._told(topics)
        return result

    async def read(self, script: Factory[T]) -> T:
        """Run a script that only reads, on one snapshot."""
        result, _ = await self.attempt(
            self.connections.lend,
            lambda connection: self.transact(connection, script, write=False),
        )
        return result

    async def write_on(
        self, lend: Lend, script: Factory[T], *, within: float | None = None
    ) -> tuple[T, Collection[str]]:
        """Run a script in a transaction; return its result, and topics that nobody was told."""
        return await self.attempt(
            lend, lambda connection: self.transact(connection, script), within=within
        )

    async def attempt(
        self,
        lend: Lend,
        operation: Callable[[Connection], Awaitable[T]],
        *,
        within: float | None = None,
    ) -> T:
        """Do something on a connection, and again if it met others; all within the deadline.

        Args:
            lend: Lends the connection.
            operation: Does it.
            within: Seconds, if there are fewer than usual.

        Raises:
            QueueError: What the driver's error means.
        """
        async with self.bounded(within):
            return await self._attempt(lend, operation)

    @asynccontextmanager
    async def bounded(self, within: float | None = None) -> AsyncGenerator[None]:
        """Do this block within the deadline, and let the driver's errors mean something.

        Args:
            within: Seconds, if there are fewer than usual.

        Raises:
            QueueError: What the driver's error means.
        """
        seconds = DEADLINE if within is None else min(DEADLINE, within)
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError as error:
            raise StoreUnavailable(
                f"{self.system.name} did not answer within {seconds:g} s, or lent no connection: "
                "its pool may be exhausted"
            ) from error
        except QueueError:
            raise
        except Exception as error:
            raise self.system.translated(error, self.connections.refusals) from error

    async def _attempt(self, lend: Lend, operation: Callable[[Connection], Awaitable[T]]) -> T:
        for number in range(1, TRIES):
            try:
                return await self._once(lend, operation)
            except Exception as error:
                if self.system.code_of(error) not in self.system.conflicts:
                    raise
            await asyncio.sleep(0.01 * number * random.random())  # noqa: S311
        return await self._once(lend, operation)

    async def _once(self, lend: Lend, operation: Callable[[Connection], Awaitable[T]]) -> T:
        async with lend() as connection, self.guarded(connection):
            return await cut_off(operation(connection), connection.discard)

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
        if isinstance(error, QueueError) or self.system.code_of(error) is not None:
            return True
        return isinstance(error, (*REFUSALS, *self.connections.refusals))

    async def transact(
        self, connection: Connection, script: Factory[T], *, write: bool = True
    ) -> tuple[T, set[str]]:
        """Run a script in a transaction, once; errors of the driver pass through."""
        await connection.run(self.begin(write=write))
        try:
            done = await run(script(), connection, self.texts, self.clock)
        except Exception as error:
            if self._is_answer(error):
                await _undo(connection)
            raise
        await connection.run("COMMIT")
        return done


async def cut_off(work: Awaitable[T], cut: Callable[[], None]) -> T:
    """Do *work*; if it is cancelled, *cut* its connection first.

    Some drivers ask the server to cancel, too, and wait for its answer: it may never come.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        cut()
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()
        raise


async def _undo(connection: Connection) -> None:
    try:
        await connection.run("ROLLBACK")
    except Exception:  # noqa: BLE001  (what went wrong before is what the caller is told)
        connection.discard()
