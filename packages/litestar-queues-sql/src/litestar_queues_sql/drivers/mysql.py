"""A connection of aiomysql or asyncmy, which are alike, or of PyMySQL.

All put values into the text of a statement themselves; so do we, in a way that no setting of the
application or of the server has a say in: whatever is not plain ASCII goes as hexadecimal digits.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, cast

from litestar_queues_sql.driver import Row

SETTINGS = "SET SESSION innodb_lock_wait_timeout = 5, sql_notes = 0"
"""Of connections that are the store's.  Some drivers turn notes of the server into warnings."""

_IN_TRANSACTION = 1
"""A bit of what the server says of itself with each answer."""
PACKET = 2**24 - 1
"""What is longer goes in several packets.  The server refuses it after the first one, in a way that
drivers take for a broken connection; so it is asked before."""

_PLAIN = re.compile(r"[ !#-&(-\[\]-~]*")
"""Printable ASCII without quotes and backslashes."""
_TEXTS = frozenset({253, 254})
"""What columns of VARBINARY say they are; those of BLOB say something else."""
_BLOB, _SIZES = 252, range(65_536)
"""What MySQL says of VARBINARY in a union, as of LONGBLOB, and which sizes the former has.

Those of the latter are four gigabytes, of which asyncmy makes -1.
"""


class MySQLConnection:
    """See :class:`litestar_queues_sql.driver.Connection`.

    Texts have ``?`` for parameters; a list becomes a list in parentheses.  Texts are kept as bytes:
    what comes from a column of VARBINARY is text.

    Args:
        raw: The connection of the driver.
        cursor: The class of its plain cursors.
    """

    __slots__ = ("_cursor", "_dropped", "raw")

    def __init__(self, raw: Any, cursor: type[Any]) -> None:
        self.raw = raw
        self._cursor = cursor
        self._dropped = False

    @property
    def closed(self) -> bool:
        """Whether it can no longer be used."""
        return self._dropped or not _is_open(self.raw)

    async def fetch(self, text: str, params: Sequence[object]) -> Sequence[Row]:
        """Execute one statement and return its rows."""
        async with self.raw.cursor(self._cursor) as cursor:
            await _execute(cursor, filled(text, params))
            if cursor.description is None:
                return ()
            return _read(await cursor.fetchall(), cursor.description)

    async def run_many(self, text: str, rows: Sequence[Sequence[object]]) -> None:
        """Execute one statement for each row."""
        async with self.raw.cursor(self._cursor) as cursor:
            for row in rows:
                await _execute(cursor, filled(text, row))

    async def run(self, text: str) -> None:
        """Execute statements without parameters."""
        async with self.raw.cursor(self._cursor) as cursor:
            for statement in text.split(";"):
                await cursor.execute(statement)

    async def close(self) -> None:
        """Say farewell to the server."""
        self._dropped = True
        await self.raw.ensure_closed()

    def discard(self) -> None:
        """Cut the connection."""
        self._dropped = True
        with suppress(RuntimeError):  # its event loop is gone, and with it the connection
            self.raw.close()


class BlockingMySQLConnection:
    """The same for a connection of PyMySQL: nothing suspends.

    Args:
        raw: The connection of the driver, in the transaction of a caller.
        cursor: The class of its plain cursors.
    """

    __slots__ = ("_cursor", "raw")

    def __init__(self, raw: Any, cursor: type[Any]) -> None:
        self.raw = raw
        self._cursor = cursor

    @property
    def closed(self) -> bool:
        """Whether it can no longer be used."""
        return not self.raw.open

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, as the server has said last."""
        return bool(self.raw.server_status & _IN_TRANSACTION)

    async def fetch(self, text: str, params: Sequence[object]) -> Sequence[Row]:
        """Execute one statement and return its rows."""
        with self.raw.cursor(self._cursor) as cursor:
            cursor.execute(filled(text, params))
            if cursor.description is None:
                return ()
            return _read(cursor.fetchall(), cursor.description)

    async def run_many(self, text: str, rows: Sequence[Sequence[object]]) -> None:
        """Execute one statement for each row."""
        with self.raw.cursor(self._cursor) as cursor:
            for row in rows:
                cursor.execute(filled(text, row))

    async def run(self, text: str) -> None:
        """Execute statements without parameters."""
        with self.raw.cursor(self._cursor) as cursor:
            for statement in text.split(";"):
                cursor.execute(statement)

    async def close(self) -> None:
        """Say farewell to the server."""
        self.raw.close()

    def discard(self) -> None:
        """Cut the connection."""
        self.raw._force_close()


async def _execute(cursor: Any, text: str) -> None:
    """Execute a finished text, if the server takes it.

    Raises:
        ValueError: It is too long.
    """
    if len(text) >= PACKET - 1:  # before it goes the number of the command
        await cursor.execute("SELECT @@max_allowed_packet")
        (most,) = await cursor.fetchone()
        if len(text) >= most:
            raise ValueError(
                f"a statement of {len(text):,} bytes, and the server takes {most:,}: raise its "
                "max_allowed_packet"
            )
    await cursor.execute(text)


def _is_open(raw: Any) -> bool:
    """Whether a connection is open, as far as its driver knows."""
    if hasattr(raw, "closed"):
        return not raw.closed
    return bool(raw.connected)


def filled(text: str, params: Sequence[object]) -> str:
    """Return a statement with its values.

    Raises:
        ValueError: There are more or fewer of them than marks.
    """
    parts = text.split("?")
    if len(parts) != len(params) + 1:
        raise ValueError(f"{len(parts) - 1} values are wanted, not {len(params)}: {text}")
    pieces = [parts[0]]
    for value, part in zip(params, parts[1:], strict=True):
        pieces += (literal(value), part)
    return "".join(pieces)


def literal(value: object) -> str:
    """Return a value as it is written in SQL.

    Raises:
        TypeError: It is of no type that can be written.
    """
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return f"'{value}'" if _PLAIN.fullmatch(value) else _hexadecimal(value.encode())
    if isinstance(value, bytes):
        return _hexadecimal(value)
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, list | tuple):
        values = cast("Sequence[object]", value)
        return f"({', '.join(map(literal, values)) or 'NULL'})"
    raise TypeError(f"MySQL takes no {type(value).__name__}")


def _hexadecimal(value: bytes) -> str:
    return f"x'{value.hex()}'"


def _read(rows: Sequence[Row], description: Sequence[Sequence[Any]]) -> Sequence[Row]:
    texts = [n for n, column in enumerate(description) if _is_text(column)]
    return [_decoded(row, texts) for row in rows] if texts else rows


def _is_text(column: Sequence[Any]) -> bool:
    kind, size = column[1], column[3]
    return kind in _TEXTS or (kind == _BLOB and size in _SIZES)


def _decoded(row: Row, texts: Sequence[int]) -> Row:
    made = list(row)
    for place in texts:
        value = made[place]
        if isinstance(value, bytes):
            made[place] = value.decode()
    return made
