"""What can be put in place of ours besides a store and an executor.  Inherit nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from litestar_queues_core.model import Event

if TYPE_CHECKING:
    from litestar_queues_core.schedules import Schedule, ScheduleChanges


@runtime_checkable
class EventSink(Protocol):
    """Where events go."""

    async def publish(self, events: Sequence[Event]) -> None:
        """Deliver *events*, in order."""
        ...


class Scheduler(Protocol):
    """Turns rules into jobs, once per instant."""

    async def sync(self, schedules: Sequence[Schedule]) -> ScheduleChanges:
        """Bring the store's rows into line with *schedules*."""
        ...

    async def tick(self) -> float:
        """Do one round; return the rest in seconds."""
        ...


@runtime_checkable
class Serializer(Protocol):
    """Turns plain JSON values into bytes and back; conversion by annotation is not its task."""

    def dumps(self, value: object) -> bytes:
        """Encode None, bool, int, float, str, lists and dicts with text keys."""
        ...

    def loads(self, data: bytes) -> object:
        """Decode what any other serializer of this kind has encoded."""
        ...
