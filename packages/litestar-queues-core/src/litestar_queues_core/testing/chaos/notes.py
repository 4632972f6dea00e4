"""What everybody notes as it happens, in one file that only grows."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from litestar_queues_core.context import TaskExecutionContext


class What(StrEnum):
    """What a note is about."""

    READY = "ready"
    ACKNOWLEDGED = "acknowledged"
    UNKNOWN = "unknown"
    STARTED = "started"
    RETURNED = "returned"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    ANNOUNCED = "announced"


class Note(NamedTuple):
    """One line.

    Attributes:
        what: What happened.
        pid: In which process.
        moment: When, by the monotonic clock that all processes of a host share.
        job: Id of the job, if it is about one.
        delivery: Which delivery, if it is about one.
        detail: The key of an enqueued job.
    """

    what: What
    pid: int
    moment: float
    job: str = ""
    delivery: int = 0
    detail: str = ""


class ExpectedError(Exception):
    """What a job raises that is meant to fail."""


class Notebook:
    """Writes notes.  Each is one ``write``: whole in the file, whoever is killed afterwards."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, what: What, job: str = "", delivery: int = 0, detail: str = "") -> None:
        """Write a note."""
        fields = (what, os.getpid(), repr(time.monotonic()), job, delivery, detail)
        os.write(self._file, ("\t".join(map(str, fields)) + "\n").encode())

    @contextmanager
    def running(self, context: TaskExecutionContext) -> Generator[None]:
        """Note when the code of an attempt starts, and how it stops."""
        self.note(What.STARTED, context.id, context.delivery)
        how = What.INTERRUPTED
        try:
            yield
            how = What.RETURNED
        except ExpectedError:
            how = What.FAILED
            raise
        finally:
            self.note(how, context.id, context.delivery)


class Reader:
    """Reads notes as they come."""

    def __init__(self, path: Path) -> None:
        path.touch()
        self._path = path
        self._position = 0

    def news(self) -> list[Note]:
        """Return what was noted since the last call."""
        with self._path.open("rb") as file:
            file.seek(self._position)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._position += len(whole)
        return [_parsed(line) for line in whole.decode().splitlines()]


def _parsed(line: str) -> Note:
    what, pid, moment, job, delivery, detail = line.split("\t")
    return Note(What(what), int(pid), float(moment), job, int(delivery), detail)
