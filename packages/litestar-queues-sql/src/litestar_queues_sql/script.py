"""Scripts: what an operation asks of its database, apart from how it is asked.

A script is a generator.  It yields requests, receives their answers, and returns the result of the
operation.  Logic and SQL are written once; a :class:`~litestar_queues_sql.database.Database` runs
scripts on a thread, with ``await``, or inside somebody else's transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Sequence
from string import Template
from typing import Any, NamedTuple, TypeAlias, TypeVar

T = TypeVar("T")


class Sql:
    """The text of a statement, with ``?`` for parameters and ``$words`` for its dialect.

    Args:
        text: White space in it does not matter.
        types: The words for the types of the values of a row, if it has ``$rows``.
        **parts: What some of the words stand for in this statement.

    Attributes:
        types: The words for the types of the values of a row.
        lists: Whether some parameters are lists.
        rows: Whether it can take several rows at once, in place of ``$rows``.
    """

    __slots__ = ("lists", "rows", "text", "types")

    def __init__(self, text: str, *, types: str = "", **parts: str) -> None:
        self.text: str = " ".join(Template(text).safe_substitute(parts).split())
        self.types: list[str] = types.split()
        self.lists: bool = "$among" in self.text
        self.rows: bool = "$rows" in self.text

    def __repr__(self) -> str:
        return f"Sql({self.text!r})"

    def __call__(self, *params: object) -> Statement:
        """Return a request to execute this; a list among *params* belongs to an ``$among``."""
        return Statement(self, params)

    def many(self, rows: Sequence[Sequence[object]]) -> Many:
        """Return a request to execute this once for each of *rows*."""
        return Many(self, rows)


class Statement(NamedTuple):
    """Execute once.  The answer is the list of rows; empty for a statement that returns none."""

    sql: Sql
    params: Sequence[object]


class Many(NamedTuple):
    """Execute for each row, in order.  No answer."""

    sql: Sql
    rows: Sequence[Sequence[object]]


class Raise(NamedTuple):
    """Raise topics once, and only if, what the script wrote has become visible.  No answer."""

    topics: Collection[str]


class Now:
    """Read the clock of the database.  The answer is in milliseconds since 1970."""

    __slots__ = ()


NOW = Now()

Request: TypeAlias = Statement | Many | Raise | Now
Script: TypeAlias = Generator[Request, Any, T]
Factory: TypeAlias = Callable[[], Script[T]]
"""Makes a script anew, so that it can be run again from its beginning."""
