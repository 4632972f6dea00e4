"""What SQLite's errors mean to a queue."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from litestar_queues_core.errors import (
    ConfigError,
    QueueError,
    SchemaError,
    StoreError,
    StoreUnavailable,
)
from litestar_queues_sql.database import DataRefused

REFUSALS = (
    sqlite3.DataError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    OverflowError,
    UnicodeEncodeError,
)
"""What is raised for a value that cannot be bound or stored."""

_BUSY = (
    "another process has been writing for longer than the busy timeout, or a transaction of your "
    "own; in that, enqueue(..., session=...) does not wait"
)
_FIXES = {
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_FULL: "the disk, or the space allowed for the file, is full: make room",
    sqlite3.SQLITE_IOERR: "the disk or the file system failed: look at the system's log",
    sqlite3.SQLITE_NOMEM: "there is not enough memory",
    sqlite3.SQLITE_INTERRUPT: "the call was interrupted",
}
_ACCESS = {
    sqlite3.SQLITE_READONLY: "it, or its directory, cannot be written",
    sqlite3.SQLITE_CANTOPEN: "it, or its directory, cannot be opened or written",
    sqlite3.SQLITE_PERM: "access is denied",
    sqlite3.SQLITE_AUTH: "access is denied",
}
_DAMAGE = {
    sqlite3.SQLITE_CORRUPT: "is damaged",
    sqlite3.SQLITE_NOTADB: "is not a SQLite database",
}
ELSEWHERE = (
    "name a file that can be written: SQLiteBackendConfig(path=...), LITESTAR_QUEUES_SQLITE_PATH, "
    "or the database of your own configuration"
)


def translated(error: BaseException, path: Path) -> QueueError:
    """Return the error that tells a caller what SQLite's *error* means, and what to do."""
    made = _translated(error, path)
    made.__cause__ = error
    return made


def _translated(error: BaseException, path: Path) -> QueueError:
    if isinstance(error, REFUSALS):
        return DataRefused(f"SQLite cannot hold a value: {error}")
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in _FIXES:
        return StoreUnavailable(f"SQLite file {path}: {error}; {_FIXES[code]}")
    if code in _ACCESS:
        return ConfigError(f"SQLite file {path}: {error}; {_ACCESS[code]}; {ELSEWHERE}")
    if code in _DAMAGE:
        return StoreError(
            f"the file {path} {_DAMAGE[code]} ({error}); move it away, restore a copy, "
            "or name another file"
        )
    if "no such table" in str(error) or "no such column" in str(error):
        return SchemaError(f"the tables of the queue in {path} are not what they were: {error}")
    return StoreError(f"SQLite file {path}: {type(error).__name__}: {error}")
