"""Events: those of a settlement are kept with it, once, and say how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from litestar_queues_core.ids import JobId
from litestar_queues_core.model import Event
from litestar_queues_core.protocols import Store, SupportsEventLog
from litestar_queues_core.settlements import Settlement
from litestar_queues_core.testing.model.disagreement import demand
from litestar_queues_core.testing.model.known import World

SAID, CLOSED, CANCELLED = "task.said", "job.closed", "job.cancelled"

PAGE = 100


class Log:
    """The event log of a store, if it keeps one."""

    def __init__(self, store: Store) -> None:
        self._log = store if isinstance(store, SupportsEventLog) else None
        self._cursor: str | None = None
        self._numbers = count(1)

    def event(self, job_id: JobId, delivery: int, type_: str) -> Event | None:
        """Return an event for a settlement, unless nobody would keep it."""
        if self._log is None:
            return None
        return Event(
            job_id=job_id,
            type=type_,
            task="one",
            queue="a",
            occurred_ms=0,
            delivery=delivery,
            sequence=next(self._numbers),
        )

    async def compare(self, world: World) -> None:
        """Demand that exactly the events were added that the settlements called for."""
        told, expected = await self._news(), world.events
        world.events = []
        demand(
            sorted(map(_named, told)) == sorted(map(_named, expected)),
            "the events of a settlement are kept with it, once",
            allowed=_said(world, expected),
            answered=_said(world, told),
        )

    async def _news(self) -> list[Event]:
        found: list[Event] = []
        while self._log is not None:
            page, self._cursor = await self._log.read_events({}, after=self._cursor, limit=PAGE)
            found += page
            if len(page) < PAGE:
                break
        return found


def applied(world: World, one: Settlement, *, ended: bool) -> None:
    """Note which events a settlement that was applied calls for."""
    world.events += one.events
    closing = one.closing_if_cancelled if ended else one.closing
    if closing is not None:
        world.events.append(closing)


def _named(event: Event) -> tuple[str, int, int, str]:
    return (event.job_id, event.delivery, event.sequence, event.type)


def _said(world: World, events: Sequence[Event]) -> str:
    return ", ".join(f"{one.type} of {world.name(one.job_id)}" for one in events) or "none"
