"""One connection to a SQLite file, used from one thread, and the scripts it runs."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from litestar_queues_sql.database import Texts
from litestar_queues_sql.drivers.sqlite import bound
from litestar_queues_sql.script import Factory, Many, Raise, Script, Sql, Statement
from litestar_queues_sql.sqlite.errors import REFUSALS, translated

MARK = Sql("""
    INSERT INTO $signal (topic, origin, raised) VALUES (?, ?, ?)
    ON CONFLICT (topic) DO UPDATE SET origin = excluded.origin, raised = excluded.raised
""")


MOST_ROWS = 128
"""At most so many rows go in one statement."""
BUSY_SECONDS = 5.0
"""So long others may write before a wait for them is given up."""
PAUSE = 0.001


class Clock:
    """The clock of a store: that of this host, which all users of the file share, and an offset."""

    __slots__ = ("offset_ms",)

    def __init__(self) -> None:
        self.offset_ms: int = 0

    def now_ms(self) -> int:
        """Return milliseconds since 1970."""
        return time.time_ns() // 1_000_000 + self.offset_ms


class Outcome(NamedTuple):
    """What came of a script: a result, or an error."""

    result: Any = None
    error: BaseException | None = None


class Batch(NamedTuple):
    """What came of several scripts: their outcomes in order, and the topics to raise."""

    outcomes: Sequence[Outcome]
    topics: Collection[str]


class Connection:
    """Runs scripts on a connection of the standard library.

    Args:
        raw: The connection, in autocommit mode.
        path: Its file.
        texts: The statements.
        clock: The clock.
        origin: What the raises of this store are signed with.
    """

    def __init__(
        self, raw: sqlite3.Connection, path: Path, texts: Texts, clock: Clock, origin: str
    ) -> None:
        self.raw = raw
        self._path = path
        self._texts = texts
        self._clock = clock
        self._origin = origin
        self._raises = time.time_ns()

    def close(self) -> None:
        """Close the connection; the last one to a file folds the log into it."""
        self.raw.close()

    def write(self, scripts: Sequence[Factory[Any]]) -> Batch:
        """Run scripts in one transaction; each can fail alone."""
        topics: set[str] = set()
        try:
            self._begin()
            if len(scripts) == 1:
                outcomes = [self._attempt(scripts[0], topics)]
            else:
                outcomes = [self._attempt_among_others(one, topics) for one in scripts]
            if all(one.error for one in outcomes):
                self.raw.execute("ROLLBACK")
            else:
                self._mark(topics)
                self.raw.execute("COMMIT")
        except sqlite3.Error as error:
            self._abandon()
            return self._failed(scripts, error)
        return Batch(outcomes, topics)

    def _begin(self) -> None:
        """Begin as soon as nobody else writes.

        SQLite by itself asks at longer and longer intervals, at last ten times a second.  Where
        several write one transaction after the other, it would hardly ever meet a gap.
        """
        until = time.monotonic() + BUSY_SECONDS
        self.raw.execute("PRAGMA busy_timeout = 0")
        try:
            while not self._has_begun(until):
                time.sleep(PAUSE)
        finally:
            self.raw.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000:.0f}")

    def _has_begun(self, until: float) -> bool:
        try:
            self.raw.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            return False
        return True

    def read(self, scripts: Sequence[Factory[Any]]) -> Batch:
        """Run scripts that only read, on one snapshot."""
        try:
            self.raw.execute("BEGIN")
            return Batch([self._attempt(one, set()) for one in scripts], ())
        except sqlite3.Error as error:
            return self._failed(scripts, error)
        finally:
            self._abandon()

    def _failed(self, scripts: Sequence[Factory[Any]], error: sqlite3.Error) -> Batch:
        return Batch([Outcome(error=translated(error, self._path)) for _ in scripts], ())

    def _abandon(self) -> None:
        """Undo the transaction, unless SQLite has done so already."""
        if self.raw.in_transaction:
            self.raw.execute("ROLLBACK")

    def _attempt_among_others(self, script: Factory[Any], topics: set[str]) -> Outcome:
        self.raw.execute("SAVEPOINT one")
        outcome = self._attempt(script, topics)
        if outcome.error is not None:
            self.raw.execute("ROLLBACK TO one")
        self.raw.execute("RELEASE one")
        return outcome

    def _attempt(self, script: Factory[Any], topics: set[str]) -> Outcome:
        """Run a script to its end; what fails the whole transaction is raised."""
        mine: set[str] = set()
        try:
            result = self._run(script(), mine)
        except REFUSALS as error:
            return Outcome(error=translated(error, self._path))
        except sqlite3.Error:
            raise
        except Exception as error:  # noqa: BLE001  (it belongs to the caller)
            return Outcome(error=error)
        topics |= mine
        return Outcome(result)

    def _run(self, script: Script[Any], topics: set[str]) -> Any:
        execute, texts = self.raw.execute, self._texts
        answer: object = None
        while True:
            try:
                request = script.send(answer)
            except StopIteration as end:
                return end.value
            answer = None
            if type(request) is Statement:
                sql, params = request
                answer = execute(texts[sql], bound(params) if sql.lists else params).fetchall()
            elif type(request) is Many:
                self._execute_many(*request)
            elif type(request) is Raise:
                topics.update(request.topics)
            else:
                answer = self._clock.now_ms()

    def _execute_many(self, sql: Sql, rows: Sequence[Sequence[object]]) -> None:
        """Execute for each row, or for many rows at once if the statement can take them.

        The thread gives up the interpreter at each step of SQLite and may wait long to get it back
        while others compute; so a batch should take few steps.  Batches are cut into powers of two,
        so that few texts serve all of them.
        """
        if not sql.rows:
            self.raw.executemany(self._texts[sql], rows)
            return
        start = 0
        while start < len(rows):
            height = min(1 << ((len(rows) - start).bit_length() - 1), MOST_ROWS)
            some = rows[start : start + height]
            text = self._texts.of_rows(sql, height, len(some[0]))
            self.raw.execute(text, list(chain.from_iterable(some)))
            start += height

    def _mark(self, topics: Collection[str]) -> None:
        """Let other processes see what is raised; the ends of jobs they see in the history."""
        marks = [topic for topic in topics if not topic.startswith("job:")]
        if marks:
            self._raises += 1
            self.raw.executemany(
                self._texts[MARK], [(topic, self._origin, self._raises) for topic in marks]
            )
