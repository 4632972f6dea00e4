"""Noticing what other processes raise, without being told."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterable
from contextlib import closing, contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import TypeAlias

from litestar_queues_core.errors import QueueError
from litestar_queues_sql.database import Texts
from litestar_queues_sql.drivers.sqlite import bound
from litestar_queues_sql.script import Script, Sql

logger: logging.Logger = logging.getLogger("litestar_queues.sqlite")

INTERVAL = 0.04
PATIENCE = 1.0

_MARKS = Sql("SELECT topic, origin, raised FROM $signal")
_ENDED = Sql("SELECT id FROM $history WHERE id $among")


Marks: TypeAlias = dict[str, tuple[str, int]]
"""Topics, and by whom and when each was last raised."""


def read_marks() -> Script[Marks]:
    """Return what has been raised so far."""
    rows: list[tuple[str, str, int]] = yield _MARKS()
    return _read(rows)


def _read(rows: Iterable[tuple[str, str, int]]) -> Marks:
    return {topic: (origin, raised) for topic, origin, raised in rows}


class Watcher:
    """A thread that polls, only while somebody waits, whether others have written.

    SQLite tells so cheaply (``PRAGMA data_version``).  Only then does it look whether a topic was
    raised, or a job has ended that somebody waits for; so idle workers do not wake each other.

    Args:
        connect: Opens a connection, on the thread.
        texts: The statements.
        origin: How this store signs what it raises; that has been told already.
        told: Called on the thread with the topics that others have raised.
    """

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        texts: Texts,
        origin: str,
        told: Callable[[Collection[str]], None],
    ) -> None:
        self._connect = connect
        self._texts = texts
        self._origin = origin
        self._told = told
        self._lock = threading.Lock()
        self._watched: Counter[str] = Counter()
        self._pokes: SimpleQueue[None] = SimpleQueue()
        self._new = self._tidy = self._stopped = False
        self._marks: Marks = {}
        self._thread = threading.Thread(
            target=self._main, name="litestar-queues-sqlite-watcher", daemon=True
        )

    def start(self, marks: Marks) -> None:
        """Begin; whatever was raised after *marks* were read is news.

        Nothing is polled before somebody waits.
        """
        self._marks = marks
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for it."""
        self._stopped = True
        self._pokes.put(None)
        if self._thread.ident is not None:
            self._thread.join()

    def tidy(self) -> None:
        """Fold what can be folded of the write-ahead log into the file."""
        self._tidy = True
        self._pokes.put(None)

    @contextmanager
    def watching(self, topics: Collection[str]) -> Generator[None]:
        """Watch for *topics* in this block."""
        with self._lock:
            self._watched.update(topics)
            self._new = True
        self._pokes.put(None)
        try:
            yield
        finally:
            with self._lock:
                self._watched.subtract(topics)
                for topic in topics:
                    if not self._watched[topic]:
                        del self._watched[topic]

    def _main(self) -> None:
        while not self._stopped:
            try:
                with closing(self._connect()) as raw:
                    self._watch(raw)
            except (QueueError, sqlite3.Error) as error:
                logger.warning("watching for other processes: %s; trying again", error)
                self._rest(PATIENCE)

    def _watch(self, raw: sqlite3.Connection) -> None:
        version = -1
        while not self._stopped:
            self._rest(INTERVAL if self._watched else None)
            version = self._round(raw, version)

    def _rest(self, seconds: float | None) -> None:
        # Not an Event: to wait for one costs twice as much, many times a second.
        with suppress(Empty):
            self._pokes.get(timeout=seconds)
            while not self._pokes.empty():
                self._pokes.get()

    def _round(self, raw: sqlite3.Connection, seen: int) -> int:
        if self._tidy:
            self._tidy = False
            raw.execute("PRAGMA wal_checkpoint(PASSIVE)")
        with self._lock:
            topics = list(self._watched)
            new, self._new = self._new, False
        version = int(raw.execute("PRAGMA data_version").fetchone()[0])
        if topics and (new or version != seen):
            raised = [*self._changed_marks(raw), *self._ended_jobs(raw, topics)]
            if raised:
                self._told(raised)
            return version
        return seen

    def _changed_marks(self, raw: sqlite3.Connection) -> list[str]:
        """Return the topics that others have raised since the last look."""
        old, self._marks = self._marks, _read(raw.execute(self._texts[_MARKS]).fetchall())
        return [
            topic
            for topic, mark in self._marks.items()
            if mark[0] != self._origin and old.get(topic) != mark
        ]

    def _ended_jobs(self, raw: sqlite3.Connection, topics: Iterable[str]) -> list[str]:
        ids = [topic[4:] for topic in topics if topic.startswith("job:")]
        if not ids:
            return []
        rows = raw.execute(self._texts[_ENDED], bound([ids])).fetchall()
        return [f"job:{job_id}" for (job_id,) in rows]
