"""What a backend provides.  Implement these; inherit nothing.

This is the one file that the author of a backend reads.  Required is :class:`Store` and a
:class:`BackendConfig` that opens it.  Every ability beyond that is a protocol of its own, found by
``isinstance``; without one the rest works, and using an option that needs it is an error that
names both.  ``litestar_queues_core.testing.StoreConformance`` checks all of it.  Apart are
executors (``execution.py``), what a store finds when it is checked (``findings.py``), and what else
can be replaced (``extensions.py``).

Rules for every method of a store:

* Sequences in, sequences out, in the same order.  A batch is one round trip where the store can.
* Time is compared by the store's own clock, never by the caller's.
* What has been acknowledged is durable, as far as the store is configured to be.
* Nothing waits without a deadline.  A method that cannot tell whether it had its effect raises
  :class:`~litestar_queues_core.errors.StoreUnavailable`; the caller asks or sends again.
* Jobs of other tasks, queues and versions pass through unharmed: payloads are opaque.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from litestar_queues_core.execution import ExecutionConfig, Executor, RemoteExecutor
from litestar_queues_core.extensions import EventSink, Scheduler, Serializer
from litestar_queues_core.findings import SupportsCheck
from litestar_queues_core.ids import JobId, LeaseId
from litestar_queues_core.model import Event, Job, NewJob, WorkerInfo
from litestar_queues_core.settlements import (
    CancelOutcome,
    Enqueued,
    Exchange,
    JobQuery,
    Maintenance,
    MaintenancePolicy,
    Page,
    QueueCounts,
    Renewal,
    Settlement,
    Wants,
)

if TYPE_CHECKING:
    from litestar_queues_core.remote import ClaimRefused, OverdueDispatch
    from litestar_queues_core.schedules import (
        DueSchedule,
        Firing,
        ScheduleChanges,
        ScheduleRow,
    )

__all__ = [
    "BackendConfig",
    "EventSink",
    "ExecutionConfig",
    "Executor",
    "LeaseKeeper",
    "RemoteExecutor",
    "Scheduler",
    "Serializer",
    "Store",
    "SupportsBrowse",
    "SupportsCheck",
    "SupportsEventLog",
    "SupportsKeeper",
    "SupportsKeys",
    "SupportsRemote",
    "SupportsSchedules",
    "SupportsSignals",
    "SupportsTransactions",
]


class BackendConfig(Protocol):
    """What a user writes to choose a store."""

    def open(self) -> AbstractAsyncContextManager[Store]:
        """Open the store for as long as the context lasts.

        May be called several times, also at once; the stores share nothing but their data.
        """
        ...


class Store(Protocol):
    """The durable home of jobs."""

    async def enqueue(self, jobs: Sequence[NewJob]) -> Sequence[Enqueued]:
        """Take *jobs*; they are durable when this returns.

        A job with an id that is known already is not taken twice: its :class:`Enqueued` reads as
        if it had just been created.  One bad item gets an ``error`` and harms no neighbour.
        A job due in the future becomes ``scheduled``, any other ``pending``.

        With keys (:class:`SupportsKeys`): if the key is held by a job of the same task, that
        job is returned, ``created`` false; by another task's, the error is a
        ``KeyConflictError``.  Of several with one key, also concurrent, one wins.
        """
        ...

    async def open_lease(self, lease: LeaseId, worker: WorkerInfo, *, seconds: float) -> None:
        """Begin, or go on with, the lease of a worker process.  Idempotent.

        Raises:
            LeaseLost: This lease was marked dead.
        """
        ...

    async def exchange(
        self, lease: LeaseId, seq: int, settlements: Sequence[Settlement], wants: Wants
    ) -> Exchange:
        """Apply *settlements*, then claim what *wants* asks for; the hot path.

        All settlements with everything that belongs to them (follow-ups, freed keys, attempt
        records, events), ``seq``, and the lists ``rejected``, ``busy`` and ``ended`` take effect in
        one step; the claims in that step or after it.  The lease is extended by the seconds
        last given to :meth:`open_lease` or :meth:`renew`.

        ``seq`` rises with every new exchange of a lease (gaps are legal); one is in flight at a
        time, and one whose outcome is unknown is sent again unchanged.  If ``seq`` is that of
        the last exchange applied, this is a **replay**: nothing is applied or claimed again, the
        stored lists are returned, and ``claimed`` is every job the lease holds now, read after
        the check of ``seq``. An exchange that settles and claims nothing is not remembered, and
        writes nothing.

        Settlements apply in order, each only if its fence holds: the job is running under this
        lease with this ``delivery``.  ``lifecycle.TRANSITIONS`` says what it does; if a cancel was
        requested and the job would wait again, it ends as ``cancelled`` instead, its follow-ups are
        dropped, and it is listed in ``ended``. A row locked by somebody else is skipped and
        listed in ``busy``.

        A claim moves ``pending`` to ``running`` and raises ``delivery`` by one, which is never
        reset.  Within a lane: priority (higher first), then due time in whole milliseconds,
        then id. Expired jobs are never handed out. The cost must not grow with the backlog, with
        jobs of other lanes, with future or with finished jobs.

        Raises:
            LeaseLost: The lease is unknown or was marked dead; nothing was applied or claimed.
            StaleExchange: ``seq`` is older than the last one applied.
            SettlementRefused: The store cannot hold the data of a settlement; nothing was
                applied.
        """
        ...

    async def renew(self, lease: LeaseId, *, seconds: float) -> Renewal:
        """Let the lease last *seconds* from now, also if its time has run out, but not if dead."""
        ...

    async def close_lease(self, lease: LeaseId) -> None:
        """End the lease and give back what it still holds, counting no rescue.

        Cancel beats waiting here too.  Closing an unknown or dead lease does nothing.
        """
        ...

    async def maintain(self, policy: MaintenancePolicy) -> Maintenance:
        """Do a bounded piece of what keeps the store healthy.  Any process may, at any time.

        * *Promote*: ``scheduled`` jobs that are due become ``pending``.
        * *Rescue*, if the policy allows: a lease whose time has run out is marked dead first, in
          one atomic write; then the jobs it holds are given back in bounded steps, as
          ``lifecycle.rescued_status`` and ``rescued_lane`` say, each with an attempt record. Only
          this breaks a fence.
        * *Expire*: waiting jobs whose ``expires`` has passed end as ``expired``.
        * *Prune*: finished jobs beyond the policy's retention go, but none within 60 seconds of
          its end, so that its id and status can still be asked for.
        * Keys whose instant has passed are freed.
        """
        ...

    async def get(self, ids: Sequence[JobId]) -> Sequence[Job | None]:
        """Return the jobs, finished ones included; ``None`` for those not known (any more)."""
        ...

    async def cancel(self, ids: Sequence[JobId], *, running: bool) -> Sequence[CancelOutcome]:
        """Cancel jobs.

        A waiting job ends as ``cancelled`` at once.  With *running*, a running or dispatched one
        gets a request, which reaches its worker with the next exchange or renewal (``requested``);
        without, it is left alone (``not_waiting``).
        """
        ...


@runtime_checkable
class SupportsBrowse(Protocol):
    """A store that can be looked through."""

    async def find(self, query: JobQuery) -> Page:
        """Return jobs that match, newest first.

        ``status`` and ``queue`` are exact; ``task``, ``key`` and ``text`` may be applied within a
        bounded window only. The cursor names a position, not a number of rows to skip.
        """
        ...

    async def count(self) -> QueueCounts:
        """Return how many jobs stand where; large numbers may be capped (``exact`` false)."""
        ...

    async def revive(self, ids: Sequence[JobId]) -> Sequence[Enqueued]:
        """Make finished jobs ``pending`` again, due now, in their ordinary lane.

        ``attempt``, ``rescues`` and ``put_backs`` start at zero, a requested cancel is forgotten,
        expiry is dropped, the records of past attempts stay. A key is acquired again; if another
        job holds it, the answer is that of ``enqueue``: the holder, or a ``KeyConflictError`` if it
        is another task's. A job that is not finished, or not known, gets an ``error`` too.
        """
        ...


@runtime_checkable
class SupportsKeys(Protocol):
    """A store that honours ``NewJob.key``: key -> (job, task, when it is freed), apart from jobs.

    A key that was freed is not acquired again by a retry or a rescue.
    """

    async def release_keys(self, keys: Sequence[str]) -> Sequence[bool]:
        """Free keys whatever their rule; whether each was held."""
        ...


@runtime_checkable
class SupportsSignals(Protocol):
    """A store that can end a wait early.  Signals are hints: they may be lost or come twice.

    Topics are ``lane:<lane>`` (a job waits in the lane), ``lane:*`` (in any), ``job:<id>`` (the
    job ended) and ``lease:<id>`` (a held job's cancel was requested). The store raises them
    itself, after the write that causes them is visible; a job due within a few seconds counts as
    waiting in its lane.
    """

    async def wait(self, topics: Collection[str], timeout: float) -> bool:
        """Rest until one of *topics* is raised (true) or *timeout* seconds have gone by (false).

        A caller that waits again at once misses nothing that was raised in between, as long
        as it looks for work after each return.
        """
        ...

    async def notify(self, topics: Collection[str]) -> None:
        """Raise *topics*, for a write that became visible without the store's doing."""
        ...


class LeaseKeeper(Protocol):
    """A blocking connection of its own, used from one thread, that keeps a lease alive."""

    def renew(self, lease: LeaseId, *, seconds: float) -> Renewal:
        """Like :meth:`Store.renew`, blocking."""
        ...

    def close_lease(self, lease: LeaseId) -> None:
        """Like :meth:`Store.close_lease`, blocking."""
        ...


@runtime_checkable
class SupportsKeeper(Protocol):
    """A store whose leases can be renewed while the event loop is blocked."""

    def keeper(self) -> AbstractContextManager[LeaseKeeper]:
        """Open a connection of its own; entered, used and left on one thread."""
        ...


@runtime_checkable
class SupportsTransactions(Protocol):
    """A store that shares a database with the application.

    Attributes:
        sessions: What kinds of session it accepts, in words, for whoever brings another.
    """

    sessions: str

    def accepts(self, session: object) -> bool:
        """Return whether this store can write through sessions of that kind."""
        ...

    async def enqueue_in(self, session: Any, jobs: Sequence[NewJob]) -> Sequence[Enqueued]:
        """Like :meth:`Store.enqueue`, inside the caller's open transaction.

        Nothing is committed, and nothing that an answer can say undoes the transaction: a key
        that is held by another job, or locked by somebody else's open transaction
        (``KeyBusyError``), leaves it as good as before.  Workers are woken after the commit.

        Raises:
            SessionError: It is closed, has no open transaction, or blocks; the message names the
                fix.
        """
        ...

    def enqueue_in_sync(self, session: Any, jobs: Sequence[NewJob]) -> Sequence[Enqueued]:
        """Like :meth:`enqueue_in` for a blocking session, run in the calling thread."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        """Open a session in whose transaction :meth:`settle_in` will be the last statement.

        Left without an error, it commits, and what the settlement causes is signalled; left with
        one, it rolls back.  What goes wrong with the commit passes through: the caller looks up
        whether it took effect.  Entering and leaving may happen in different asyncio tasks.
        """
        ...

    async def settle_in(self, session: Any, lease: LeaseId, settlement: Settlement) -> None:
        """Apply *settlement* in the transaction of a session from :meth:`transaction`.

        The fence is checked last of all, and holds until the commit: neither is the lease marked
        dead nor the job changed by anybody else before.

        Raises:
            LeaseLost: The fence does not hold; the transaction must be rolled back.
        """
        ...


@runtime_checkable
class SupportsEventLog(Protocol):
    """A store that keeps the events of its jobs."""

    async def append_events(self, events: Sequence[Event]) -> None:
        """Keep *events*; one that is kept already (job, delivery, sequence) is not kept twice."""
        ...

    async def read_events(
        self, filters: Mapping[str, str], *, after: str | None, limit: int
    ) -> tuple[Sequence[Event], str | None]:
        """Return events oldest first, and the cursor to go on from.

        *filters* are exact: ``job``, ``task``, ``queue``, ``type``, ``level``. A cursor is always
        returned, also when nothing was found, so that the log can be followed; ``None`` stands for
        the beginning of a log without events.
        """
        ...

    async def prune_events(self, *, older_than: float, limit: int) -> int:
        """Remove at most *limit* events that are older than so many seconds."""
        ...


@runtime_checkable
class SupportsSchedules(Protocol):
    """A store that keeps schedules; it only compares, rules are evaluated by the core."""

    async def put_schedules(
        self, owner: str, app_version: int, rows: Sequence[tuple[ScheduleRow, NewJob | None]]
    ) -> ScheduleChanges:
        """Insert rows that are absent, each with its first job, in one step per row.

        A row that differs is replaced if *app_version* is not older than the stored one: its
        waiting job is cancelled and its instant freed, the row replaced and the job inserted.
        """
        ...

    async def due_schedules(self, limit: int, *, gated: bool = True) -> Sequence[DueSchedule]:
        """Return rows that need a job.

        Such a row is not paused, has no waiting job and fewer than ``max_instances`` unfinished
        ones. *gated* calls answer at most one process a second.
        """
        ...

    async def fire(self, firing: Firing) -> bool:
        """Advance a row and insert the job, if it still has that version and instant.

        One compare-and-set; whether it applied.  The job is unique on (key, instant).
        """
        ...

    async def remove_schedules(
        self, owner: str, app_version: int, keep: Collection[str]
    ) -> Sequence[str]:
        """Remove the owner's rows not in *keep*, unless a newer version wrote them."""
        ...

    async def list_schedules(self) -> Sequence[ScheduleRow]:
        """Return all rows."""
        ...


@runtime_checkable
class SupportsRemote(Protocol):
    """A store whose jobs can run under a token, outside any worker."""

    async def claim_job(self, lease: LeaseId, job_id: JobId, token: str) -> Job | ClaimRefused:
        """Claim one dispatched job for the process that was started for it."""
        ...

    async def overdue_dispatches(self, limit: int, *, hold: float) -> Sequence[OverdueDispatch]:
        """Hand overdue or cancel-requested dispatches to one caller for *hold* seconds."""
        ...
