"""Connections of the application to a SQLite file: of aiosqlite, and of the standard library.

The store has connections of its own; these are for writing in transactions of the application.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from litestar_queues_sql.driver import Connection, Row


class FileConnection(Connection, Protocol):
    """A connection to a file."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        ...


class AiosqliteConnection:
    """See :class:`litestar_queues_sql.driver.Connection`; a list becomes JSON.

    Args:
        raw: The connection of aiosqlite.
    """

    __slots__ = ("raw",)

    def __init__(self, raw: Any) -> None:
        self.raw = raw

    @property
    def closed(self) -> bool:
        """Whether it can no longer be used."""
        try:
            return not isinstance(self.raw.in_transaction, bool)
        except (ValueError, sqlite3.ProgrammingError):
            return True

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return bool(self.raw.in_transaction)

    @property
    def autocommits(self) -> bool:
        """Whether no transaction begins by itself, and ``commit()`` may do nothing."""
        return _autocommits(self.raw._conn)

    async def fetch(self, text: str, params: Sequence[object]) -> Sequence[Row]:
        """Execute one statement and return its rows."""
        if self.raw.row_factory is None:
            found: Sequence[Row] = await self.raw.execute_fetchall(text, bound(params))
            return found
        async with self.raw.cursor() as cursor:
            cursor.row_factory = None
            await cursor.execute(text, bound(params))
            rows: Sequence[Row] = await cursor.fetchall()
        return rows

    async def run_many(self, text: str, rows: Sequence[Sequence[object]]) -> None:
        """Execute one statement for each row."""
        await self.raw.executemany(text, rows)

    async def run(self, text: str) -> None:
        """Execute statements without parameters."""
        for statement in statements(text):
            await self.raw.execute(statement)

    async def close(self) -> None:
        """Close it."""
        await self.raw.close()

    def discard(self) -> None:
        """Close it, without waiting."""
        self.raw.stop()


class BlockingSQLiteConnection:
    """The same for a connection of the standard library: nothing suspends.

    Args:
        raw: The connection.
    """

    __slots__ = ("raw",)

    def __init__(self, raw: sqlite3.Connection) -> None:
        self.raw = raw

    @property
    def closed(self) -> bool:
        """Whether it can no longer be used."""
        try:
            self.raw.total_changes  # noqa: B018  (it raises)
        except sqlite3.ProgrammingError:
            return True
        return False

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self.raw.in_transaction

    @property
    def autocommits(self) -> bool:
        """Whether no transaction begins by itself, and ``commit()`` may do nothing."""
        return _autocommits(self.raw)

    async def fetch(self, text: str, params: Sequence[object]) -> Sequence[Row]:
        """Execute one statement and return its rows."""
        cursor = self.raw.cursor()
        cursor.row_factory = None
        return cursor.execute(text, bound(params)).fetchall()

    async def run_many(self, text: str, rows: Sequence[Sequence[object]]) -> None:
        """Execute one statement for each row."""
        self.raw.executemany(text, rows)

    async def run(self, text: str) -> None:
        """Execute statements without parameters."""
        for statement in statements(text):
            self.raw.execute(statement)

    async def close(self) -> None:
        """Close it."""
        self.raw.close()

    def discard(self) -> None:
        """Close it."""
        self.raw.close()


def _autocommits(raw: sqlite3.Connection) -> bool:
    """Whether it does, given that no transaction is open; Python 3.12 has another way to say so."""
    return raw.isolation_level is None or getattr(raw, "autocommit", -1) is True


def bound(params: Sequence[object]) -> list[Any]:
    """Return parameters of which those that are lists have become JSON."""
    return [json.dumps(one) if isinstance(one, list | tuple) else one for one in params]


def statements(text: str) -> Iterator[str]:
    """Yield the statements of a text."""
    return filter(None, map(str.strip, text.split(";")))
