"""The events of jobs, in the order in which they came."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from litestar_queues_core.model import Event

_FIELDS = {"job": "job_id"}


class EventLog:
    """A bounded number of events; the oldest go first.

    Args:
        capacity: How many are kept.
    """

    __slots__ = ("_capacity", "_known", "_log", "_next")

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._next = 0
        self._log: dict[int, tuple[int, Event]] = {}
        self._known: set[tuple[str, int, int]] = set()

    def append(self, events: Iterable[Event], now_ms: int) -> None:
        """Keep *events*, each once."""
        for event in events:
            identity = (event.job_id, event.delivery, event.sequence)
            if identity not in self._known:
                self._known.add(identity)
                self._log[self._next] = (now_ms, event)
                self._next += 1
                if len(self._log) > self._capacity:
                    self._drop(self._oldest)

    def read(
        self, filters: Mapping[str, str], after: str | None, limit: int
    ) -> tuple[list[Event], str | None]:
        """Return events that match, oldest first, and where to go on."""
        wanted = [(_FIELDS.get(name, name), value) for name, value in filters.items()]
        events: list[Event] = []
        number = max(self._oldest, -1 if after is None else int(after) + 1)
        while number < self._next and len(events) < limit:
            event = self._log[number][1]
            if all(getattr(event, name) == value for name, value in wanted):
                events.append(event)
            number += 1
        return events, str(number - 1) if number else None

    def prune(self, before_ms: int, limit: int) -> int:
        """Remove at most *limit* events that came before an instant; return how many."""
        start = self._oldest
        end = min(start + limit, self._next)
        while self._oldest < end and self._log[self._oldest][0] < before_ms:
            self._drop(self._oldest)
        return self._oldest - start

    @property
    def _oldest(self) -> int:
        return self._next - len(self._log)

    def _drop(self, number: int) -> None:
        _, event = self._log.pop(number)
        self._known.discard((event.job_id, event.delivery, event.sequence))
