"""What keeps a journal healthy, in bounded pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from journal_queue.changes import ended, rescued
from journal_queue.state import Draft
from litestar_queues_core import Job, Retention, Status
from litestar_queues_core.settlements import Maintenance, MaintenancePolicy, Moved

KNOWN_MS = 60_000


def maintain(draft: Draft, policy: MaintenancePolicy, now_ms: int) -> Maintenance:
    """Promote, rescue, expire and prune, each at most as far as *policy* allows."""
    moved: list[Moved] = []
    more = False
    steps: list[Callable[[], Iterable[tuple[Job, Job]]]] = [
        lambda: _promoted(draft, now_ms),
        lambda: _rescued(draft, now_ms) if policy.rescue else (),
        lambda: _expired(draft, now_ms),
    ]
    for step in steps:
        changes = list(step())
        more = more or len(changes) > policy.limit
        for old, new in changes[: policy.limit]:
            draft.put(new)
            moved.append(
                Moved(id=new.id, task=new.task, queue=new.queue, old=old.status, new=new.status)
            )
    outdated = _outdated(draft, policy.retention, now_ms)
    for job in outdated[: policy.limit]:
        draft.drop(job.id)
    due = [e.job.due_ms for e in draft.jobs() if e.job.status is Status.SCHEDULED]
    return Maintenance(
        moved=moved,
        pruned=len(outdated[: policy.limit]),
        more=more or len(outdated) > policy.limit,
        next_due_ms=min(due, default=None),
        now_ms=now_ms,
    )


def _promoted(draft: Draft, now_ms: int) -> list[tuple[Job, Job]]:
    due = [
        e.job for e in draft.jobs() if e.job.status is Status.SCHEDULED and e.job.due_ms <= now_ms
    ]
    due.sort(key=lambda job: job.due_ms)
    return [(job, replace(job, status=Status.PENDING)) for job in due]


def _rescued(draft: Draft, now_ms: int) -> list[tuple[Job, Job]]:
    """Mark leases dead first, then take their jobs; forget a dead lease that holds nothing."""
    held: list[Job] = []
    for lease_id in draft.leases():
        row = draft.lease(lease_id)
        if row is None or not (row.dead or row.expires_ms <= now_ms):
            continue
        jobs = [entry.job for entry in draft.held(lease_id)]
        if jobs:
            draft.put_lease(lease_id, row, dead=True)
            held += jobs
        else:
            draft.drop_lease(lease_id)
    return [(job, rescued(job, now_ms)) for job in held]


def _expired(draft: Draft, now_ms: int) -> list[tuple[Job, Job]]:
    waiting = [e.job for e in draft.jobs() if e.job.status in (Status.PENDING, Status.SCHEDULED)]
    return [
        (job, ended(job, Status.EXPIRED, now_ms))
        for job in waiting
        if job.expires_ms is not None and job.expires_ms <= now_ms
    ]


def _outdated(draft: Draft, retention: Retention, now_ms: int) -> list[Job]:
    """Return finished jobs that are too old or too many, the oldest first."""
    finished = sorted(
        (entry.job for entry in draft.jobs() if entry.job.status.finished),
        key=lambda job: job.details.finished_ms or 0,
    )
    surplus = len(finished) - retention.max_finished
    outdated: list[Job] = []
    for place, job in enumerate(finished):
        age_ms = now_ms - (job.details.finished_ms or 0)
        limit = retention.failed if job.status is Status.FAILED else retention.completed
        if age_ms >= KNOWN_MS and (place < surplus or age_ms > limit * 1000):
            outdated.append(job)
    return outdated
