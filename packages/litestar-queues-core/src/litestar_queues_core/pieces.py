"""How much one call of ``maintain`` does, for stores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import monotonic

from litestar_queues_core.settlements import MaintenancePolicy

AT_ONCE = 250
"""A larger piece would keep others waiting."""


class Pieces:
    """Cuts each duty of one call into pieces, of so many jobs at most.

    The first piece of a duty is done in any case: were it not, a store that is slow, or another
    duty with much to do, could keep it from ever being done.  Further ones are begun while there is
    time.

    Args:
        policy: What the call may do.
        clock: Gives seconds.

    Attributes:
        more: Whether a duty was cut short.
    """

    __slots__ = ("_clock", "_limit", "_stop", "more")

    def __init__(
        self, policy: MaintenancePolicy, *, clock: Callable[[], float] = monotonic
    ) -> None:
        self.more = False
        self._clock = clock
        self._limit = policy.limit
        self._stop = clock() + policy.seconds

    def of_duty(self) -> Iterator[int]:
        """Give the sizes of the pieces of one duty; who is done with it takes no further one."""
        left = self._limit
        while left > 0:
            yield min(AT_ONCE, left)
            left -= AT_ONCE
            if self._clock() >= self._stop:
                break
        self.more = True
