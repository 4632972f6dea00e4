"""What a running task may raise to say how its attempt ends.

They derive from :class:`BaseException`, so that a task's own ``except Exception`` does not swallow
them, and are no errors.
"""

from __future__ import annotations

from datetime import timedelta


class Control(BaseException):
    """Base of the signals; catch it in no task."""


def _seconds(value: float | timedelta) -> float:
    return value.total_seconds() if isinstance(value, timedelta) else float(value)


class Retry(Control):
    """Count this attempt as failed and run the job again.

    Args:
        after: Seconds or timedelta to wait; by default what the job's retry policy says.
        reason: Kept in the attempt record.
    """

    def __init__(self, reason: str = "", *, after: float | timedelta | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = None if after is None else _seconds(after)


class Snooze(Control):
    """Run the job later; no attempt is consumed, however often it is raised."""

    def __init__(self, seconds: float | timedelta) -> None:
        self.seconds = _seconds(seconds)
        super().__init__(f"snoozed for {self.seconds:g} s")


class Discard(Control):
    """Give the job up: it ends as ``failed`` with *reason*, and is not retried."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


class Cancel(Control):
    """End the job as ``cancelled``."""
