"""Job identifiers: UUIDv7, made where the job is made."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from threading import Lock
from typing import NewType, cast

JobId = NewType("JobId", str)
"""A UUIDv7 in its usual text form, 36 characters."""

LeaseId = NewType("LeaseId", str)
"""A random UUID, made by the worker process that holds the lease."""

_RANDOM_BITS = 74
_LOW_BITS = 62
_LOW = (1 << _LOW_BITS) - 1
_VARIANT = 0b10 << _LOW_BITS
_VERSION = 0x7000


class JobIds:
    """Makes UUIDv7s that rise within one process (RFC 9562, section 6.2, method 2).

    The 74 random bits of one millisecond are a counter that starts anywhere in their lower
    half, so a burst of ids is ordered, and two processes still do not meet.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._millisecond = 0
        self._time_text = ""
        self._counter = 0

    def take(self, count: int) -> list[JobId]:
        """Make *count* ids, each greater than every one before."""
        with self._lock:
            self._look_at_the_clock()
            first = self._counter + 1
            self._counter += count
            millisecond = self._millisecond
        return _uuid7s(millisecond, range(first, first + count))

    def take_one(self) -> JobId:
        """Make one id: the same in half the time."""
        with self._lock:
            self._look_at_the_clock()
            self._counter = counter = self._counter + 1
            time_text = self._time_text
        tail = f"{_VARIANT | counter & _LOW:016x}"
        return JobId(f"{time_text}{_VERSION | counter >> _LOW_BITS:04x}-{tail[:4]}-{tail[4:]}")

    def _look_at_the_clock(self) -> None:
        now = time.time_ns() // 1_000_000
        if now > self._millisecond:
            self._millisecond = now
            self._time_text = f"{now >> 16:08x}-{now & 0xFFFF:04x}-"
            self._counter = int.from_bytes(os.urandom(10)) >> 81 - _RANDOM_BITS

    def forget(self) -> None:
        """Start anew, so that a forked child does not repeat its parent."""
        self.__init__()  # type: ignore[misc]


def _uuid7s(millisecond: int, counters: range) -> list[JobId]:
    """Return the texts; the first half is the same for all ids of one batch but a few."""
    time_text = f"{millisecond:012x}"
    high = -1
    head = ""
    ids: list[str] = []
    for counter in counters:
        if counter >> _LOW_BITS != high:
            high = counter >> _LOW_BITS
            head = f"{time_text[:8]}-{time_text[8:]}-{_VERSION | high:04x}-"
        tail = f"{_VARIANT | counter & _LOW:016x}"
        ids.append(f"{head}{tail[:4]}-{tail[4:]}")
    return cast(list[JobId], ids)


_ids = JobIds()
new_job_ids: Callable[[int], list[JobId]] = _ids.take
forget_ids: Callable[[], None] = _ids.forget
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_ids)


def new_job_id() -> JobId:
    """Make one job id."""
    return _ids.take_one()


def new_lease_id() -> LeaseId:
    """Make one lease id, a UUIDv4."""
    bits = int.from_bytes(os.urandom(16)) & ~(0xF000 << 64 | 0b11 << _LOW_BITS)
    text = f"{bits | 0x4000 << 64 | _VARIANT:032x}"
    return LeaseId(f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}")
