"""Whether claims should begin where the last one ended.

While an old snapshot is held somewhere, the index keeps entries of rows that are long gone, and a
claim from the beginning of a lane walks past all of them.  One from where the last claim ended does
not; but it overlooks what came in before that place.  So that is done only where it has been seen
to be faster, and even then a claim from the beginning is done now and then.
"""

from __future__ import annotations

import time

SLOWER = 3.0
SLOW_SECONDS = 0.01
KNOWN_AFTER = 50
TRIES = 10
WORTH = 2.0
EVERY_SECONDS = 1.0
PATIENCE = 20
"""Claims from the beginning take at most a twentieth of the time."""


class Mean:
    """A mean that forgets."""

    __slots__ = ("number", "value")

    def __init__(self) -> None:
        self.number = 0
        self.value = 0.0

    def add(self, value: float, weight: float) -> None:
        """Let the mean follow *value*."""
        self.number += 1
        self.value += (value - self.value) * max(weight, 1 / self.number)


class Pace:
    """How long claims take, from the beginning of their lanes and from a cursor.

    While the former have become slow, both are tried in turn.

    Attributes:
        slow: Whether claims from the beginning are slow, and cursors are used.
    """

    def __init__(self) -> None:
        self.slow: bool = False
        self._best: float | None = None
        self._whole = Mean()
        self._cursor = Mean()
        self._turn = False
        self._whole_at = 0.0

    def uses_cursor(self) -> bool:
        """Return whether the next claim should begin where the last one ended."""
        if self.slow:
            return time.monotonic() < self._whole_at
        self._turn = not self._turn and self._is_suspicious()
        return self._turn

    def _is_suspicious(self) -> bool:
        whole = self._whole
        if self._best is None or whole.number < KNOWN_AFTER:
            return False
        return whole.value > SLOWER * self._best and whole.value > SLOW_SECONDS

    def took(self, seconds: float, *, cursor: bool) -> None:
        """Note how long a claim took."""
        if cursor:
            self._cursor.add(seconds, 0.1)
            return
        self._whole_at = time.monotonic() + max(EVERY_SECONDS, PATIENCE * seconds)
        self._whole.add(seconds, 0.3 if self.slow else 0.1)
        self._best = seconds if self._best is None else min(self._best * 1.0005, seconds)
        if self._cursor.number >= TRIES:
            self._judge()

    def _judge(self) -> None:
        worth = self._whole.value > WORTH * self._cursor.value
        if self.slow and not worth:
            self._whole, self._best = Mean(), None
        if not worth:
            self._cursor = Mean()
        self.slow = worth
