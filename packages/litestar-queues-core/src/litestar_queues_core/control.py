"""What a running task may raise to say how its attempt ends.

They derive from :class:`BaseException`, so that a task's own ``except Exception`` does not swallow
them, and are no errors.
"""

from __future__ import annotations

from datetime import timedelta

from litestar_queues_core import config


class Control(BaseException):
    """Base of the signals; catch it in no task."""


def _length(value: object, setting: str) -> float:
    """Return a wait in seconds; one that is over already, as a computed one may be, is 0."""
    length = value.total_seconds() if isinstance(value, timedelta) else value
    negative = isinstance(length, int | float) and length < 0
    return 0.0 if negative else config.seconds(length, setting)


class Retry(Control):
    """Count this attempt as failed and run the job again.

    Args:
        after: Seconds or timedelta to wait; by default what the job's retry policy says.
        reason: Kept in the attempt record.

    Raises:
        ConfigError: *after* is no length of time.
    """

    def __init__(self, reason: str = "", *, after: float | timedelta | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after: float | None = None if after is None else _length(after, "Retry(after=...)")


class Snooze(Control):
    """Run the job later; no attempt is consumed, however often it is raised.

    Raises:
        ConfigError: *seconds* is no length of time.
    """

    def __init__(self, seconds: float | timedelta) -> None:
        self.seconds: float = _length(seconds, "Snooze(...)")
        super().__init__(f"snoozed for {self.seconds:g} s")


class Discard(Control):
    """Give the job up: it ends as ``failed`` with *reason*, and is not retried."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


class Cancel(Control):
    """End the job as ``cancelled``."""
