"""What passes between a worker and its store in one exchange."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from litestar_queues_core._record import hot_record, record
from litestar_queues_core.errors import QueueError
from litestar_queues_core.ids import JobId
from litestar_queues_core.model import Event, Failure, Job, NewJob, Retention, Status


class Kind(StrEnum):
    """How a delivery is settled; ``lifecycle.TRANSITIONS`` says what each kind does."""

    COMPLETE = "complete"
    FAIL = "fail"
    RETRY = "retry"
    SNOOZE = "snooze"
    CANCEL = "cancel"
    RELEASE = "release"
    PUT_BACK = "put_back"
    PROGRESS = "progress"
    DISPATCH = "dispatch"
    DISPATCH_REF = "dispatch_ref"
    DISPATCH_FAILED = "dispatch_failed"
    DISPATCH_CANCELLED = "dispatch_cancelled"


@hot_record
class Settlement:
    """The end of one delivery (or, for ``progress`` and ``dispatch*``, a step of it).

    The fence is (``id``, ``delivery``, the lease of the exchange); for ``dispatch_ref``,
    ``dispatch_failed`` and ``dispatch_cancelled`` it is (``id``, ``token``).

    Attributes:
        id: The job.
        delivery: Which hand-out of the job this is about.
        kind: What happened.
        delay_ms: How long the job waits, for the kinds that make it wait; 0 is due at once.
        value: The encoded result (``complete``), progress (``progress``) or reference
            (``dispatch_ref``); a store never looks inside.
        failure: What the attempt record says; ``None`` leaves none.
        token: The dispatch token, for the ``dispatch*`` kinds.
        follow_ups: Jobs enqueued in the same step, unless cancel ends the job instead.
        events: What the attempt published, for the event log.
        closing: The lifecycle event to append if the settlement is applied as it stands.
        closing_if_cancelled: The one to append if the cancel rule ended the job instead.
    """

    id: JobId
    delivery: int
    kind: Kind
    delay_ms: int = 0
    value: bytes | None = None
    failure: Failure | None = None
    token: str | None = None
    follow_ups: Sequence[NewJob] = ()
    events: Sequence[Event] = ()
    closing: Event | None = None
    closing_if_cancelled: Event | None = None


@record
class Wants:
    """How much a worker can take, and from where.

    Attributes:
        limit: At most this many jobs in all.
        lanes: Ordinary lanes with the most to take from each; 0 means not this one.
        others: At most this many from the ordinary lanes that are not named in ``lanes`` and
            whose executor is local or in ``executors``.
        executors: The remote executors this worker can dispatch to.
        suspects: 1 to take at most one job, first, from the suspect lanes of the lanes so
            allowed; else 0.
    """

    limit: int
    lanes: Sequence[tuple[str, int]] = ()
    others: int = 0
    executors: frozenset[str] = frozenset()
    suspects: int = 0


NOTHING = Wants(limit=0)
"""Settle only; claim nothing."""


@record
class Exchange:
    """What an exchange gave.

    Attributes:
        claimed: The jobs handed out, each lane's in order; on a replay all jobs the lease holds.
        rejected: (id, delivery) of settlements whose fence no longer held; nothing was applied.
        busy: (id, delivery) of settlements whose row was locked; send them again later.
        ended: (id, delivery) of settlements that the cancel rule ended as ``cancelled``.
        cancelled: Ids of held jobs whose cancel was requested.
        next_due_ms: When the earliest scheduled job falls due, in any lane, as far as known.
        now_ms: The store's clock.
    """

    claimed: Sequence[Job] = ()
    rejected: Sequence[tuple[JobId, int]] = ()
    busy: Sequence[tuple[JobId, int]] = ()
    ended: Sequence[tuple[JobId, int]] = ()
    cancelled: Sequence[JobId] = ()
    next_due_ms: int | None = None
    now_ms: int = 0


@record
class Renewal:
    """Whether a lease still stands, and the held jobs whose cancel was requested."""

    alive: bool
    cancelled: Sequence[JobId] = ()


@hot_record
class Enqueued:
    """What became of one :class:`NewJob`.

    Attributes:
        id: The job that now stands for the request: its own id, or that of the key's holder.
        created: Whether it is the request's own job (``id`` returned equals ``id`` sent).
        status: Status of that job; ``None`` if its record has been pruned, or cannot be seen in the
            caller's transaction.
        error: Why this one was not taken; its neighbours are unharmed.
    """

    id: JobId
    created: bool = True
    status: Status | None = Status.PENDING
    error: QueueError | None = None


class CancelOutcome(StrEnum):
    """What ``cancel`` did with one job."""

    CANCELLED = "cancelled"
    REQUESTED = "requested"
    ALREADY_FINISHED = "already_finished"
    NOT_WAITING = "not_waiting"
    NOT_FOUND = "not_found"


@record
class MaintenancePolicy:
    """What one maintenance call may do, and how much.

    Attributes:
        rescue: Whether to mark dead the leases whose time has run out and give their jobs back.
        retention: What to prune.
        limit: At most this many jobs of each duty.
        seconds: Of each duty that there is, something is done in any case; begin nothing more of it
            after this long.
    """

    rescue: bool = True
    retention: Retention = Retention()
    limit: int = 1000
    seconds: float = 0.05


@record
class Moved:
    """A job that maintenance moved from one status to another."""

    id: JobId
    task: str
    queue: str
    old: Status
    new: Status


@record
class Maintenance:
    """What one maintenance call did.

    Attributes:
        moved: Jobs rescued, expired or promoted, for the caller to publish.
        pruned: Number of finished jobs removed.
        more: Whether a limit cut the work short; call again soon.
        next_due_ms: When the earliest scheduled job falls due, as far as known.
        now_ms: The store's clock.
    """

    moved: Sequence[Moved] = ()
    pruned: int = 0
    more: bool = False
    next_due_ms: int | None = None
    now_ms: int = 0


@record
class JobQuery:
    """Which jobs to find; newest first.

    Attributes:
        status: Only these; empty means all.
        queue: Only this queue.
        task: Only this task; with ``key`` and ``text`` applied within a bounded window.
        key: Only the job that holds this key.
        text: Only jobs whose id, task or error contains this.
        limit: At most this many.
        cursor: Where the last page ended.
    """

    status: Sequence[Status] = ()
    queue: str | None = None
    task: str | None = None
    key: str | None = None
    text: str | None = None
    limit: int = 50
    cursor: str | None = None


@record
class Page:
    """Some jobs, and where to go on; ``cursor`` is ``None`` on the last page."""

    jobs: Sequence[Job]
    cursor: str | None = None


@record
class Count:
    """A number of jobs; ``exact`` is false if counting stopped at a cap."""

    queue: str
    status: Status
    value: int
    exact: bool = True


@record
class LeaseView:
    """A worker process as the store sees it, for ``status`` and ``check``.

    Attributes:
        queues: The only queues it takes jobs of; if empty, it takes those of all.
    """

    lease: str
    worker: str
    host: str
    pid: int
    held: int
    expires_in: float
    dead: bool = False
    queues: Sequence[str] = ()


@record
class QueueCounts:
    """How many jobs stand where.  Finished ones may be counted for all queues together (``*``)."""

    counts: Sequence[Count]
    leases: Sequence[LeaseView] = ()
    oldest_pending_ms: int | None = None
    now_ms: int = 0
