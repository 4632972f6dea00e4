"""Finished jobs in the order of their ends, and which of them have been kept long enough."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from heapq import merge
from itertools import islice, takewhile

from litestar_queues_core.ids import JobId
from litestar_queues_core.model import Retention, Status
from litestar_queues_core.stores.memory.rows import Row

KEPT_MS = 60_000
"""No job is pruned so soon after its end, so that its id and status can still be asked for."""


class History:
    """The finished jobs of a store."""

    __slots__ = ("_shelves",)

    def __init__(self) -> None:
        self._shelves: dict[Status, dict[JobId, Row]] = {
            status: {} for status in Status if status.finished
        }

    def __len__(self) -> int:
        return sum(map(len, self._shelves.values()))

    def counts(self) -> Mapping[Status, int]:
        """Return how many jobs ended how."""
        return {status: len(shelf) for status, shelf in self._shelves.items()}

    def add(self, row: Row) -> None:
        """Keep a job that has just ended."""
        self._shelves[row.status][row.id] = row

    def remove(self, row: Row) -> None:
        """Take out a job that begins anew, or is forgotten."""
        del self._shelves[row.status][row.id]

    def prune(self, retention: Retention, now_ms: int, limit: int) -> list[Row]:
        """Take out at most *limit* jobs that are too old or too many, and return them."""
        pruned = list(islice(self._too_old(retention, now_ms), limit))
        for row in pruned:
            self.remove(row)
        many = list(islice(self._too_many(retention, now_ms), limit - len(pruned)))
        for row in many:
            self.remove(row)
        return pruned + many

    def _too_old(self, retention: Retention, now_ms: int) -> Iterator[Row]:
        for status, shelf in self._shelves.items():
            age = retention.failed if status is Status.FAILED else retention.completed
            yield from _ended_before(shelf, now_ms - max(int(age * 1000), KEPT_MS))

    def _too_many(self, retention: Retention, now_ms: int) -> Iterator[Row]:
        excess = max(0, len(self) - retention.max_finished)
        shelves = (_ended_before(one, now_ms - KEPT_MS) for one in self._shelves.values())
        return islice(merge(*shelves, key=_end), excess)


def _end(row: Row) -> int:
    return row.finished_ms or 0


def _ended_before(shelf: Mapping[JobId, Row], instant_ms: int) -> Iterator[Row]:
    return takewhile(lambda row: _end(row) <= instant_ms, shelf.values())
