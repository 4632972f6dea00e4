"""Whether claims should begin where the last one ended.

While an old snapshot is held somewhere, the index keeps entries of rows that are long gone, and a
claim from the beginning of a lane walks past all of them.  One from where the last claim ended does
not; but it overlooks what came in before that place.  So it is done only while claims from the
beginning are slow, and one of those is done now and then.
"""

from __future__ import annotations

import time

SLOWER = 3.0
SLOW_SECONDS = 0.01
KNOWN_AFTER = 50
EVERY_SECONDS = 1.0
PATIENCE = 20


class Pace:
    """How long claims take, from the beginning of their lanes and from a cursor.

    Attributes:
        slow: Whether claims from the beginning are slow, and cursors are used.
    """

    def __init__(self) -> None:
        self.slow: bool = False
        self._best: float | None = None
        self._number = 0
        self._mean = 0.0
        self._with_cursor: float | None = None
        self._whole_at = 0.0

    def uses_cursor(self) -> bool:
        """Return whether the next claim should begin where the last one ended."""
        return self.slow and time.monotonic() < self._whole_at

    def took(self, seconds: float, *, cursor: bool) -> None:
        """Note how long a claim took."""
        if cursor:
            mean = self._with_cursor
            self._with_cursor = seconds if mean is None else mean * 0.8 + seconds * 0.2
            return
        self._whole_at = time.monotonic() + max(EVERY_SECONDS, PATIENCE * seconds)
        if self.slow:
            self.slow = self._with_cursor is None or seconds > 2 * self._with_cursor
            self._mean = seconds
            return
        best = seconds if self._best is None else min(self._best * 1.0005, seconds)
        self._best = best
        self._mean = self._mean * 0.9 + seconds * 0.1
        self._number += 1
        slower = self._mean > SLOWER * best and self._mean > SLOW_SECONDS
        if slower and self._number > KNOWN_AFTER:
            self.slow, self._with_cursor = True, None
