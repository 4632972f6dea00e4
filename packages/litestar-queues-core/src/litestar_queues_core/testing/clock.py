"""Time that a test moves by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol, runtime_checkable
from unittest import SkipTest


class FakeClock:
    """A clock that stands still until it is told to go on.

    Args:
        start: What it shows at first.
    """

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self.now: datetime = start

    @property
    def now_ms(self) -> int:
        """Whole milliseconds since 1970."""
        return (self.now - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)

    def __call__(self) -> float:
        """Return seconds since 1970, as ``time.time`` would."""
        return self.now.timestamp()

    def advance(self, delta: timedelta | float) -> None:
        """Go on by *delta*, a timedelta or seconds."""
        self.now += delta if isinstance(delta, timedelta) else timedelta(seconds=delta)


@runtime_checkable
class SupportsClockShift(Protocol):
    """A store whose clock a test can move; it computes *now* in one place as clock + offset."""

    def shift_clock(self, delta_ms: int) -> None:
        """Add *delta_ms* to the offset."""
        ...


def shift_clock(store: object, delta: timedelta) -> None:
    """Let time go by for *store*.

    Raises:
        SkipTest: The clock of this store cannot be moved.
    """
    if not isinstance(store, SupportsClockShift):
        raise SkipTest("the clock of this store cannot be moved: it has no shift_clock")
    store.shift_clock(delta // timedelta(milliseconds=1))
