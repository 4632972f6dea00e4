"""Exchanges: what each settlement does, and what a replay must say."""

from __future__ import annotations

from collections.abc import Sequence

from litestar_queues_core.errors import LeaseLost, StaleExchange
from litestar_queues_core.ids import LeaseId
from litestar_queues_core.lanes import ordinary
from litestar_queues_core.model import Job, NewJob, Status
from litestar_queues_core.settlements import Exchange, Kind, Settlement, Wants
from litestar_queues_core.testing.model.claiming import claim
from litestar_queues_core.testing.model.disagreement import demand
from litestar_queues_core.testing.model.known import (
    Fence,
    Known,
    KnownLease,
    World,
    claimed_facts,
    match,
)
from litestar_queues_core.testing.model.leases import demand_requests, extend, stands
from litestar_queues_core.testing.model.leaving import (
    finish,
    holder_of,
    may_be_due,
    take,
    wait,
)
from litestar_queues_core.testing.model.telling import applied

ENDS = {
    Kind.COMPLETE: Status.COMPLETED,
    Kind.FAIL: Status.FAILED,
    Kind.CANCEL: Status.CANCELLED,
}
COUNTED = {
    Kind.FAIL: "attempt",
    Kind.RETRY: "attempt",
    Kind.SNOOZE: "snoozes",
    Kind.PUT_BACK: "put_backs",
}
CLEARED = {Kind.RETRY, Kind.SNOOZE}
RECORDS = 10

FENCE = "a settlement counts only under its fence"
CANCEL_RULE = "cancel beats waiting, and is reported"
REPLAY = "a replay applies nothing and says what the first answer said"
ALL_HELD = "a replay gives every job that the lease holds"

Answer = Exchange | LeaseLost | StaleExchange


class Sent:
    """An exchange as it was sent."""

    def __init__(
        self, lease: LeaseId, seq: int, settlements: Sequence[Settlement], wants: Wants
    ) -> None:
        self.lease, self.seq, self.wants = lease, seq, wants
        self.settlements = list(settlements)


def exchange(world: World, sent: Sent, answer: Answer) -> None:
    """Check what an exchange answered, be it new, a replay, or stale."""
    lease = stands(world, sent.lease, told_dead=isinstance(answer, LeaseLost))
    if lease is None or isinstance(answer, LeaseLost):
        return
    if isinstance(answer, StaleExchange):
        demand(
            lease.sent is not None and sent.seq < lease.sent,
            "only an old exchange is stale",
            allowed=f"number {sent.seq} is applied, or replayed",
            answered="StaleExchange",
        )
        return
    demand(
        lease.kept is None or sent.seq >= lease.kept,
        "an old exchange is stale",
        allowed=f"StaleExchange: number {sent.seq}, and {lease.kept} was applied",
        answered="applied",
    )
    demand(
        world.now.low <= answer.now_ms <= world.now.high,
        "the clock of the store is told",
        allowed=world.now,
        answered=answer.now_ms,
    )
    world.now = world.now._replace(low=answer.now_ms)
    if _is_replay(world, lease, sent, answer):
        if sent.seq != lease.kept:
            _may_promote(world)
        _replay(world, lease, sent, answer)
    else:
        _apply(world, lease, sent, answer)
    lease.sent = max(sent.seq, lease.sent or sent.seq)
    extend(lease, answer.now_ms)
    demand_requests(world, lease.id, answer.cancelled)


def _is_replay(world: World, lease: KnownLease, sent: Sent, answer: Exchange) -> bool:
    """Return whether this number was used; one that did nothing may have been forgotten."""
    if sent.seq == lease.kept:
        return True
    if sent.seq != lease.sent:
        return False
    held = [(job.id, job.delivery) for job in world.held(lease.id)]
    return sorted(held) == _fences(answer.claimed)


def _fences(jobs: Sequence[Job]) -> list[Fence]:
    return sorted((job.id, job.delivery) for job in jobs)


def _replay(world: World, lease: KnownLease, sent: Sent, answer: Exchange) -> None:
    kept = sent.seq == lease.kept
    for name, told in (("rejected", answer.rejected), ("ended", answer.ended)):
        first: list[Fence] = getattr(lease, name) if kept else []
        demand(
            sorted(told) == sorted(first),
            REPLAY,
            allowed=f"{name}: {world.fences(first)}",
            answered=world.fences(told),
        )
    held = {job.id: job for job in world.held(lease.id)}
    expected = sorted((job.id, job.delivery) for job in held.values())
    demand(
        _fences(answer.claimed) == expected,
        ALL_HELD,
        allowed=world.fences(expected),
        answered=world.fences(_fences(answer.claimed)),
    )
    for job in answer.claimed:
        match(held[job.id], claimed_facts(job))


def _apply(world: World, lease: KnownLease, sent: Sent, answer: Exchange) -> None:
    settling = _Settling(world, lease, answer)
    for one in sent.settlements:
        settling.settle(one)
    settling.check()
    _may_promote(world)
    claim(world, lease, sent.wants, answer.claimed)
    if sent.settlements or answer.claimed:
        lease.kept = sent.seq
        lease.rejected, lease.ended = list(answer.rejected), list(answer.ended)


def _may_promote(world: World) -> None:
    """Let a store promote what is due when it claims."""
    for job in world.jobs.values():
        if may_be_due(job, world.now):
            job.open["status"] = (Status.SCHEDULED, Status.PENDING)


class _Settling:
    """The settlements of one exchange, applied in order."""

    def __init__(self, world: World, lease: KnownLease, answer: Exchange) -> None:
        self._world, self._lease, self._answer = world, lease, answer
        self._rejected: list[Fence] = []
        self._ended: list[Fence] = []
        self._follow_ups: list[tuple[NewJob, bool]] = []

    def settle(self, one: Settlement) -> None:
        """Apply one settlement, if its fence holds."""
        known, fence = self._world.jobs.get(one.id), (one.id, one.delivery)
        if (
            known is None
            or known.status is not Status.RUNNING
            or (known.lease, known.delivery) != (self._lease.id, one.delivery)
        ):
            self._rejected.append(fence)
        elif fence not in self._answer.busy:
            ended = self._change(known, one)
            applied(self._world, one, ended=ended)
            if ended:
                self._ended.append(fence)
            else:
                self._follow_ups += [(new, self._is_held(new)) for new in one.follow_ups]

    def _is_held(self, new: NewJob) -> bool:
        return new.key is not None and holder_of(self._world, new.key.key)[0] is not None

    def _change(self, known: Known, one: Settlement) -> bool:
        """Change the job; return whether the cancel rule ended it."""
        if one.kind is Kind.PROGRESS:
            known.progress = one.value
            return False
        if one.failure is not None:
            record = (known.delivery, one.failure.outcome, self._lease.worker)
            known.errors = (*known.errors, record)[-RECORDS:]
        counter = COUNTED.get(one.kind)
        before = getattr(known, counter) if counter else 0
        if counter:
            setattr(known, counter, before + 1)
        if one.kind in ENDS:
            if one.kind is Kind.COMPLETE and known.spec.keep_result:
                known.result = one.value
            finish(self._world, known, ENDS[one.kind])
            return False
        if known.cancel_requested:
            if counter:
                known.open[counter] = (before, before + 1)
            finish(self._world, known, Status.CANCELLED)
            return True
        self._wait(known, one)
        return False

    def _wait(self, known: Known, one: Settlement) -> None:
        if one.kind in CLEARED:
            known.lane = ordinary(known.lane)
        if one.kind is not Kind.RELEASE or one.delay_ms > 0:
            known.at("due_ms", self._world.now.plus(one.delay_ms))
        wait(known, is_due=one.delay_ms <= 0)

    def check(self) -> None:
        """Demand that the lists are right, then enqueue the follow-ups."""
        world, answer = self._world, self._answer
        for promise, told, expected in (
            (FENCE, answer.rejected, self._rejected),
            (CANCEL_RULE, answer.ended, self._ended),
        ):
            demand(
                sorted(told) == sorted(expected),
                promise,
                allowed=world.fences(expected),
                answered=world.fences(told),
            )
        for new, was_held in self._follow_ups:
            self._follow(new, was_held=was_held)

    def _follow(self, new: NewJob, *, was_held: bool) -> None:
        """Take a follow-up; a key freed later in the same exchange may count as free or not."""
        world = self._world
        if new.id in world.jobs:
            return
        is_taken = world.seen.get(new.id) is not None
        holder, certain = holder_of(world, new.key.key) if new.key else (None, True)
        is_held = holder is not None and holder.job != new.id
        demand(
            is_taken or was_held or is_held,
            "a follow-up is enqueued with its settlement",
            allowed=f"{world.name(new.id)} is taken",
            answered="it is unknown",
        )
        demand(
            not (is_taken and is_held and certain),
            "a key is held by one job at a time",
            allowed=f"the follow-up {world.name(new.id)} is not taken",
            answered="it is taken",
        )
        if is_taken:
            take(world, new)
