"""Where waiting jobs stand: a line for each lane, one for the future, one for those that expire."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from litestar_queues_core.lanes import queue_of
from litestar_queues_core.model import Status
from litestar_queues_core.stores.memory.line import Line
from litestar_queues_core.stores.memory.rows import Row

_PENDING = Status.PENDING


class Waiting:
    """All waiting jobs.

    Attributes:
        lanes: Those in which a job waits; the one served least recently comes first.
        scheduled: Jobs of all lanes that are not due yet, by due time.
        expiring: Waiting jobs that may expire, by the instant.
    """

    __slots__ = ("_scheduled_in", "expiring", "lanes", "scheduled")

    def __init__(self) -> None:
        self.lanes: dict[str, Line] = {}
        self.scheduled: Line = Line()
        self.expiring: Line = Line()
        self._scheduled_in: Counter[str] = Counter()

    def add(self, row: Row) -> None:
        """Put a ``pending`` or ``scheduled`` job where it waits."""
        if row.expires_ms is not None:
            self.expiring.push((0, row.expires_ms, row.id))
        if row.status is _PENDING:
            line = self.lanes.get(row.lane)
            if line is None:
                line = self.lanes[row.lane] = Line()
            line.push((-row.new.spec.priority, row.due_ms, row.id))
        else:
            self.scheduled.push((0, row.due_ms, row.id))
            self._scheduled_in[row.new.spec.queue] += 1

    def remove(self, row: Row) -> None:
        """Take out a job that waits."""
        self.expiring.discard(row.id)
        if row.status is not _PENDING:
            self.scheduled.discard(row.id)
            self._scheduled_in[row.new.spec.queue] -= 1
            if not self._scheduled_in[row.new.spec.queue]:
                del self._scheduled_in[row.new.spec.queue]
        elif row.lane in self.lanes:
            self.lanes[row.lane].discard(row.id)
            if not self.lanes[row.lane]:
                del self.lanes[row.lane]

    def served(self, lane: str) -> None:
        """Let *lane* be served after the others next time."""
        line = self.lanes.pop(lane)
        if line:
            self.lanes[lane] = line

    @property
    def next_due_ms(self) -> int | None:
        """When the earliest scheduled job falls due."""
        first = self.scheduled.first()
        return first[1] if first else None

    @property
    def oldest_pending_ms(self) -> int | None:
        """The due time of the job that has been due for longest, as far as the ends tell."""
        return min((line.oldest_ms for line in self.lanes.values()), default=None)

    def counts(self) -> Iterator[tuple[str, Status, int]]:
        """Yield how many jobs wait in each queue; a queue may come more than once."""
        for lane, line in self.lanes.items():
            yield queue_of(lane), Status.PENDING, len(line)
        for queue, value in self._scheduled_in.items():
            yield queue, Status.SCHEDULED, value
