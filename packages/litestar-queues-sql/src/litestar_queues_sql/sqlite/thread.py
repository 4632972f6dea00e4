"""A thread that owns a connection and runs, in batches, what gathers in its queue."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeAlias, TypeVar

from litestar_queues_core.errors import QueueError, StoreError, StoreUnavailable
from litestar_queues_sql.script import Factory
from litestar_queues_sql.sqlite.connection import Batch, Connection, Outcome

T = TypeVar("T")

BATCH = 500

_Item: TypeAlias = tuple[Factory[Any], "asyncio.Future[Any]"]


class ConnectionThread:
    """Runs scripts in the order in which they come, as many at once as have gathered.

    That is group commit: while one batch is on its way, the next one grows, and the thread and the
    event loop meet twice per batch, not per script.

    Args:
        name: What it does.
        connect: Opens the connection, on the thread.
        run: Runs a batch.
        told: Called on the event loop with the topics of each batch that has been committed.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], Connection],
        run: Callable[[Connection, Sequence[Factory[Any]]], Batch],
        told: Callable[[Collection[str]], None],
    ) -> None:
        self._connect = connect
        self._run = run
        self._told = told
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[_Item | None] = SimpleQueue()
        self._connection: Connection | None = None
        self._started: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._process = os.getpid()
        self._closed = False
        self._thread = threading.Thread(
            target=self._main, name=f"litestar-queues-sqlite-{name}", daemon=True
        )

    async def start(self) -> None:
        """Open the connection; raises what is wrong with it."""
        self._thread.start()
        await self._started

    def check(self) -> None:
        """Check that scripts can be run here.

        Raises:
            StoreError: This process is a fork of the one that opened the store.
            StoreUnavailable: The store has been closed.
        """
        if os.getpid() != self._process:
            raise StoreError(
                f"this store was opened by process {self._process} and is used by its forked child "
                f"{os.getpid()}; SQLite does not survive a fork: fork before the store is opened, "
                "or start the child as a new process (spawn)"
            )
        if self._closed:
            raise StoreUnavailable("this store has been closed")

    async def submit(self, script: Factory[T]) -> T:
        """Run *script* and return its result.  If the caller is cancelled, it runs all the same."""
        self.check()
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put((script, future))
        return await future

    async def stop(self) -> None:
        """Run what has gathered, then close the connection."""
        self._closed = True
        self._queue.put(None)
        if self._thread.ident is not None:
            await asyncio.shield(self._ended)
            self._thread.join()

    def _main(self) -> None:
        try:
            self._connection = self._connect()
        except BaseException as error:  # noqa: BLE001  (whoever opens the store gets it)
            self._post(_fail, self._started, error)
            self._post(_succeed, self._ended, None)
            return
        self._post(_succeed, self._started, None)
        open_ = True
        while open_:
            items, open_ = self._gather()
            if items:
                self._post(self._deliver, items, self._batch([script for script, _ in items]))
        self._disconnect()
        self._post(_succeed, self._ended, None)

    def _batch(self, scripts: Sequence[Factory[Any]]) -> Batch:
        """Run scripts; whatever goes wrong, there is an answer, and the thread lives on."""
        try:
            if self._connection is None:
                self._connection = self._connect()
            return self._run(self._connection, scripts)
        except Exception as error:  # noqa: BLE001  (it belongs to the callers)
            self._disconnect()
            return Batch([Outcome(error=_unavailable(error)) for _ in scripts], ())

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _gather(self) -> tuple[list[_Item], bool]:
        """Wait for work; return all there is, and whether there may be more later."""
        items: list[_Item] = []
        item = self._queue.get()
        while item is not None:
            items.append(item)
            if len(items) == BATCH or self._queue.empty():
                return items, True
            item = self._queue.get()
        return items, False

    def _post(self, call: Callable[..., None], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(call, *args)
        except RuntimeError:  # the loop has been closed, and with it all who wait
            self._closed = True

    def _deliver(self, items: Sequence[_Item], batch: Batch) -> None:
        for (_, future), outcome in zip(items, batch.outcomes, strict=True):
            _settle(future, outcome)
        if batch.topics:
            self._told(batch.topics)


def _unavailable(error: Exception) -> QueueError:
    if isinstance(error, QueueError):
        return error
    made = StoreUnavailable(f"SQLite failed: {type(error).__name__}: {error}")
    made.__cause__ = error
    return made


def _settle(future: asyncio.Future[Any], outcome: Outcome) -> None:
    """Hand *outcome* to whoever still waits for it."""
    if outcome.error is not None:
        _fail(future, outcome.error)
    else:
        _succeed(future, outcome.result)


def _succeed(future: asyncio.Future[Any], result: object) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
