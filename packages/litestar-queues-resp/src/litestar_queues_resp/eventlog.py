"""The event log."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from struct import Struct

from litestar_queues_core.errors import StoreError
from litestar_queues_core.model import Event
from litestar_queues_core.wire import decode_event, encode_event
from litestar_queues_resp.calling import Caller
from litestar_queues_resp.client import Word
from litestar_queues_resp.layout import number, raw_id

WINDOW = 500
"""So many events are looked at in one call."""

_FILTERS = ("job", "task", "queue", "type", "level")
_PLACE = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")
_DELIVERY = Struct(">I")


class EventLog:
    """Events of jobs, in the order in which they came.

    Args:
        caller: Runs the scripts.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def append(self, events: Sequence[Event]) -> None:
        """Keep events, each once."""
        for start in range(0, len(events), WINDOW):
            part = events[start : start + WINDOW]
            words = [word for event in part for word in event_words(event)]
            await self._caller.run_words("append_events", (len(part), *words))

    async def read(
        self, filters: Mapping[str, str], after: str | None, limit: int
    ) -> tuple[list[Event], str | None]:
        """Return events that match, and where to go on."""
        place = after or ""
        _check(filters, place)
        if limit <= 0:
            return [], after
        try:
            job = raw_id(filters["job"]) if "job" in filters else b""
        except ValueError:
            return [], after
        events: list[Event] = []
        while True:
            found, newest, more = await self._caller.run("read_events", job, place, WINDOW)
            for at, body in found:
                event = decode_event(body)
                if _fits(event, filters):
                    events.append(event)
                    if len(events) == limit:
                        return events, str(at, "utf-8")
                place = str(at, "utf-8")
            if not more:
                return events, max(place, str(newest, "utf-8"), key=_order) or None

    async def prune(self, older_than: float, limit: int) -> int:
        """Remove at most *limit* events that came more than so many seconds ago."""
        removed = 0
        while removed < limit:
            number_of = min(WINDOW, limit - removed)
            gone = await self._caller.run("prune_events", int(older_than * 1000), number_of)
            removed += gone
            if gone < number_of:
                break
        return removed


def event_words(event: Event) -> Iterator[Word]:
    """Yield the arguments of ``take_events`` for one event."""
    yield raw_id(event.job_id)
    yield _DELIVERY.pack(event.delivery)
    yield number(event.sequence)
    yield encode_event(event)


def _check(filters: Mapping[str, str], place: str) -> None:
    unknown = set(filters) - set(_FILTERS)
    if unknown:
        raise StoreError(f"events cannot be filtered by {', '.join(sorted(unknown))}")
    if place and not _PLACE.fullmatch(place):
        raise StoreError(f"{place!r} is no cursor of this event log")


def _fits(event: Event, filters: Mapping[str, str]) -> bool:
    kept = {"task": event.task, "queue": event.queue, "type": event.type, "level": event.level}
    return all(kept[name] == value for name, value in filters.items() if name != "job")


def _order(place: str) -> tuple[int, ...]:
    return tuple(map(int, place.split("-"))) if place else ()
