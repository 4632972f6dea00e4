"""Steps of a script.  Each can be taken in any state, so that a script survives losing others.

Jobs, leases and keys go by short names; seconds are those of the store's clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

from litestar_queues_core.model import Status
from litestar_queues_core.settlements import Kind, Wants
from litestar_queues_core.testing.model.words import Until, wanted

NO_WANTS = Wants(limit=0)


def _options(of: Any, *shown: str) -> str:
    """Say which fields differ from their defaults, apart from those *shown* already."""
    said = [
        f"{one.name}={getattr(of, one.name)}"
        for one in fields(of)
        if one.name not in shown and getattr(of, one.name) != one.default
    ]
    return f" ({', '.join(said)})" if said else ""


def _list(items: Sequence[object]) -> str:
    return ", ".join(map(str, items)) or "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A job to be enqueued.

    Attributes:
        due: Seconds from the beginning of the script at which it is due, instead of *delay*.
        expires: Seconds after it is due.
    """

    name: str
    queue: str = "a"
    executor: str | None = None
    priority: int = 0
    delay: int = 0
    due: int | None = None
    expires: int | None = None
    key: str | None = None
    until: Until = "finished"
    task: str = "one"
    max_rescues: int = 3
    keep_result: bool = True

    def __str__(self) -> str:
        return self.name + _options(self, "name")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """A settlement.

    Attributes:
        late: How many deliveries ago the one that it settles was.
    """

    job: str
    kind: Kind
    delay: int = 0
    late: int = 0
    failure: bool = False
    follow_ups: tuple[Plan, ...] = ()

    def __str__(self) -> str:
        return (
            f"{self.kind} {self.job}"
            + _options(self, "job", "kind", "follow_ups")
            + (f" then {_list(self.follow_ups)}" if self.follow_ups else "")
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueue:
    """Enqueue jobs in one batch."""

    jobs: tuple[Plan, ...]

    def __str__(self) -> str:
        return f"enqueue {_list(self.jobs)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resend:
    """Enqueue jobs again, as after an unknown outcome."""

    jobs: tuple[str, ...]

    def __str__(self) -> str:
        return f"enqueue {_list(self.jobs)} again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """Open a lease, or open it again."""

    lease: str
    seconds: int = 60

    def __str__(self) -> str:
        return f"open lease {self.lease} for {self.seconds} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """Do a new exchange; *gap* numbers are left out before it."""

    lease: str
    settlements: tuple[Ending, ...] = ()
    wants: Wants = NO_WANTS
    gap: int = 0

    def __str__(self) -> str:
        return (
            f"exchange of {self.lease}{' after a gap' if self.gap else ''}: "
            f"settle {_list(self.settlements)}; {wanted(self.wants)}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Send the last exchange of a lease again, as if its answer had been lost."""

    lease: str

    def __str__(self) -> str:
        return f"exchange of {self.lease} again, unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale:
    """Send an exchange whose number is *back* less than the last one that did something."""

    lease: str
    settlements: tuple[Ending, ...] = ()
    wants: Wants = NO_WANTS
    back: int = 1

    def __str__(self) -> str:
        return (
            f"exchange of {self.lease} with a number {self.back} too low: "
            f"settle {_list(self.settlements)}; {wanted(self.wants)}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Renew:
    """Renew a lease."""

    lease: str
    seconds: int = 60

    def __str__(self) -> str:
        return f"renew lease {self.lease} for {self.seconds} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """Close a lease."""

    lease: str

    def __str__(self) -> str:
        return f"close lease {self.lease}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintain:
    """Call ``maintain`` once; *completed*, *failed* and *max_finished* say what is kept."""

    rescue: bool = True
    limit: int = 1000
    completed: int = 86_400
    failed: int = 604_800
    max_finished: int = 1_000_000

    def __str__(self) -> str:
        return "maintain" + _options(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Cancel jobs."""

    jobs: tuple[str, ...]
    running: bool = False

    def __str__(self) -> str:
        return f"cancel {_list(self.jobs)}{', also if running' if self.running else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Revive:
    """Revive jobs, each named once."""

    jobs: tuple[str, ...]

    def __str__(self) -> str:
        return f"revive {_list(self.jobs)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseKeys:
    """Release keys by hand."""

    keys: tuple[str, ...]

    def __str__(self) -> str:
        return f"release {_list([f'key {one}' for one in self.keys])}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Page through jobs, and count them."""

    status: tuple[Status, ...] = ()
    queue: str | None = None
    key: str | None = None
    limit: int = 50

    def __str__(self) -> str:
        return "find and count" + _options(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Let time go by for the store."""

    seconds: int

    def __str__(self) -> str:
        return f"{self.seconds} s go by"


Step: TypeAlias = (
    Enqueue
    | Resend
    | Open
    | Swap
    | Replay
    | Stale
    | Renew
    | Close
    | Maintain
    | Cancel
    | Revive
    | ReleaseKeys
    | Look
    | Wait
)
