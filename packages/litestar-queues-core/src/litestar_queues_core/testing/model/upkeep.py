"""Maintenance: which moves are allowed, and what must be done unless the store says "more"."""

from __future__ import annotations

from collections import Counter

from litestar_queues_core.lanes import suspects_of
from litestar_queues_core.model import Retention, Status
from litestar_queues_core.settlements import Maintenance, MaintenancePolicy, Moved
from litestar_queues_core.testing.model.disagreement import Mismatch, demand
from litestar_queues_core.testing.model.known import Known, Span, Standing, World, passed
from litestar_queues_core.testing.model.leaving import finish, may_be_due, wait

KEPT_MS = 60_000
RECORDS = 10

ONLY_DEAD = "only the rescue of a dead lease takes a job away"
BOUNDED = "maintenance is bounded"
DONE = "maintenance does what there is to do, or says that there is more"
KEPT = "a finished job is known for a minute, and as long as retention says"


class Upkeep:
    """One call of ``maintain``."""

    def __init__(self, world: World, policy: MaintenancePolicy, answer: Maintenance) -> None:
        self._world, self._policy, self._answer = world, policy, answer
        self._steps: Counter[str] = Counter()

    def check(self) -> None:
        """Check every move, then what is left.

        Of what a step has just made possible for another, the other need not know yet.
        """
        due = self._to_do()
        finished = [job for job in self._world.jobs.values() if job.status.finished]
        for moved in self._answer.moved:
            self._move(moved)
        self._mark_dead()
        self._prune(finished)
        demand(
            max(self._steps.values(), default=0) <= self._policy.limit,
            BOUNDED,
            allowed=f"{self._policy.limit} jobs in each step",
            answered=dict(self._steps),
        )
        idle = not self._answer.moved and not self._answer.pruned
        missed = [] if self._answer.more and not idle else self._missed(due)
        demand(not missed, DONE, allowed="; ".join(missed), answered="not done")

    def _to_do(self) -> list[tuple[Known, Status, str]]:
        """Return the jobs that must move, how they stand, and why."""
        now, found = self._world.now, list[tuple[Known, Status, str]]()
        for job in self._world.jobs.values():
            if job.status is Status.RUNNING:
                lease = self._world.leases.get(job.lease) if job.lease else None
                if self._policy.rescue and lease and self._is_over(lease.standing, lease.expires):
                    found.append((job, job.status, f"its lease {lease.name} is dead"))
            elif not job.status.finished:
                if job.expires_ms is not None and passed(job.span("expires_ms"), now):
                    found.append((job, job.status, "it has expired"))
                elif job.status is Status.SCHEDULED and passed(job.span("due_ms"), now):
                    found.append((job, job.status, "it is due"))
        return found

    def _is_over(self, standing: Standing, expires: Span) -> bool:
        return standing is Standing.DEAD or passed(expires, self._world.now) is True

    def _missed(self, due: list[tuple[Known, Status, str]]) -> list[str]:
        return [f"{job}: {why}" for job, status, why in due if job.status is status]

    def _move(self, moved: Moved) -> None:
        known = self._world.jobs.get(moved.id)
        said = f"{self._world.name(moved.id)} from {moved.old} to {moved.new}"
        if known is None or known.status is not moved.old:
            raise Mismatch("maintenance tells what it moved", allowed=known, answered=said)
        demand(
            (moved.task, moved.queue) == (known.spec.task, known.spec.queue),
            "maintenance tells what it moved",
            allowed=(known.spec.task, known.spec.queue),
            answered=(moved.task, moved.queue),
        )
        if moved.old is Status.RUNNING:
            self._rescue(known, moved.new)
        elif moved.new is Status.EXPIRED:
            self._expire(known)
        else:
            self._promote(known, moved.new)

    def _promote(self, known: Known, new: Status) -> None:
        demand(
            new is Status.PENDING and may_be_due(known, self._world.now),
            "only what is due is promoted",
            allowed=f"{known}, due at {known.due_ms}",
            answered=f"{new} at {self._world.now.low}",
        )
        self._steps["promote"] += 1
        wait(known, is_due=True)

    def _expire(self, known: Known) -> None:
        over = known.expires_ms is not None and (
            passed(known.span("expires_ms"), self._world.now) is not False
        )
        demand(
            over,
            "only what has expired expires",
            allowed=f"{known}, expires at {known.expires_ms}",
            answered=f"expired at {self._world.now.low}",
        )
        self._steps["expire"] += 1
        finish(self._world, known, Status.EXPIRED)

    def _rescue(self, known: Known, new: Status) -> None:
        world = self._world
        lease = world.leases[known.lease] if known.lease else None
        dead = lease is not None and (
            lease.standing is Standing.DEAD or passed(lease.expires, world.now) is not False
        )
        demand(
            self._policy.rescue and dead,
            ONLY_DEAD,
            allowed=f"{known}: its lease {lease.name if lease else ''} is alive, or none may die",
            answered=f"{known.name} is rescued",
        )
        if lease is not None:
            lease.standing = Standing.DEAD
        self._steps["rescue"] += 1
        expected = _rescued(known)
        demand(
            new is expected,
            "a rescue follows its rules",
            allowed=f"{known.name} {expected}",
            answered=new,
        )
        record = (known.delivery, "rescued", known.worker or "")
        known.errors = (*known.errors, record)[-RECORDS:]
        known.rescues += 1
        if new.finished:
            known.open["lane"] = (known.lane, suspects_of(known.lane))
            finish(world, known, new)
        else:
            known.lane = suspects_of(known.lane)
            wait(known, is_due=True)

    def _mark_dead(self) -> None:
        """Note which leases are dead now; of some the store may not have said so."""
        if not self._policy.rescue:
            return
        for lease in self._world.leases.values():
            over = passed(lease.expires, self._world.now)
            if lease.standing in {Standing.ALIVE, Standing.DOUBTFUL} and over is not False:
                sure = over is True and not self._answer.more
                lease.standing = Standing.DEAD if sure else Standing.DOUBTFUL

    def _prune(self, ended_before: list[Known]) -> None:
        """Let finished jobs go that the store no longer knows."""
        world, retention = self._world, self._policy.retention
        finished = [job for job in world.jobs.values() if job.status.finished]
        gone = [job for job in finished if world.seen.get(job.id) is None]
        by_number = [job for job in gone if _is_old(job, retention, world.now) is False]
        surplus = max(0, len(finished) - retention.max_finished)
        for job in gone:
            self._demand_prunable(job, by_number=job in by_number and len(by_number) > surplus)
        self._steps["prune"] = len(gone)
        demand(
            self._answer.pruned == len(gone),
            "pruned jobs are counted",
            allowed=len(gone),
            answered=self._answer.pruned,
        )
        for job in gone:
            del world.jobs[job.id]
        self._demand_pruned([job for job in ended_before if job not in gone])

    def _demand_prunable(self, job: Known, *, by_number: bool) -> None:
        young = passed(job.span("finished_ms").plus(KEPT_MS), self._world.now) is False
        demand(
            not young and not by_number,
            KEPT,
            allowed=f"{job} is known: it ended at {job.finished_ms}",
            answered=f"unknown at {self._world.now.high}",
        )

    def _demand_pruned(self, rest: list[Known]) -> None:
        """Demand that what is too old, or too many, is gone, unless there is more to do."""
        if self._answer.more:
            return
        world, retention = self._world, self._policy.retention
        old = [job for job in rest if _is_old(job, retention, world.now)]
        demand(not old, DONE, allowed=f"{', '.join(map(str, old))} pruned", answered="kept")
        ripe = [job for job in rest if passed(job.span("finished_ms").plus(KEPT_MS), world.now)]
        demand(
            len(rest) <= retention.max_finished or not ripe,
            DONE,
            allowed=f"at most {retention.max_finished} finished jobs",
            answered=f"{len(rest)}, of which {len(ripe)} are old enough to go",
        )


def _rescued(known: Known) -> Status:
    if known.cancel_requested:
        return Status.CANCELLED
    return Status.FAILED if known.rescues + 1 > known.spec.max_rescues else Status.PENDING


def _is_old(job: Known, retention: Retention, now: Span) -> bool | None:
    """Return whether a finished job is too old to be kept; ``None`` if that cannot be told."""
    age = retention.failed if job.status is Status.FAILED else retention.completed
    return passed(job.span("finished_ms").plus(max(int(age * 1000), KEPT_MS)), now)
