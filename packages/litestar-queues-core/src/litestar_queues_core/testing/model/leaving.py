"""What happens to a job, whoever does it: it is taken, it ends, its keys are freed."""

from __future__ import annotations

from litestar_queues_core.model import NewJob, Status
from litestar_queues_core.testing.model.known import Holder, Known, Span, World, exactly, passed


def holder_of(world: World, key: str) -> tuple[Holder | None, bool]:
    """Return who holds a key, and whether that is certain."""
    holder = world.keys.get(key)
    if holder is None or holder.frees is None:
        return holder, True
    is_free = passed(holder.frees, world.now)
    return (None if is_free else holder), is_free is not None


def acquire(world: World, known: Known) -> None:
    """Give a job its key, unless it holds it still."""
    rule = known.key
    if rule is None:
        return
    holder, _ = holder_of(world, rule.key)
    if holder is None or holder.job != known.id:
        frees = world.now.plus(rule.until) if isinstance(rule.until, int) else None
        world.keys[rule.key] = Holder(job=known.id, task=known.spec.task, frees=frees)


def free(world: World, known: Known, *moments: str) -> None:
    """Free the key of a job if its rule names one of *moments*, unless another job holds it."""
    rule = known.key
    if rule is not None and rule.until in moments:
        holder = world.keys.get(rule.key)
        if holder is not None and holder.job == known.id:
            del world.keys[rule.key]


def take(world: World, new: NewJob) -> Known:
    """Add a job with its key."""
    now = world.now
    due = now.plus(new.delay_ms) if new.due_ms is None else exactly(new.due_ms)
    known = Known(
        name=world.name(new.id),
        id=new.id,
        spec=new.spec,
        payload=new.payload,
        key=new.key,
        status=Status.PENDING,
        lane=new.spec.lane,
        due_ms=due.low,
        enqueued_ms=now.low,
        expires_ms=None,
    )
    known.at("due_ms", due)
    known.at("enqueued_ms", now)
    if new.expires_in_ms is not None:
        known.at("expires_ms", due.plus(new.expires_in_ms))
    is_due = new.delay_ms <= 0 if new.due_ms is None else passed(due, now)
    wait(known, is_due)
    world.jobs[new.id] = known
    acquire(world, known)
    return known


def wait(known: Known, is_due: bool | None) -> None:
    """Let a job wait; held by nobody."""
    known.lease = None
    known.status = Status.PENDING if is_due else Status.SCHEDULED
    if is_due is None:
        known.open["status"] = (Status.PENDING, Status.SCHEDULED)


def finish(world: World, known: Known, status: Status) -> None:
    """End a job."""
    known.lease = None
    known.status = status
    known.at("finished_ms", world.now)
    free(world, known, "started", "finished")


def may_be_due(known: Known, now: Span) -> bool:
    """Return whether a scheduled job may have fallen due."""
    return known.status is Status.SCHEDULED and passed(known.span("due_ms"), now) is not False
