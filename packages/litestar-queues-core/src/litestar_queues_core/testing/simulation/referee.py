"""Who sees every effect in the store and every line of code that starts, and objects."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from litestar_queues_core.context import TaskExecutionContext
from litestar_queues_core.errors import LeaseLost, QueueError
from litestar_queues_core.events import COMPLETED
from litestar_queues_core.model import Event, Job, NewJob, Status
from litestar_queues_core.settlements import (
    CancelOutcome,
    Enqueued,
    Exchange,
    Kind,
    Maintenance,
    MaintenancePolicy,
    Renewal,
    Settlement,
    Wants,
)
from litestar_queues_core.testing.simulation.case import Case, Code, LeaseCase
from litestar_queues_core.testing.simulation.process import PROCESS, Process

if TYPE_CHECKING:
    from litestar_queues_core.testing.simulation.network import Network

OBEYS = 3.0
HELD = (Status.RUNNING, Status.DISPATCHED)
ENDS = {
    Kind.COMPLETE: Status.COMPLETED,
    Kind.FAIL: Status.FAILED,
    Kind.CANCEL: Status.CANCELLED,
}
"""What the design says of settlements; the referee does not ask the code that it judges."""


class Violation(AssertionError):
    """A promise was broken; the message says which, and by what."""


class Referee:
    """Keeps a record of its own of who holds what, from nothing but calls and their answers.

    Attributes:
        cases: The jobs, by id.
        story: What has happened, one line each.
        counts: How often what happened.
    """

    def __init__(self) -> None:
        self.cases: dict[str, Case] = {}
        self.leases: dict[str, LeaseCase] = {}
        self.story: list[tuple[float, str, str]] = []
        self.counts: Counter[str] = Counter()
        self.objection: Violation | None = None
        self.network: Network

    def tell(self, process: Process | None, what: str) -> None:
        """Add a line to the story."""
        moment = asyncio.get_running_loop().time()
        self.story.append((moment, process.name if process else "-", what))

    def protest(self, what: str) -> None:
        """Stop the history: a promise was broken."""
        if self.objection is None:
            self.tell(None, f"VIOLATION: {what}")
            self.objection = Violation(what)
            asyncio.get_running_loop().stop()

    def expect(self, holds: bool, what: str) -> None:
        """Object unless it holds."""
        if not holds:
            self.protest(what)

    # What the store has done.

    def saw(self, process: Process, name: str, args: Any, kwargs: Any, answer: Any) -> None:
        """Take note of a call that had its effect."""
        note = getattr(self, f"_saw_{name}", None)
        if note is not None:
            note(process, *args, answer, **kwargs)

    def refused(self, process: Process, name: str, args: Any, error: QueueError) -> None:
        """Take note of a call that the store has answered with an error."""
        self.tell(process, f"{name}: {type(error).__name__}: {error}")
        if isinstance(error, LeaseLost) and (lease := self.leases.get(args[0])) is not None:
            self._told_dead(lease)

    def _told_dead(self, lease: LeaseCase) -> None:
        """Its process knows now, or soon, that the lease is dead."""
        self._was_silent(lease)
        asyncio.get_running_loop().call_later(OBEYS, self._has_obeyed, lease)

    def _has_obeyed(self, lease: LeaseCase) -> None:
        """A process that was told so stops the code that it ran under a dead lease."""
        process = lease.process
        running = [
            case.id
            for case in self.cases.values()
            for code in case.running
            if code.process is process and code.lease == lease.id
        ]
        unhindered = self.network.calm and not process.dead and not process.frozen
        self.expect(
            not running or not unhindered,
            f"{process} runs {running} {OBEYS:g} s after it was told that their lease is dead",
        )

    def _saw_enqueue(
        self, process: Process, jobs: Sequence[NewJob], answers: Sequence[Enqueued]
    ) -> None:
        for job, answer in zip(jobs, answers, strict=True):
            if answer.created and answer.error is None:
                self._born(process, job)

    def _born(self, process: Process, job: NewJob) -> None:
        self.expect(job.id not in self.cases, f"job {job.id} was created twice")
        holder = [
            case.id
            for case in self.cases.values()
            if job.key is not None and case.key == job.key.key and case.ended is None
        ]
        self.expect(not holder, f"key of {job.id} is held by {holder}")
        self.cases[job.id] = Case(job.id, job.key.key if job.key else None)
        self.counts["enqueued"] += 1
        self.tell(process, f"enqueued {job.id}")

    def _saw_open_lease(
        self, process: Process, lease: str, worker: object, answer: None, *, seconds: float
    ) -> None:
        known = self.leases.setdefault(lease, LeaseCase(lease, process, seconds))
        known.heard = asyncio.get_running_loop().time()

    def _saw_renew(self, process: Process, lease: str, answer: Renewal, *, seconds: float) -> None:
        known = self.leases[lease]
        if answer.alive:
            self.expect(not known.dead, f"dead lease {lease} was renewed")
            known.heard = asyncio.get_running_loop().time()
        elif not known.closed:
            self._told_dead(known)

    def _saw_close_lease(self, process: Process, lease: str, answer: None) -> None:
        known = self.leases.get(lease)
        if known is not None and not known.dead:
            known.closed = True
            for case in self._held_by(lease):
                self.tell(process, f"closing gives back {case.id}")
                running = any(code.delivery == case.delivery for code in case.running)
                self.expect(not running, f"{case.id} was given back while its code ran")
                case.lease = None
                case.ended = Status.CANCELLED if case.cancel_requested else None

    def _held_by(self, lease: str) -> list[Case]:
        return [case for case in self.cases.values() if case.lease == lease]

    def _was_silent(self, lease: LeaseCase) -> None:
        """A lease may be dead only if nothing was heard of it for as long as it lasts."""
        silent = asyncio.get_running_loop().time() - lease.heard
        self.expect(
            lease.dead or lease.closed or silent >= lease.seconds - 0.002,
            f"lease {lease.id} of {lease.process} was given up after {silent:.3f} s of silence",
        )
        lease.dead = True

    def _saw_exchange(  # noqa: PLR0917  (what the call was given, and its answer)
        self,
        process: Process,
        lease: str,
        seq: int,
        settlements: Sequence[Settlement],
        wants: Wants,
        answer: Exchange,
    ) -> None:
        known = self.leases[lease]
        self.expect(not known.dead, f"dead lease {lease} made an exchange")
        known.heard = asyncio.get_running_loop().time()
        if seq == known.seq:
            self._replayed(known, answer)
            return
        if settlements or answer.claimed:
            known.seq = seq
        unapplied = {*answer.rejected, *answer.busy}
        for one in settlements:
            if (one.id, one.delivery) not in unapplied:
                self._settled(known, one, ended=(one.id, one.delivery) in answer.ended)
        self.expect(len(answer.claimed) <= wants.limit, f"{lease} was given more than it wanted")
        for job in answer.claimed:
            self._claimed(known, job)

    def _replayed(self, lease: LeaseCase, answer: Exchange) -> None:
        held = {case.id for case in self._held_by(lease.id)}
        returned = {job.id for job in answer.claimed}
        self.expect(
            held == returned,
            f"a replay returned {sorted(returned)}, and {lease.id} holds {sorted(held)}",
        )

    def _claimed(self, lease: LeaseCase, job: Job) -> None:
        case = self.cases.get(job.id)
        self.tell(lease.process, f"claimed {job.id}, delivery {job.delivery}")
        if case is None:
            return self.protest(f"{job.id} was claimed and never enqueued")
        self.expect(case.lease is None, f"{job.id} was claimed while {case.lease} holds it")
        self.expect(case.ended is None, f"{job.id} was claimed after it had ended")
        self.expect(
            job.delivery > case.delivery,
            f"{job.id} was claimed as delivery {job.delivery} after {case.delivery}",
        )
        case.lease, case.delivery = lease.id, job.delivery
        return None

    def _settled(self, lease: LeaseCase, one: Settlement, *, ended: bool) -> None:
        case = self.cases[one.id]
        if one.kind is Kind.PROGRESS:
            return
        key = f"{one.id}, delivery {one.delivery}"
        self.tell(lease.process, f"settled {key}: {one.kind}{' (ended)' if ended else ''}")
        self.expect(one.delivery not in case.settled, f"{key} was settled twice")
        self.expect(
            case.lease == lease.id and case.delivery == one.delivery,
            f"{key} was settled by {lease.id}, and {case.lease} holds {case.delivery}",
        )
        running = [code for code in case.running if code.delivery == one.delivery]
        self.expect(not running, f"{key} was settled while its code ran")
        self.expect(
            one.kind is not Kind.COMPLETE or one.delivery in case.returned,
            f"{key} was completed, and its code has not returned",
        )
        must_end = case.cancel_requested and one.kind not in ENDS
        self.expect(ended == must_end, f"{key}: {one.kind}, ended={ended}, against a cancel")
        case.settled.add(one.delivery)
        case.lease = None
        case.ended = Status.CANCELLED if ended else ENDS.get(one.kind)
        self.counts[str(case.ended or one.kind)] += 1

    def _saw_maintain(
        self, process: Process, policy: MaintenancePolicy, answer: Maintenance
    ) -> None:
        for moved in answer.moved:
            case = self.cases[moved.id]
            self.tell(process, f"maintenance moved {moved.id}: {moved.old} to {moved.new}")
            self.expect(case.ended is None, f"{moved.id} was moved after it had ended")
            if moved.old in HELD:
                self._rescued(case, policy)
            case.ended = moved.new if moved.new.finished else None

    def _rescued(self, case: Case, policy: MaintenancePolicy) -> None:
        self.counts["rescued"] += 1
        self.expect(policy.rescue, f"{case.id} was rescued by one that may not")
        if case.lease is None:
            return self.protest(f"{case.id} was rescued, and nobody held it")
        lease = self.leases[case.lease]
        self._was_silent(lease)
        process = lease.process
        healthy = self.network.calm and not (process.dead or process.froze or process.ended)
        apart = process in self.network.parted
        self.expect(not healthy or apart, f"{case.id} was taken from {process}, which is well")
        case.orphaned.add(case.delivery)
        case.lease = None
        return None

    def _saw_cancel(
        self,
        process: Process,
        ids: Sequence[str],
        outcomes: Sequence[CancelOutcome],
        *,
        running: bool,
    ) -> None:
        for job_id, outcome in zip(ids, outcomes, strict=True):
            case = self.cases.get(job_id)
            self.tell(process, f"cancel of {job_id}: {outcome}")
            if case is not None and outcome is CancelOutcome.REQUESTED:
                case.cancel_requested = True
            elif case is not None and outcome is CancelOutcome.CANCELLED:
                case.ended = Status.CANCELLED

    def _saw_revive(
        self, process: Process, ids: Sequence[str], answers: Sequence[Enqueued]
    ) -> None:
        for job_id, answer in zip(ids, answers, strict=True):
            if answer.error is None and answer.id == job_id:
                self.tell(process, f"revived {job_id}")
                self.cases[job_id].revived()

    # What the code of jobs does.

    @contextmanager
    def watching(self, context: TaskExecutionContext, behaviour: str) -> Generator[None]:
        """Watch the code of one attempt from its first line to its last."""
        process = PROCESS.get()
        case = self.cases.get(context.id)
        if process is None or case is None:
            raise Violation(f"{context.id} runs outside of any process, or was never enqueued")
        code = Code(process, context.delivery, case.lease)
        self._started(case, code)
        case.behaviour = behaviour
        case.running.append(code)
        try:
            yield
            case.returned.add(context.delivery)
        finally:
            case.running.remove(code)
            self.tell(process, f"code of {context.id}, delivery {context.delivery}, has stopped")

    def _started(self, case: Case, code: Code) -> None:
        key = f"{case.id}, delivery {code.delivery}"
        self.tell(code.process, f"code of {key} starts")
        self.counts["started"] += 1
        for other in case.running:
            if other.process.dead:
                continue
            self.counts["overlaps"] += 1
            self.expect(
                other.delivery in case.orphaned,
                f"{key} starts while delivery {other.delivery} runs in {other.process}",
            )
        self.expect(code.delivery not in case.started, f"{key} was started twice")
        case.started.add(code.delivery)
        holds = case.lease is not None and case.delivery == code.delivery
        late = code.process.froze
        self.expect(holds or late, f"{code.process} starts {key}, which it does not hold")

    async def publish(self, events: Sequence[Event]) -> None:
        """Be the sink that hears what is announced."""
        for event in events:
            if event.type == COMPLETED:
                case = self.cases[event.job_id]
                self.expect(
                    (event.delivery or 0) in case.settled,
                    f"{event.job_id} was announced before it was recorded",
                )
