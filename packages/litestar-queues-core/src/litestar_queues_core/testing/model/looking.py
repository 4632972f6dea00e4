"""Looking through a store: what pages and counts must show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from litestar_queues_core.model import Job
from litestar_queues_core.settlements import JobQuery, LeaseView, QueueCounts
from litestar_queues_core.testing.model.disagreement import demand
from litestar_queues_core.testing.model.known import Known, Standing, World, passed
from litestar_queues_core.testing.model.leaving import holder_of

Numbers = Counter[tuple[str, str]]
"""How many jobs of a queue have a status."""

COUNTED = "jobs are counted where they stand"


def found(world: World, query: JobQuery, jobs: Sequence[Job]) -> None:
    """Check all pages of a query together."""
    if query.key is not None and not holder_of(world, query.key)[1]:
        return
    expected = sorted(job.name for job in world.jobs.values() if _fits(world, query, job))
    names = sorted(world.name(job.id) for job in jobs)
    demand(
        names == expected,
        "every job that fits is found once",
        allowed=", ".join(expected) or "none",
        answered=", ".join(names) or "none",
    )


def _fits(world: World, query: JobQuery, job: Known) -> bool:
    if query.key is not None:
        holder, _ = holder_of(world, query.key)
        if holder is None or holder.job != job.id:
            return False
    return (not query.status or job.status in query.status) and (
        query.queue is None or job.spec.queue == query.queue
    )


def counted(world: World, counts: QueueCounts) -> None:
    """Check the numbers; finished jobs may be counted for all queues together.

    A waiting job that has expired, but was not ended yet, may be left out.
    """
    most, least, told = Numbers(), Numbers(), Numbers()
    for job in world.jobs.values():
        place = ("*" if job.status.finished else job.spec.queue, job.status.value)
        most[place] += 1
        least[place] += not _may_have_expired(world, job)
    for one in counts.counts:
        told["*" if one.status.finished else one.queue, one.status.value] += one.value
    if all(one.exact for one in counts.counts):
        demand(least <= told <= most, COUNTED, allowed=_said(most), answered=_said(told))
    for view in counts.leases:
        _check_view(world, view)


def _may_have_expired(world: World, job: Known) -> bool:
    if job.expires_ms is None or job.lease is not None or job.status.finished:
        return False
    return passed(job.span("expires_ms"), world.now) is not False


def _check_view(world: World, view: LeaseView) -> None:
    lease = next((one for one in world.leases.values() if one.id == view.lease), None)
    if lease is not None and lease.standing is Standing.ALIVE:
        held = len(world.held(lease.id))
        demand(
            (view.held, view.dead) == (held, False),
            "a lease is shown with what it holds",
            allowed=f"{lease.name} holds {held}",
            answered=f"{view.held}{', dead' if view.dead else ''}",
        )


def _said(numbers: Numbers) -> str:
    return ", ".join(f"{value} {status} in {queue}" for (queue, status), value in numbers.items())
