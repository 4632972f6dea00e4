"""What the referee knows of one job, and of one lease."""

from __future__ import annotations

from dataclasses import dataclass, field

from litestar_queues_core.model import Status
from litestar_queues_core.testing.simulation.process import Process


@dataclass(slots=True)
class Code:
    """The running code of one delivery."""

    process: Process
    delivery: int
    lease: str | None


@dataclass(slots=True)
class Case:
    """One job, by the referee's own account.

    Attributes:
        acknowledged: Whether its producer was told that it is kept.
        lease: Who holds it now.
        delivery: The last one handed out.
        started: Deliveries whose code has begun.
        returned: Deliveries whose code has returned.
        settled: Deliveries with a recorded ending.
        orphaned: Deliveries that were rescued from a dead lease.
        running: The code that runs now.
        ended: The status it has ended in.
    """

    id: str
    key: str | None = None
    behaviour: str = ""
    acknowledged: bool = False
    lease: str | None = None
    delivery: int = 0
    cancel_requested: bool = False
    was_cancelled: bool = False
    started: set[int] = field(default_factory=set[int])
    returned: set[int] = field(default_factory=set[int])
    settled: set[int] = field(default_factory=set[int])
    orphaned: set[int] = field(default_factory=set[int])
    running: list[Code] = field(default_factory=list[Code])
    ended: Status | None = None

    @property
    def unsettled(self) -> bool:
        """Whether it has not ended, or code of it still runs somewhere."""
        return self.ended is None or any(not code.process.dead for code in self.running)

    def revived(self) -> None:
        """It waits again, with all its attempts."""
        self.ended = None
        self.cancel_requested = False


@dataclass(slots=True)
class LeaseCase:
    """One lease, by the referee's own account.

    Attributes:
        heard: When the store last heard of it.
    """

    id: str
    process: Process
    seconds: float
    heard: float = 0.0
    seq: int | None = None
    dead: bool = False
    closed: bool = False
