"""Connections of psycopg 3.

All parameters go without a type, as with asyncpg: the server finds it out from the statement.  So
there is one plan of a statement, whatever its values are, and no adapter of the application has a
say.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from litestar_queues_sql.driver import Row

driver: Any = import_module("psycopg")  # the checkers need not have it

_WRONG = ("authentication failed", "does not exist", "no password supplied", "no pg_hba.conf entry")
_BYTEA = 17
_HEAD = struct.Struct("!iiIii").pack
_LENGTH = struct.Struct("!i").pack
_NULL = _LENGTH(-1)


def misconfigured(error: Exception) -> bool:
    """Return whether *error*, raised by an attempt to connect, is the configuration's fault.

    libpq has words for it and no SQLSTATE.
    """
    if isinstance(error, driver.OperationalError):
        return any(words in str(error) for words in _WRONG)
    known = getattr(error, "sqlstate", None) is not None
    return isinstance(error, (driver.ProgrammingError, TypeError)) and not known


class PsycopgConnection:
    """See :class:`litestar_queues_sql.driver.Connection`.

    Args:
        raw: The connection of psycopg, in autocommit mode or in the transaction of a caller.
    """

    __slots__ = ("_cursor", "_ear", "_hears", "_lost", "_told", "raw")

    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self._cursor = _prepared(driver.AsyncRawCursor(raw))
        self._hears = False
        self._ear: int | None = None
        self._told: Callable[[str], None] = lambda payload: None
        self._lost: Callable[[], None] = lambda: None

    @property
    def closed(self) -> bool:
        """Whether it can no longer be used."""
        return bool(self.raw.closed)

    async def fetch(self, text: str, params: Sequence[object]) -> Sequence[Row]:
        """Execute one statement and return its rows."""
        with self._busy():
            await self._cursor.execute(text, params, binary=True)
            if self._cursor.description is None:
                return ()
            rows: Sequence[Row] = await self._cursor.fetchall()
            return rows

    async def run_many(self, text: str, rows: Sequence[Sequence[object]]) -> None:
        """Execute one statement for each row; psycopg sends them together."""
        with self._busy():
            await self._cursor.executemany(text, rows)

    async def run(self, text: str) -> None:
        """Execute statements without parameters."""
        with self._busy():
            await self._cursor.execute(text, prepare=False)

    @contextmanager
    def _busy(self) -> Generator[None]:
        """Let psycopg have the socket; and cancel what is cancelled.

        On Python 3.11 ``asyncio.wait_for()``, which psycopg waits with, forgets a cancellation that
        comes at the same time as the answer.
        """
        task = asyncio.current_task()
        before = task.cancelling() if task else 0
        self._rest_ears()
        try:
            yield
        finally:
            self._prick_ears()
            if task and task.cancelling() > before:
                raise asyncio.CancelledError

    async def listen(
        self, channel: str, told: Callable[[str], None], lost: Callable[[], None]
    ) -> None:
        """Hear notifications: psycopg tells of them while it executes, else we look ourselves."""
        self._told, self._lost = told, lost

        def on_notification(notification: Any) -> None:
            told(notification.payload)

        self.raw.add_notify_handler(on_notification)
        await self.run(f'LISTEN "{channel}"')
        self._hears = True
        self._prick_ears()

    def _rest_ears(self) -> None:
        """Leave the socket to psycopg, which watches it while it executes."""
        if self._ear is not None:
            asyncio.get_running_loop().remove_reader(self._ear)
            self._ear = None

    def _prick_ears(self) -> None:
        """Watch the socket."""
        if not self._hears:
            return
        if self.raw.closed:
            self._hears = False
            self._lost()
        else:
            self._ear = ear = int(self.raw.fileno())
            asyncio.get_running_loop().add_reader(ear, self._look)

    def _look(self) -> None:
        try:
            self.raw.pgconn.consume_input()
            while found := self.raw.pgconn.notifies():
                self._told(found.extra.decode())
        except driver.OperationalError:
            self.discard()

    async def close(self) -> None:
        """Say farewell to the server."""
        self._rest_ears()
        await self.raw.close()

    def discard(self) -> None:
        """Cut the connection."""
        self._rest_ears()
        self.raw.pgconn.finish()
        if self._hears:
            self._hears = False
            self._lost()


class BlockingPsycopgConnection:
    """The same for a blocking connection: nothing suspends.

    Args:
        raw: The connection of psycopg, in the transaction of a caller.
    """

    __slots__ = ("_cursor", "raw")

    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self._cursor = _prepared(driver.RawCursor(raw))

    @property
    def closed(self) -> bool:
        """Whether it can no longer be used."""
        return bool(self.raw.closed)

    async def fetch(self, text: str, params: Sequence[object]) -> Sequence[Row]:
        """Execute one statement and return its rows."""
        self._cursor.execute(text, params, binary=True)
        if self._cursor.description is None:
            return ()
        rows: Sequence[Row] = self._cursor.fetchall()
        return rows

    async def run_many(self, text: str, rows: Sequence[Sequence[object]]) -> None:
        """Execute one statement for each row."""
        self._cursor.executemany(text, rows)

    async def run(self, text: str) -> None:
        """Execute statements without parameters."""
        self._cursor.execute(text, prepare=False)

    async def close(self) -> None:
        """Say farewell to the server."""
        self.raw.close()

    def discard(self) -> None:
        """Cut the connection."""
        self.raw.pgconn.finish()


def _prepared(cursor: Any) -> Any:
    kinds = {int: _Text, bool: _Bool, str: _Text, list: _List, tuple: _List}
    for kind, dumper in kinds.items():
        cursor.adapters.register_dumper(kind, dumper)
    cursor.row_factory = driver.rows.tuple_row
    return cursor


class _Text:
    """Tells psycopg how to send a value: as text, of a type that the server knows."""

    format = driver.pq.Format.TEXT
    oid = 0

    def __init__(self, cls: type, context: object = None) -> None:
        pass

    def get_key(self, value: Any, format: object) -> Any:  # noqa: A002  (psycopg calls it so)
        return type(self)

    def upgrade(self, value: Any, format: object) -> _Text:  # noqa: A002
        return self

    def dump(self, value: Any) -> bytes:
        text = str(value)
        if "\0" in text:
            raise ValueError("PostgreSQL has no text with NUL")
        return text.encode()


class _Bool(_Text):
    def dump(self, value: bool) -> bytes:
        return b"true" if value else b"false"


class _List(_Text):
    def get_key(self, value: Any, format: object) -> Any:  # noqa: A002
        return _ByteList if _holds_bytes(value) else _List

    def upgrade(self, value: Any, format: object) -> _Text:  # noqa: A002
        return _ByteList(list) if _holds_bytes(value) else self

    def dump(self, value: Sequence[object]) -> bytes:
        return f"{{{','.join(map(_quoted, value))}}}".encode()


class _ByteList(_List):
    format = driver.pq.Format.BINARY

    def dump(self, value: Any) -> bytes:
        parts = [_HEAD(1, None in value, _BYTEA, len(value), 1)]
        for one in value:
            parts += [_NULL] if one is None else [_LENGTH(len(one)), one]
        return b"".join(parts)


def _holds_bytes(values: Sequence[object]) -> bool:
    return isinstance(next((one for one in values if one is not None), None), bytes)


def _quoted(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("PostgreSQL has no text with NUL")
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return str(value)
