"""Handing out jobs.

Every claim looks at every job, which is why this backend is an example and no product: the cost
of a claim must not grow with the backlog.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from journal_queue.changes import claimed
from journal_queue.state import Draft
from litestar_queues_core import Job, Status
from litestar_queues_core.lanes import LOCAL, executor_of, is_suspect, ordinary
from litestar_queues_core.settlements import Wants


def claim(
    draft: Draft, lease: str, wants: Wants, *, worker: str, seq: int, now_ms: int
) -> list[Job]:
    """Claim what *wants* asks for."""
    waiting = _waiting(draft, now_ms)
    caps = dict(wants.lanes)
    others = wants.others
    jobs: list[Job] = []
    for lane in _turns(waiting, seq):
        home = ordinary(lane)
        if home not in caps and executor_of(lane) not in (LOCAL, *wants.executors):
            continue
        room = min(caps.get(home, others), wants.limit - len(jobs))
        if is_suspect(lane):
            room = min(room, wants.suspects - sum(is_suspect(job.lane) for job in jobs))
        taken = waiting[lane][: max(0, room)]
        jobs += [claimed(job, worker, now_ms) for job in taken]
        if home in caps:
            caps[home] -= len(taken)
        else:
            others -= len(taken)
    for job in jobs:
        draft.put(job, lease)
    return jobs


def _waiting(draft: Draft, now_ms: int) -> dict[str, list[Job]]:
    """Return what may run now, lane by lane, in order."""
    lanes: dict[str, list[Job]] = defaultdict(list)
    for entry in draft.jobs():
        job = entry.job
        expired = job.expires_ms is not None and job.expires_ms <= now_ms
        if job.status is Status.PENDING and not expired:
            lanes[job.lane].append(job)
    for jobs in lanes.values():
        jobs.sort(key=lambda job: (-job.priority, job.due_ms, job.id))
    return lanes


def _turns(lanes: Iterable[str], seq: int) -> list[str]:
    """Return suspect lanes first, then the others, beginning with another one each time."""
    names = sorted(lanes)
    start = seq % len(names) if names else 0
    return sorted(names[start:] + names[:start], key=lambda lane: not is_suspect(lane))
