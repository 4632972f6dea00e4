"""Lanes: what is claimed from, ``queue[@executor][~]``.

The name of a queue cannot contain ``@`` or ``~``, so a lane can always be taken apart.
"""

from __future__ import annotations

SUSPECT = "~"
LOCAL = "local"


def lane_of(queue: str, executor: str | None = None) -> str:
    """Return the ordinary lane of *queue* for *executor*; ``None`` and ``"local"`` are alike."""
    return queue if executor is None or executor == LOCAL else f"{queue}@{executor}"


def is_suspect(lane: str) -> bool:
    """Return whether *lane* holds jobs that were rescued from a dead lease."""
    return lane.endswith(SUSPECT)


def suspects_of(lane: str) -> str:
    """Return the suspect lane that belongs to *lane*."""
    return lane if is_suspect(lane) else lane + SUSPECT


def ordinary(lane: str) -> str:
    """Return the ordinary lane that belongs to *lane*."""
    return lane.removesuffix(SUSPECT)


def executor_of(lane: str) -> str:
    """Return the name of the executor whose work waits in *lane*."""
    return ordinary(lane).partition("@")[2] or LOCAL


def queue_of(lane: str) -> str:
    """Return the name of the queue that *lane* belongs to."""
    return ordinary(lane).partition("@")[0]
