"""Opening, renewing and closing a lease: what the answers must be."""

from __future__ import annotations

from litestar_queues_core.errors import LeaseLost
from litestar_queues_core.ids import LeaseId
from litestar_queues_core.model import Status
from litestar_queues_core.settlements import Renewal
from litestar_queues_core.testing.model.disagreement import demand
from litestar_queues_core.testing.model.known import KnownLease, Standing, World
from litestar_queues_core.testing.model.leaving import finish, wait

DEAD_IS_TOLD = "who lost a lease is told, and nobody else"


def stands(world: World, lease: LeaseId, *, told_dead: bool) -> KnownLease | None:
    """Return a lease that must be alive; demand that the answer says so."""
    known = world.leases.get(lease)
    if known is None or known.standing in {Standing.DEAD, Standing.GONE}:
        demand(told_dead, DEAD_IS_TOLD, allowed="lost", answered="alive")
        return None
    if known.standing is Standing.DOUBTFUL:
        known.standing = Standing.DEAD if told_dead else Standing.ALIVE
    if known.standing is Standing.ALIVE:
        demand(not told_dead, DEAD_IS_TOLD, allowed="alive", answered="lost")
        return known
    return None


def open_lease(world: World, wanted: KnownLease, answer: LeaseLost | None) -> None:
    """Check what opening a lease answered.

    A store may forget a lease that is closed, or dead and empty; then it begins anew.
    """
    known = world.leases.get(wanted.id)
    is_over = known is not None and known.standing in {Standing.DEAD, Standing.GONE}
    if is_over and not answer and not world.held(wanted.id):
        known = None
    if known is None:
        demand(answer is None, DEAD_IS_TOLD, allowed="opened", answered="lost")
        world.leases[wanted.id] = wanted
        return
    standing = stands(world, wanted.id, told_dead=answer is not None)
    if standing is not None:
        standing.term_ms, standing.expires = wanted.term_ms, wanted.expires


def renew(world: World, lease: LeaseId, term_ms: int, answer: Renewal) -> None:
    """Check what a renewal answered."""
    known = stands(world, lease, told_dead=not answer.alive)
    if known is not None:
        known.term_ms, known.expires = term_ms, world.now.plus(term_ms)
        demand_requests(world, lease, answer.cancelled)


def demand_requests(world: World, lease: LeaseId, cancelled: object) -> None:
    """Demand that exactly the held jobs are named whose cancel was requested."""
    expected = sorted(world.requested(lease))
    named = sorted(map(str, cancelled))  # type: ignore[call-overload]
    demand(
        named == expected,
        "a cancel request is told to the holder until the job is settled",
        allowed=", ".join(map(world.name, expected)) or "none",
        answered=", ".join(map(world.name, named)) or "none",
    )


def extend(lease: KnownLease, now_ms: int) -> None:
    """Let a lease last; a store may be lazy for a third of its term, so as to write less."""
    full = now_ms + lease.term_ms
    lazy = full - max(1000, lease.term_ms // 3)
    lease.expires = lease.expires._replace(low=max(lease.expires.low, lazy), high=full)


def close_lease(world: World, lease: LeaseId) -> None:
    """Give back what a lease holds; nobody says whether a doubtful one was dead."""
    known = world.leases.get(lease)
    if known is None or known.standing in {Standing.DEAD, Standing.GONE}:
        return
    held = world.held(lease)
    if known.standing is Standing.DOUBTFUL and held:
        seen = world.seen.get(held[0].id)
        if seen is not None and seen.status is Status.RUNNING:
            known.standing = Standing.DEAD
            return
    known.standing = Standing.GONE
    for job in held:
        if job.cancel_requested:
            finish(world, job, Status.CANCELLED)
        else:
            wait(job, is_due=True)
