"""What passes between a store and the executors that run jobs elsewhere."""

from __future__ import annotations

from enum import StrEnum

from litestar_queues_core._record import record
from litestar_queues_core.errors import QueueError
from litestar_queues_core.model import Job


class DispatchRefused(QueueError):
    """The remote side has definitely not started the attempt."""


class ClaimRefused(StrEnum):
    """Why a process may not run the job it was started for."""

    NOT_FOUND = "not_found"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    STILL_LEASED = "still_leased"


class RemoteState(StrEnum):
    """What became of a dispatched attempt."""

    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    GONE = "gone"
    UNKNOWN = "unknown"


class RemoteCancel(StrEnum):
    """What a request to cancel a dispatched attempt achieved."""

    CANCELLED = "cancelled"
    REQUESTED = "requested"
    GONE = "gone"


@record
class OverdueDispatch:
    """A dispatched job that should have been claimed by now, or whose cancel was requested."""

    job: Job
    token: str
    ref: str | None
    cancel_requested: bool
