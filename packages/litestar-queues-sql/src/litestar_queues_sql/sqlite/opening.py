"""Opening a SQLite file, or saying what is wrong with it."""

from __future__ import annotations

import os
import sqlite3
import time
from collections import Counter
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from litestar_queues_core.errors import ConfigError, StoreError
from litestar_queues_sql.sqlite.connection import BUSY_SECONDS
from litestar_queues_sql.sqlite.errors import ELSEWHERE, translated

OLDEST_SQLITE = (3, 33, 0)

_EFFECTIVE = os.access in os.supports_effective_ids
_PRAGMAS = (
    "PRAGMA wal_autocheckpoint = 4000",
    "PRAGMA cache_size = -32000",
    "PRAGMA temp_store = MEMORY",
)


def connect(
    path: Path, *, durability: str = "normal", vfs: str | None = None
) -> sqlite3.Connection:
    """Open a connection for the calling thread.

    Raises:
        ConfigError: The file cannot be had.
        StoreError: It is no database, is damaged, or its file system is unfit.
        StoreUnavailable: It is locked, or the disk fails.
    """
    name = f"{path.as_uri()}?vfs={vfs}" if vfs else str(path)
    with ExitStack() as undo:
        try:
            raw = sqlite3.connect(
                name,
                timeout=BUSY_SECONDS,
                isolation_level=None,
                cached_statements=256,
                uri=vfs is not None,
            )
            undo.callback(raw.close)
            mode = _write_ahead(raw)
            for pragma in (*_PRAGMAS, f"PRAGMA synchronous = {durability}"):
                raw.execute(pragma)
        except sqlite3.Error as error:
            raise translated(error, path) from error
        if mode != "wal":
            raise StoreError(
                f"SQLite cannot keep a write-ahead log for {path} (journal mode {mode!r}); this "
                "happens on network file systems: put the file on a local disk"
            )
        undo.pop_all()
    return raw


def _write_ahead(raw: sqlite3.Connection) -> str:
    """Switch to a write-ahead log, which may fail while others do the same; return the mode."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            return str(raw.execute("PRAGMA journal_mode = WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)


@contextmanager
def in_use(path: Path) -> Generator[None]:
    """Note that this process has *path* open.

    Raises:
        StoreError: So had the process of which this one is a fork.  SQLite's idea of its locks was
            copied with the rest, and two who hold one lock would ruin the file.
    """
    if path in _inherited:
        raise StoreError(
            f"{path} was open in the process that this one was forked from; SQLite does not "
            "survive that: fork before the store is opened, or start the child as a new process "
            "(spawn)"
        )
    _open[path] += 1
    try:
        yield
    finally:
        _open[path] -= 1


def _forked() -> None:
    _inherited.update(path for path, number in _open.items() if number)


_open: Counter[Path] = Counter()
_inherited: set[Path] = set()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def prepare(path: Path) -> None:
    """Make the directory of *path*, and check what can be checked before SQLite is asked.

    Raises:
        ConfigError: There can be no such file.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        raise ConfigError(
            f"this Python has SQLite {sqlite3.sqlite_version}; the queue needs {oldest} or later"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"cannot make the directory {path.parent} for the SQLite file of the queue: "
            f"{error.strerror}; {ELSEWHERE}"
        ) from error
    if path.is_dir():
        raise ConfigError(f"{path} is a directory, not a SQLite file; {ELSEWHERE}")
    for place in (path, path.parent):
        if place.exists() and not os.access(place, os.W_OK, effective_ids=_EFFECTIVE):
            raise ConfigError(f"{place} cannot be written by this process; {ELSEWHERE}")
