"""A file of changes: appended under a lock, and read by every process that has it open."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from journal_queue.state import Draft, State

T = TypeVar("T")


class Journal:
    """The state of a queue, and the file in which every change of it is a line.

    A change is one ``write`` of one line, so it takes effect as a whole or not at all: what a
    killed process has written of a line is cut off by the next one that writes.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._position = 0
        self._state = State()
        self._thread = threading.Lock()

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def change(self, operation: Callable[[Draft], T]) -> T:
        """Run *operation* on the newest state, and keep what it changes.

        If it raises, nothing is kept.
        """
        with self._locked():
            self._catch_up()
            draft = Draft(self._state)
            result = operation(draft)
            if draft.changed:
                line = json.dumps(draft.changes(), separators=(",", ":")).encode() + b"\n"
                self._append(line)
                draft.keep()
            return result

    def _append(self, line: bytes) -> None:
        """Write a line; a full disk may take a part of it, which is none."""
        written = os.pwrite(self._file, line, self._position)
        if written < len(line):
            os.ftruncate(self._file, self._position)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._position += len(line)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._thread:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def _catch_up(self) -> None:
        """Read what other processes have written; cut off what one of them left unfinished."""
        size = os.fstat(self._file).st_size
        news = os.pread(self._file, size - self._position, self._position)
        whole = news[: news.rfind(b"\n") + 1]
        for line in whole.splitlines():
            self._state.apply(json.loads(line))
        self._position += len(whole)
        if len(whole) < len(news):
            os.ftruncate(self._file, self._position)
