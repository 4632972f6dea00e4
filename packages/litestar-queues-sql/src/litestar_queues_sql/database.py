"""What a store needs of a database: run scripts in transactions, in its own dialect."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from string import Template
from typing import Protocol, TypeVar

from litestar_queues_core.errors import ConfigError, StoreError
from litestar_queues_sql.script import Factory, Sql

T = TypeVar("T")

PREFIX = "litestar_queues_"
TABLES = (
    "schema",
    "job",
    "history",
    "unique_key",
    "lease",
    "answer",
    "cancel_request",
    "event",
    "state",
    "signal",
)


NO_HINTS = {"by_ready": "", "by_due": "", "by_expiry": ""}
"""Words that name the index to use, for planners that find it by themselves."""


class Database(Protocol):
    """A database that holds the tables of one store."""

    async def write(self, script: Factory[T]) -> T:
        """Run a script in a transaction of its own, and return its result once that is committed.

        Whatever the script raises undoes the transaction.

        Raises:
            DataRefused: The database cannot hold one of the values.
            StoreUnavailable: It did not answer, or could not commit.
        """
        ...

    async def read(self, script: Factory[T]) -> T:
        """Run a script that only reads."""
        ...


class DataRefused(StoreError):
    """The database cannot hold one of the values it was given; nothing was written."""


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How one kind of database writes what all of them can do.

    Attributes:
        name: Name of the dialect.
        words: The meaning of each ``$word`` that is not a table: types, ``$among`` (membership in
            a list that is one parameter), ``$skip`` (ignore rows that are there), ``$place`` (a
            row's fastest name), and what locks the rows that are selected: ``$locked`` (skip what
            others have locked), ``$lock`` (wait for it, in the order of ids), ``$update`` (wait),
            ``$share`` (wait, and let others share); and ``$by_ready`` and the like, which name an
            index to a planner that might not use it.
        overrides: Texts for statements that this dialect says quite differently.
        marks: Rewrites the ``?`` of a finished text for the driver.
        rows: How it writes the rows of one statement, given the words for their types, as a query
            with one list for each column; ``None`` if it takes value by value.
        additions: What it adds to the tables of each schema version.
    """

    name: str
    words: Mapping[str, str]
    overrides: Mapping[Sql, str] = field(default_factory=dict[Sql, str])
    marks: Callable[[str], str] = str
    rows: Callable[[Sequence[str]], str] | None = None
    additions: Mapping[int, Sequence[Sql]] = field(default_factory=dict[int, Sequence[Sql]])


class Texts(dict[Sql, str]):
    """The texts of all statements for one dialect and one set of tables, each made once.

    Args:
        dialect: The dialect.
        prefix: What the names of all tables begin with.
    """

    def __init__(self, dialect: Dialect, prefix: str = PREFIX) -> None:
        super().__init__()
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,39}", prefix):
            raise ConfigError(
                "the prefix of the queue's tables must be 1 to 40 letters, digits or _, and begin "
                f"with no digit, not {prefix!r}"
            )
        self.dialect = dialect
        self.prefix = prefix
        self._words = {**dialect.words, **{name: prefix + name for name in TABLES}}
        self._of_rows: dict[tuple[Sql, int, int], str] = {}

    def __missing__(self, sql: Sql) -> str:
        self[sql] = made = self._make(sql)
        return made

    def of_rows(self, sql: Sql, height: int, width: int) -> str:
        """Return the text of *sql* for so many rows of so many values."""
        place = sql, height, width
        if place not in self._of_rows:
            row = f"({', '.join('?' * width)})"
            self._of_rows[place] = self._make(sql, rows=f"VALUES {', '.join([row] * height)}")
        return self._of_rows[place]

    def _make(self, sql: Sql, **words: str) -> str:
        text = self.dialect.overrides.get(sql, sql.text)
        if sql.rows and self.dialect.rows is not None:
            words["rows"] = self.dialect.rows(sql.types)
        return self.dialect.marks(Template(text).substitute(self._words, **words))
