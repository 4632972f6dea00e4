"""Running scripts on a connection of a driver."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from itertools import chain
from typing import Any, Protocol, TypeVar

from litestar_queues_sql.database import Texts
from litestar_queues_sql.driver import Connection
from litestar_queues_sql.script import Many, Raise, Script, Sql, Statement

T = TypeVar("T")


class Clock(Protocol):
    """The clock that all users of a database share."""

    async def now_ms(self, connection: Connection) -> int:
        """Return milliseconds since 1970."""
        ...


class ServerClock:
    """The clock of the server, and an offset that only tests change.

    Args:
        text: Reads the clock.
    """

    __slots__ = ("offset_ms", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.offset_ms: int = 0

    async def now_ms(self, connection: Connection) -> int:
        """Return milliseconds since 1970."""
        rows = await connection.fetch(self.text, ())
        now_ms: int = rows[0][0]
        return now_ms + self.offset_ms


async def run(
    script: Script[T], connection: Connection, texts: Texts, clock: Clock
) -> tuple[T, set[str]]:
    """Run a script to its end; return its result, and the topics to raise once that is visible.

    Opens no transaction and commits nothing: whoever calls may have opened one, for work of their
    own too.
    """
    topics: set[str] = set()
    answer: object = None
    while True:
        try:
            request = script.send(answer)
        except StopIteration as end:
            return end.value, topics
        answer = None
        if type(request) is Statement:
            answer = await connection.fetch(texts[request.sql], request.params)
        elif type(request) is Many:
            if request.rows:
                await _run_many(connection, texts, *request)
        elif type(request) is Raise:
            topics.update(request.topics)
        else:
            answer = await clock.now_ms(connection)


def without_waiting(work: Coroutine[Any, Any, T]) -> T:
    """Do *work* in this thread, without an event loop: all it awaits blocks and never suspends.

    Raises:
        RuntimeError: Something suspended.
    """
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    work.close()
    raise RuntimeError("a connection for a blocking session has suspended")


async def _run_many(
    connection: Connection, texts: Texts, sql: Sql, rows: Sequence[Sequence[object]]
) -> None:
    if not sql.rows:
        await connection.run_many(texts[sql], rows)
    elif texts.dialect.rows is not None:
        await connection.fetch(texts[sql], [list(column) for column in zip(*rows, strict=True)])
    else:
        text = texts.of_rows(sql, len(rows), len(rows[0]))
        await connection.fetch(text, list(chain.from_iterable(rows)))
